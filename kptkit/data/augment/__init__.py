"""Random crops, mirrors and colours, a pure function of (seed, epoch, sample)."""
