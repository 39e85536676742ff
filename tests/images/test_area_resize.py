"""Area resizing in a graph against OpenCV and loops over pixels, also outside the picture."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kptkit.images.area_resize import area_crops, area_resize


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def mean_in_loops(image, window, size):
    """Each crop pixel as the mean of the picture, black around it, over its cell of the window."""
    left, top, right, bottom = window
    crop = np.zeros((size, size, 3))
    step_x, step_y = (right - left) / size, (bottom - top) / size
    for row in range(size):
        for column in range(size):
            x1, y1 = left + column * step_x, top + row * step_y
            for y in range(max(int(y1), 0), min(int(np.ceil(y1 + step_y)), image.shape[0])):
                for x in range(max(int(x1), 0), min(int(np.ceil(x1 + step_x)), image.shape[1])):
                    covered = min(x + 1, x1 + step_x) - max(x, x1)
                    covered *= min(y + 1, y1 + step_y) - max(y, y1)
                    crop[row, column] += max(covered, 0) * image[y, x]
    return crop / (step_x * step_y)


@pytest.mark.parametrize(
    ("height", "width", "new_hw"),
    [
        (1, 1, (1, 1)),
        (40, 60, (20, 30)),
        (41, 67, (25, 41)),
        (300, 37, (37, 5)),
        (41, 67, (50, 81)),  # enlarging
        (7, 5, (48, 48)),
        (5, 5, (12, 13)),
    ],
)
def test_area_resize_is_opencvs(height, width, new_hw):
    image = noise(height, width)
    expected = cv2.resize(image.astype(np.float64), new_hw[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(area_resize(image, new_hw), expected, atol=0.05)


def test_area_crops():
    image = noise(30, 40)
    windows = [
        (0, 0, 24, 24),
        (3, 5, 20, 22),
        (10, 2, 38, 29),  # 28 wide, 27 high
        (7, 7, 8, 8),
        (-6, -9, 30, 27),  # over the corner
        (20, 11, 70, 61),
        (-5, -7, 55, 53),  # around the whole picture
        (45, 3, 57, 15),  # beside it
    ]
    cut = tf.function(area_crops, autograph=False)
    crops = cut(tf.constant(image), tf.constant(windows, tf.int32), 12)
    expected = [mean_in_loops(image, window, 12) for window in windows]
    np.testing.assert_allclose(crops, expected, atol=0.05)
    assert np.all(crops[-1] == 0)


def test_no_window():
    cut = tf.function(area_crops, autograph=False)
    crops = cut(tf.constant(noise(5, 5)), tf.zeros((0, 4), tf.int32), 24)
    assert crops.shape == (0, 24, 24, 3)
