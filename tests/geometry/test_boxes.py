"""Box arithmetic against plain loops."""

import numpy as np
import pytest

from kptkit.errors import InputError
from kptkit.geometry import boxes


@pytest.mark.parametrize(
    ("xywh", "xyxy"), [([], []), ([[1, 2, 3, 4]], [[1, 2, 4, 6]]), ([[0, 0, 0, 0]], [[0, 0, 0, 0]])]
)
def test_xywh_round_trip(xywh, xyxy):
    corners = boxes.from_xywh(xywh)
    np.testing.assert_array_equal(corners, np.reshape(xyxy, (-1, 4)))
    np.testing.assert_array_equal(boxes.to_xywh(corners), np.reshape(xywh, (-1, 4)))


@pytest.mark.parametrize("counts", [(0, 0), (0, 3), (4, 5)])
def test_iou_against_a_loop(counts):
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.uniform(0, 10, (n, 2, 2)), axis=1).reshape(n, 4) for n in counts)
    expected = np.zeros(counts)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            w = min(p[2], q[2]) - max(p[0], q[0])
            h = min(p[3], q[3]) - max(p[1], q[1])
            inter = max(w, 0) * max(h, 0)
            union = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - inter
            expected[i, j] = inter / union
    np.testing.assert_allclose(boxes.iou(a, b), expected)


def test_intersection_is_what_two_boxes_share():
    a = np.array([[0, 0, 4, 4], [2, 1, 3, 9], [7, 7, 9, 9]])
    np.testing.assert_array_equal(boxes.intersection(a, [1, 1, 5, 3]), [6, 2, 0])
    np.testing.assert_array_equal(boxes.iou_of_pairs(a, a), [1, 1, 1])
    assert boxes.intersection(np.zeros((0, 4)), a[0]).shape == (0,)


def test_iou_of_empty_boxes_is_zero():
    nothing = np.array([[3.0, 3.0, 3.0, 3.0]])
    assert boxes.iou(nothing, nothing) == 0


def test_area_of_an_inverted_box_is_zero():
    np.testing.assert_array_equal(boxes.area([[0, 0, 2, 3], [2, 3, 0, 0]]), [6, 0])


def test_clip_leaves_its_input():
    box = np.array([[-5.0, 2.0, 50.0, 9.0]])
    np.testing.assert_array_equal(boxes.clip(box, (20, 8)), [[0, 2, 20, 8]])
    assert box[0, 0] == -5


def test_checked_boxes():
    assert boxes.checked([]).shape == (0, 4)
    assert boxes.checked([[0, 0, 1, 1]]).dtype == np.float32


@pytest.mark.parametrize(
    "wrong", [[1, 2, 3, 4], [[0, 0, 1]], [[5, 0, 1, 9]], [[0, 0, np.nan, 9]], [[0, 0, 0, 9]]]
)
def test_wrong_boxes_are_named(wrong):
    with pytest.raises(InputError, match="boxes"):
        boxes.checked(wrong)
