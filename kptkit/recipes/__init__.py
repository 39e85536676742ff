"""Every constant of published results and of our own, as frozen dataclasses."""
