"""Augmentation of training crops: geometry, mirroring, colours."""
