"""Random draws of single values for the demo scenes, much faster than NumPy's functions."""

import colorsys
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate

import numpy as np


def pick(rng: np.random.Generator, weights: Sequence[float]) -> int:
    """A random index, with probabilities proportional to `weights`."""
    sums = list(accumulate(weights))
    return bisect(sums, rng.random() * sums[-1], hi=len(sums) - 1)


def bounded_normal(
    rng: np.random.Generator, mean: float, spread: float, low: float, high: float
) -> float:
    """A normally distributed value, clipped to `low` and `high`."""
    return min(max(rng.normal(mean, spread), low), high)


def random_colour(
    rng: np.random.Generator, dark: float, bright: float, saturation: float = 0.9
) -> np.ndarray:
    """A colour of random hue, (3, 1, 1) float32 RGB 0..255.

    Args:
        dark, bright: limits of the brightness, 0 to 1.
        saturation: its upper limit, 0 to 1.
    """
    hue, grey, value = rng.random(3).tolist()
    rgb = colorsys.hsv_to_rgb(hue, saturation * grey, dark + (bright - dark) * value)
    return np.float32(255) * np.array(rgb, np.float32).reshape(3, 1, 1)
