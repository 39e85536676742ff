"""Distances between two keypoints of a person, and means of what may be empty."""

import math

import numpy as np
import pytest

from kptkit.metrics.distances import distance_between, mean_or_nan


def test_nobody():
    assert distance_between(np.zeros((0, 14, 3)), 9, 2).shape == (0,)


def test_unlabelled_ends_give_nan():
    keypoints = np.zeros((2, 14, 3))
    keypoints[:, 9] = 3, 4, 1
    keypoints[0, 2, 2] = 2
    keypoints[1, [2, 9], :2] = np.inf
    np.testing.assert_array_equal(distance_between(keypoints, first=9, second=2), [5, np.nan])


@pytest.mark.parametrize(("first", "second"), [(0, 1), (8, 9), (36, 45), (60, 72)])
def test_distances_equal_a_loop(first, second):
    rng = np.random.default_rng(second)
    points = rng.uniform(0, 90, (9, 98, 2))
    keypoints = np.concatenate([points, rng.integers(0, 3, (9, 98, 1))], axis=-1)
    keypoints[0, :, 2] = 2
    keypoints[1, :, 2] = 0
    keypoints[keypoints[..., 2] == 0, :2] = np.nan, np.inf
    expected = [
        math.dist(person[first, :2], person[second, :2])
        if min(person[first, 2], person[second, 2]) > 0
        else math.nan
        for person in keypoints
    ]
    assert np.isfinite(expected[0])
    assert np.isnan(expected[1])
    np.testing.assert_allclose(distance_between(keypoints, first, second), expected)


def test_means():
    assert np.isnan(mean_or_nan(np.zeros((0, 4))))
    assert mean_or_nan(np.array([[True, False], [True, True]])) == 0.75
