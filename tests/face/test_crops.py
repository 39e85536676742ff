"""Face crops against Umeyama's own construction, loops over pixels, and Pillow."""

import cv2
import numpy as np
import pytest
from PIL import Image

from kptkit.errors import InputError
from kptkit.face.crops import TEMPLATE, aligned_crops, box_crops, similarity


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def umeyama(source, target):
    """Umeyama 1991, equations 38 to 43: rotation and scale from a singular value decomposition."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    covariance = (target - target_mean).T @ (source - source_mean) / len(source)
    u, d, vt = np.linalg.svd(covariance)
    s = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ s @ vt
    scale = np.trace(np.diag(d) @ s) / ((source - source_mean) ** 2).sum() * len(source)
    shift = target_mean - scale * rotation @ source_mean
    return np.concatenate([scale * rotation, shift[:, None]], axis=1)


@pytest.mark.parametrize("count", [0, 1, 20])
def test_similarity_is_umeyamas(count):
    rng = np.random.default_rng(count)
    points = rng.uniform(0, 300, (count, 5, 2))
    found = similarity(points, TEMPLATE)
    assert found.shape == (count, 2, 3)
    for matrix, source in zip(found, points, strict=True):
        np.testing.assert_allclose(matrix, umeyama(source, TEMPLATE), atol=1e-9)


def test_a_mirrored_face_is_not_mirrored_back():
    mirrored = TEMPLATE * [-1, 1] + [112, 0]
    matrix = similarity(mirrored[None], TEMPLATE)[0]
    np.testing.assert_allclose(matrix, umeyama(mirrored, TEMPLATE), atol=1e-9)
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    ("size", "scale", "left"), [(112, 1, 0), (224, 2, 0), (128, 1, 8), (256, 2, 16)]
)
def test_aligned_landmarks_lie_on_the_template(size, scale, left):
    """A bright dot on each landmark of a turned face must be at its place in the crop."""
    angle, zoom = np.deg2rad(25), 1.7 * scale
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (TEMPLATE @ turn.T + [150, 60]).astype(np.float32)
    image = np.zeros((600, 600, 3), np.uint8)
    for x, y in landmarks:
        cv2.circle(image, (round(float(x)), round(float(y))), 6, (255, 255, 255), -1)
    crop = aligned_crops(image, landmarks[None], size)[0]
    assert crop.shape == (size, size, 3)
    y, x = np.nonzero(crop[..., 0] > 127)
    for place in TEMPLATE * scale + [left, 0]:
        near = np.hypot(x - place[0], y - place[1]) < 9 * scale
        np.testing.assert_allclose([x[near].mean(), y[near].mean()], place, atol=0.6)


@pytest.mark.parametrize("size", [0, -112, 100, 160])
def test_sizes_without_a_template(size):
    with pytest.raises(InputError, match="size"):
        aligned_crops(noise(50, 50), np.zeros((0, 5, 2)), size)


@pytest.mark.parametrize("landmarks", [np.ones((1, 5, 2)), np.full((1, 5, 2), np.nan)])
def test_landmarks_without_an_alignment(landmarks):
    with pytest.raises(InputError, match=r"landmarks\[0\]"):
        aligned_crops(noise(50, 50), landmarks)


def area_in_loops(pixels, size):
    """The mean of the pixels under each new pixel, those covered in part in part."""
    height, width = pixels.shape[:2]
    crop = np.zeros((size, size, 3))
    for row, column in np.ndindex(size, size):
        y1, y2 = row * height / size, (row + 1) * height / size
        x1, x2 = column * width / size, (column + 1) * width / size
        for y in range(int(y1), min(int(np.ceil(y2)), height)):
            for x in range(int(x1), min(int(np.ceil(x2)), width)):
                weight = (min(y + 1, y2) - max(y, y1)) * (min(x + 1, x2) - max(x, x1))
                crop[row, column] += weight * pixels[y, x]
    return crop / (height * width / size**2)


# Boxes of the picture of 90 x 70, the size and margin, and the pixels that they are cut at:
# facenet-pytorch adds margin * side / (size - margin) / 2 on each side, clips, and drops fractions.
CUTS = [
    ((10, 20, 40, 50), 20, 0, (10, 20, 40, 50)),
    ((10.9, 20.2, 40.9, 50.7), 20, 0, (10, 20, 40, 50)),
    ((10, 20, 42, 60), 24, 8, (2, 10, 50, 70)),  # 8 * 32 / 16 / 2 = 8 and 8 * 40 / 16 / 2 = 10
    ((-5, -3, 20, 30), 16, 0, (0, 0, 20, 30)),
    ((60, 40, 120, 95), 16, 4, (50, 30, 90, 70)),
    ((30.5, 20.5, 34, 25), 16, 0, (30, 20, 34, 25)),  # enlarged
]


@pytest.mark.parametrize(("box", "size", "margin", "edges"), CUTS)
def test_area_crops_of_boxes(box, size, margin, edges):
    image = noise(70, 90)
    left, top, right, bottom = edges
    found = box_crops(image, [box], size, margin)
    expected = area_in_loops(image[top:bottom, left:right], size)
    if min(right - left, bottom - top) >= size:  # OpenCV's area is bilinear where one side grows
        np.testing.assert_allclose(found[0], expected, atol=0.51)
    reference = cv2.resize(
        image[top:bottom, left:right], (size, size), interpolation=cv2.INTER_AREA
    )
    np.testing.assert_array_equal(found[0], reference)


@pytest.mark.parametrize(("box", "size", "margin", "edges"), CUTS)
def test_bilinear_crops_of_boxes_are_pillows(box, size, margin, edges):
    image = noise(70, 90)
    found = box_crops(image, [box], size, margin, "bilinear")
    picture = Image.fromarray(image).crop(edges)
    # Rows first, which Pillow does by itself only up to version 12.
    for size_wh in [(size, picture.height), (size, size)]:
        picture = picture.resize(size_wh, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found[0], np.asarray(picture))


def test_no_boxes():
    assert box_crops(noise(9, 9), np.zeros((0, 4)), 160, 20).shape == (0, 160, 160, 3)
    assert aligned_crops(noise(9, 9), np.zeros((0, 5, 2))).shape == (0, 112, 112, 3)


@pytest.mark.parametrize(
    "box", [(100, 10, 120, 30), (-9, -9, 0, 0), (5, 5, 5, 9), (9, 9, 5, 5), (0, 0, np.nan, 9)]
)
def test_boxes_outside_the_picture(box):
    with pytest.raises(InputError, match=r"boxes\[1\]"):
        box_crops(noise(70, 90), [(0, 0, 9, 9), box], 16)


@pytest.mark.parametrize(("size", "margin"), [(0, 0), (16, 16), (16, -1)])
def test_sizes_and_margins_out_of_range(size, margin):
    with pytest.raises(InputError, match=r"margin|size"):
        box_crops(noise(9, 9), np.zeros((0, 4)), size, margin)
