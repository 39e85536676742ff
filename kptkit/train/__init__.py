"""Training of every network, from flags to a finished run folder."""
