"""NME, the lengths it divides by, failure rates and AUCs, against plain loops."""

import math

import numpy as np
import pytest

from kptkit.errors import InputError
from kptkit.metrics.nme import (
    EYES,
    box_area_sizes,
    cumulative_auc,
    failure_rate,
    inter_ocular,
    landmark_box_sizes,
    mean_error,
    nme,
)
from kptkit.skeletons.known import COFW_29, FACE_68, WFLW_98

NONE = np.zeros((0, 5, 2))


def test_no_faces():
    errors = nme(NONE, NONE, np.zeros(0))
    assert errors.shape == (0,)
    assert inter_ocular(NONE).shape == (0,)
    index = np.zeros(0, np.int64)
    assert np.isnan([mean_error(errors, index), mean_error(errors, index, np.ones(3))]).all()
    assert np.isnan([failure_rate(errors), cumulative_auc(errors)]).all()
    none = np.zeros((0, 68, 3))
    assert nme(none[..., :2], none[..., :2], np.zeros(0), none[..., 2]).shape == (0,)
    assert landmark_box_sizes(none).shape == (0,)
    assert box_area_sizes(np.zeros((0, 4))).shape == (0,)


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


def random_faces(count, seed=0, num_faces=9):
    """True keypoints (N, K, 3), a quarter of them unlabelled and junk, and predictions."""
    rng = np.random.default_rng(seed)
    true = np.concatenate(
        [rng.uniform(0, 90, (num_faces, count, 2)), rng.integers(0, 3, (num_faces, count, 1))], -1
    )
    true[0, :, 2] = 2
    true[1, :, 2] = 0
    true[true[..., 2] == 0, :2] = np.nan, np.inf
    return true, rng.uniform(0, 90, (num_faces, count, 2))


@pytest.mark.parametrize("count", [1, 5, 29, 68, 98])
def test_labelled_points_alone_equal_a_loop(count):
    true, predicted = random_faces(count)
    sizes = np.array([30, 20, np.nan, 0, -3, np.inf, 50, 60, 70.0])
    expected = []
    for face in range(len(true)):
        total = points = 0
        for k in range(count):
            if true[face, k, 2] > 0:
                total += math.dist(predicted[face, k], true[face, k, :2])
                points += 1
        known = points and 0 < sizes[face] < math.inf
        expected.append(total / points / sizes[face] if known else math.nan)
    errors = nme(predicted, true[..., :2], sizes, true[..., 2])
    np.testing.assert_allclose(errors, expected, rtol=1e-12)
    assert np.isnan(errors[1])


def test_predictions_of_unlabelled_points_are_not_looked_at():
    true, predicted = random_faces(5)
    predicted[true[..., 2] == 0] = np.nan
    errors = nme(predicted, true[..., :2], np.full(9, 10.0), true[..., 2])
    assert np.isfinite(errors).sum() == (true[..., 2] > 0).any(axis=1).sum()
    predicted[0, 3, 1] = -np.inf
    with pytest.raises(InputError, match="predicted keypoints: NaN or infinity"):
        nme(predicted, true[..., :2], np.full(9, 10.0), true[..., 2])


def test_points_of_the_field():
    """The eye corners of 300W, WFLW and COFW, and the eyes of five landmarks."""
    assert EYES == {5: (0, 1), 29: (8, 9), 68: (36, 45), 98: (60, 72)}
    for schema in (COFW_29, FACE_68, WFLW_98):
        names = [schema.names[index] for index in EYES[schema.num_keypoints]]
        assert names == ["right_eye_outer", "left_eye_outer"]


def test_boxes_as_lengths():
    true, _ = random_faces(5)
    expected = []
    for face in true:
        xs, ys = ([p[i] for p in face if p[2] > 0] for i in (0, 1))
        area = (max(xs) - min(xs)) * (max(ys) - min(ys)) if xs else 0
        expected.append(math.sqrt(area))
    np.testing.assert_allclose(landmark_box_sizes(true), expected)
    np.testing.assert_allclose(box_area_sizes([[1, 2, 5, 11], [3, 3, 3, 9]]), [6, 0])


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.0], 1),
        ([0.05], 0.5),
        ([0.1, 0.0], 0.5),  # what lies on the threshold adds nothing
        ([0.2, 7.0], 0),
        ([0.05, np.nan], 0.5),
    ],
)
def test_areas_worked_by_hand(errors, expected):
    assert cumulative_auc(np.array(errors), 0.1) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("threshold", [0.08, 0.1])
def test_the_area_equals_simpson_by_hand_and_nearly_the_exact_one(threshold):
    errors = np.random.default_rng(3).gamma(3, 0.02, 300)
    steps = round(threshold / 1e-4)
    area = 0.0
    for i in range(steps + 1):
        share = sum(error <= i * 1e-4 for error in errors) / 300
        area += share * (1 if i in (0, steps) else 4 if i % 2 else 2)
    found = cumulative_auc(errors, threshold)
    assert found == pytest.approx(area * 1e-4 / 3 / threshold, abs=1e-9)
    exact = sum(max(0, 1 - error / threshold) for error in errors) / 300
    assert found == pytest.approx(exact, abs=1e-4 / threshold)
    assert cumulative_auc(errors, threshold, step=0.5e-4) != found
