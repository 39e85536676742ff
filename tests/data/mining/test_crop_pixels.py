import numpy as np
import pytest

from kptkit.data.mining import crop_pixels
from kptkit.data.mining.crop_pixels import cut_windows


def area_means(image, window, size):
    """The mean of each cell in plain loops over pixels; black outside the picture."""
    height, width = image.shape[:2]
    left, top, right, _ = (int(v) for v in window)
    cell = (right - left) / size
    crop = np.zeros((size, size, 3))
    for row in range(size):
        for column in range(size):
            for y in range(int(np.floor(top + row * cell)), int(np.ceil(top + (row + 1) * cell))):
                for x in range(
                    int(np.floor(left + column * cell)), int(np.ceil(left + (column + 1) * cell))
                ):
                    if 0 <= x < width and 0 <= y < height:
                        high = min(y + 1, top + (row + 1) * cell) - max(y, top + row * cell)
                        wide = min(x + 1, left + (column + 1) * cell)
                        wide -= max(x, left + column * cell)
                        crop[row, column] += image[y, x] * max(high, 0) * max(wide, 0)
    return crop / cell**2


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 53, 3)).astype(np.uint8)


WINDOWS = {
    "none": np.zeros((0, 4), int),
    "one pixel": [[7, 9, 8, 10]],
    "enlarged": [[3, 4, 6, 7], [10, 0, 15, 5]],
    "as it is": [[5, 6, 11, 12]],
    "shrunk": [[0, 0, 40, 40], [13, 3, 50, 40], [2, 1, 9, 8]],
    "beyond every edge": [[-7, -9, 63, 61], [-3, 5, 8, 16], [30, 20, 67, 57]],
    "outside": [[60, 0, 70, 10], [-20, -20, -10, -10], [0, 45, 33, 78]],
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("way", ["pixels", "integral"])
def test_crops_are_means_of_areas(image, name, way, monkeypatch):
    monkeypatch.setattr(crop_pixels, "_WIDE", 1e9 if way == "pixels" else 0)
    windows = np.array(WINDOWS[name])
    crops = cut_windows(image, windows, 6)
    assert crops.shape == (len(windows), 6, 6, 3)
    assert crops.dtype == np.uint8
    for window, crop in zip(windows, crops, strict=True):
        np.testing.assert_allclose(crop, area_means(image, window, 6), atol=0.8)


def test_crops_of_many_windows_keep_their_order(image):
    rng = np.random.default_rng(1)
    side = rng.integers(1, 60, 300)
    corner = rng.integers(-20, 40, (300, 2))
    windows = np.concatenate([corner, corner + side[:, None]], axis=1)
    crops = cut_windows(image, windows, 4)
    for window, crop in zip(windows[::17], crops[::17], strict=True):
        np.testing.assert_allclose(crop, area_means(image, window, 4), atol=0.8)


def test_a_picture_too_large_for_32_bit_sums_is_cut_pixel_by_pixel(image, monkeypatch):
    expected = cut_windows(image, [[0, 0, 40, 40]], 6)
    monkeypatch.setattr(crop_pixels, "_INTEGRAL_PIXELS", 100)
    monkeypatch.setattr(crop_pixels.cv2, "integral", None)
    assert np.abs(cut_windows(image, [[0, 0, 40, 40]], 6).astype(int) - expected).max() <= 1
