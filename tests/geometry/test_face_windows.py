"""Boxes and landmarks in windows, against plain loops and mirrored pixels."""

import numpy as np
import pytest
from keras import ops

from kptkit.geometry import face_windows as geometry

BOTH = pytest.mark.parametrize("xp", [np, ops], ids=["numpy", "keras"])
SHAPES = pytest.mark.parametrize("shape", [(0,), (7,), (2, 3)])


def faces_and_windows(shape):
    rng = np.random.default_rng(0)
    low = rng.uniform(-20, 100, (*shape, 2))
    windows = np.concatenate([low, low + rng.uniform(5, 90, (*shape, 2))], axis=-1)
    boxes = np.sort(rng.uniform(-30, 200, (*shape, 2, 2)), axis=-2).reshape(*shape, 4)
    landmarks = rng.uniform(-30, 200, (*shape, 5, 2))
    return (a.astype(np.float32) for a in (boxes, landmarks, windows))


def as_rows(array, columns):
    return np.asarray(array).reshape(-1, *columns)


@BOTH
@SHAPES
def test_box_offsets(shape, xp):
    boxes, _, windows = faces_and_windows(shape)
    offsets = geometry.box_offsets(xp.array(boxes), xp.array(windows), xp)
    assert offsets.shape == (*shape, 4)
    expected = []
    for (x1, y1, x2, y2), (left, top, right, bottom) in zip(
        as_rows(boxes, (4,)), as_rows(windows, (4,)), strict=True
    ):
        w, h = right - left, bottom - top
        expected.append([(x1 - left) / w, (y1 - top) / h, (x2 - right) / w, (y2 - bottom) / h])
    np.testing.assert_allclose(as_rows(offsets, (4,)), np.reshape(expected, (-1, 4)), atol=1e-5)
    back = geometry.apply_box_offsets(offsets, xp.array(windows), xp)
    np.testing.assert_allclose(np.asarray(back), boxes, atol=1e-4)


@BOTH
@SHAPES
def test_landmark_offsets(shape, xp):
    _, landmarks, windows = faces_and_windows(shape)
    offsets = geometry.landmark_offsets(xp.array(landmarks), xp.array(windows), xp)
    assert offsets.shape == (*shape, 10)
    expected = [
        [
            value
            for x, y in points
            for value in ((x + 0.5 - left) / (right - left), (y + 0.5 - top) / (bottom - top))
        ]
        for points, (left, top, right, bottom) in zip(
            as_rows(landmarks, (5, 2)), as_rows(windows, (4,)), strict=True
        )
    ]
    np.testing.assert_allclose(as_rows(offsets, (10,)), np.reshape(expected, (-1, 10)), atol=1e-5)
    back = geometry.apply_landmark_offsets(offsets, xp.array(windows), xp)
    np.testing.assert_allclose(np.asarray(back), landmarks, atol=1e-4)


@BOTH
def test_mirroring_offsets_is_mirroring_pixels(xp):
    """Mirroring a picture of 50 pixels maps edges to 50 - x and points to 49 - x."""
    boxes, landmarks, windows = faces_and_windows((6,))

    def mirrored(box):
        return np.stack([50 - box[:, 2], box[:, 1], 50 - box[:, 0], box[:, 3]], axis=1)

    offsets = geometry.box_offsets(boxes, windows)
    expected = geometry.box_offsets(mirrored(boxes), mirrored(windows))
    found = geometry.mirror_box_offsets(xp.array(offsets), xp)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)

    names = ["left eye", "right eye", "nose", "left corner", "right corner"]
    after = ["right eye", "left eye", "nose", "right corner", "left corner"]
    points = np.stack([landmarks[:, names.index(name)] for name in after], axis=1)
    points = points * [-1, 1] + [49, 0]
    expected = geometry.landmark_offsets(points, mirrored(windows))
    offsets = geometry.landmark_offsets(landmarks, windows)
    found = geometry.mirror_landmark_offsets(xp.array(offsets), xp)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)


@BOTH
@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 0, 0), (0, 0, 1, 1)),  # at least one pixel
        ((0, 0, 10, 10), (0, 0, 10, 10)),
        ((2, 0, 6, 10), (-1, 0, 9, 10)),
        ((0.4, 0.4, 10.2, 3.4), (0, -3, 10, 6)),
        ((-8, 4, -2, 5), (-8, 1, -2, 7)),
        ((0.25, 0.5, 8.75, 9), (0, 0, 8, 9)),  # 8.5 pixels: the width becomes 8, the height 9
    ],
)
def test_square(box, expected, xp):
    found = geometry.square(xp.array([box], dtype="float32"), xp)
    np.testing.assert_array_equal(np.asarray(found), [expected])
    assert geometry.square(xp.zeros((0, 4)), xp).shape == (0, 4)
