import numpy as np
import pytest

from kptkit.errors import InputError
from kptkit.metrics.nme import failure_rate, inter_ocular, mean_error, nme

NONE = np.zeros((0, 5, 2))


def test_no_faces():
    errors = nme(NONE, NONE, np.zeros(0))
    assert errors.shape == (0,)
    assert inter_ocular(NONE).shape == (0,)
    index = np.zeros(0, np.int64)
    assert np.isnan([mean_error(errors, index), mean_error(errors, index, np.ones(3))]).all()
    assert np.isnan(failure_rate(errors))


def test_random_faces_equal_a_loop():
    rng = np.random.default_rng(0)
    true, predicted = rng.uniform(0, 90, (2, 7, 5, 2))
    index, weights = np.array([0, 0, 1, 2, 2, 2, 3]), np.array([2, 0, 1, 3])
    true[1], true[4, 2, 1] = np.nan, np.nan
    errors = nme(predicted, true, inter_ocular(true))
    expected, picked = [], []
    for face in range(7):
        (ax, ay), (bx, by) = true[face, 0], true[face, 1]
        length = ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5
        distances = [
            ((px - tx) ** 2 + (py - ty) ** 2) ** 0.5
            for (px, py), (tx, ty) in zip(predicted[face], true[face], strict=True)
        ]
        expected.append(sum(distances) / 5 / length)
        if face not in (1, 4):
            picked += [expected[-1]] * int(weights[index[face]])
    np.testing.assert_allclose(errors, expected, rtol=1e-12)
    known = [error for face, error in enumerate(expected) if face not in (1, 4)]
    assert mean_error(errors, index) == pytest.approx(sum(known) / 5)
    assert mean_error(errors, index, weights) == pytest.approx(sum(picked) / len(picked))
    assert np.isnan(mean_error(errors, index, np.zeros(4)))
    limit = np.sort(errors)[2]  # the limit itself is no failure
    assert failure_rate(errors, limit) == pytest.approx(2 / 5)


@pytest.mark.parametrize("length", [0, -1, np.nan])
def test_a_face_without_a_length_cannot_be_judged(length):
    ones = np.ones((2, 5, 2))
    errors = nme(np.array([4, 5]) * ones, ones, np.array([10, length]))
    np.testing.assert_allclose(errors, [0.5, np.nan])


def test_a_prediction_that_is_not_finite_is_refused_where_it_is_judged():
    true, predicted = np.zeros((2, 5, 2)), np.zeros((2, 5, 2))
    predicted[1, 3, 0] = np.nan
    with pytest.raises(InputError, match="predicted keypoints: NaN or infinity"):
        nme(predicted, true, np.ones(2))
    true[1] = np.nan
    np.testing.assert_array_equal(nme(predicted, true, np.ones(2)), [0, np.nan])
