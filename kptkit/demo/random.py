"""Small random choices of the demo scenes, each much faster than NumPy's for single values."""

import colorsys
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate

import numpy as np


def pick(rng: np.random.Generator, weights: Sequence[float]) -> int:
    """An index drawn by weight."""
    sums = list(accumulate(weights))
    return bisect(sums, rng.random() * sums[-1], hi=len(sums) - 1)


def bounded_normal(
    rng: np.random.Generator, mean: float, spread: float, low: float, high: float
) -> float:
    """A normal value, set to the nearer bound where it falls outside."""
    return min(max(rng.normal(mean, spread), low), high)


def random_colour(
    rng: np.random.Generator, dark: float, bright: float, saturation: float = 0.9
) -> np.ndarray:
    """(3, 1, 1) float32 of any hue, brightness between `dark` and `bright` of 255."""
    hue, grey, value = rng.random(3).tolist()
    rgb = colorsys.hsv_to_rgb(hue, saturation * grey, dark + (bright - dark) * value)
    return np.float32(255) * np.array(rgb, np.float32).reshape(3, 1, 1)
