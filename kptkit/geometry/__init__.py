"""Pixel arithmetic: boxes, crops, and the windows of the face networks."""
