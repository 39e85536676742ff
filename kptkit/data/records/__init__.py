"""TFRecord folders: written once, read often."""
