"""The paired bootstrap over pictures: how certain the difference between two models is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# A model's metric on a data set, as a function of the weights (M,) of its M pictures.
WeightedMetric = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Difference:
    """One model's metric minus another's, with the 95 % interval from `low` to `high`."""

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
    """first - second, and its 95 % percentile interval (Efron and Tibshirani 1993).

    Pictures are drawn with replacement. Both metrics see the same draws, so what is hard for both
    models cancels. Draws for which a metric is NaN are left out.

    Args:
        first, second: called with weights (M,): how often each picture was drawn.
        num_images: M.
        resamples: the number of draws.
        seed: of the random draws.
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
