"""How sure a difference between two models is: the paired bootstrap over pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# The number of a model on a set whose M pictures count with weights (M,).
WeightedMetric = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Difference:
    """One model's number less another's, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_difference(
    first: WeightedMetric,
    second: WeightedMetric,
    num_images: int,
    resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """first - second, and the middle 95 % of it over sets drawn with replacement from the pictures.

    Both numbers see the same draws, so what is hard for both cancels (Efron and Tibshirani 1993,
    percentile interval). A draw on which a number is not known (NaN) is left out.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples if num_images else 0):
        drawn = np.bincount(rng.integers(num_images, size=num_images), minlength=num_images)
        differences.append(first(drawn) - second(drawn))
    known = np.array(differences)[np.isfinite(differences)]
    low, high = np.quantile(known, [0.025, 0.975]) if known.size else (np.nan, np.nan)
    whole = np.ones(num_images)
    return Difference(first(whole) - second(whole), float(low), float(high))
