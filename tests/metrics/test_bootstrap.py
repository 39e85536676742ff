from functools import partial

import numpy as np
import pytest

from kptkit.metrics.bootstrap import paired_difference


def mean(values, weights):
    total = weights.sum()
    return float(values @ weights / total) if total else float("nan")


@pytest.mark.parametrize("num_images", [0, 3])
def test_what_is_never_known_has_no_interval(num_images):
    unknown = paired_difference(lambda w: np.nan, lambda w: 1.0, num_images, resamples=20)
    assert np.isnan([unknown.value, unknown.low, unknown.high]).all()


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(1)
    first, hard = rng.normal(0, 1, 400), rng.normal(0, 50, 400)
    found = paired_difference(partial(mean, first + hard), partial(mean, hard), 400)
    # What is hard for both cancels: only the spread of the difference is left.
    half = 1.96 * first.std() / 20
    assert found.value == pytest.approx(first.mean())
    assert [found.low, found.high] == pytest.approx(
        [first.mean() - half, first.mean() + half], abs=0.15 * half
    )
    again = paired_difference(partial(mean, first + hard), partial(mean, hard), 400)
    assert again == found
    assert again != paired_difference(partial(mean, first + hard), partial(mean, hard), 400, seed=1)
    assert str(found).count("+") + str(found).count("-") == 3


def test_draws_without_a_number_are_left_out():
    """Only the first of two pictures has a face; a quarter of the draws do without it."""
    first, second = (partial(mean_of_first, value) for value in (0.75, 0.5))
    found = paired_difference(first, second, 2)
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)


def mean_of_first(value, weights):
    return value if weights[0] else float("nan")
