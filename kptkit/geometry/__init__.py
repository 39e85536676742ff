"""Pixel arithmetic: boxes, crops and the windows that face networks look at."""
