"""Network architectures as functional Keras models; no losses, data or weights."""
