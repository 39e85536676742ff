"""Cuts square windows out of a picture and resizes them by area averaging, as the cascade does.

A crop of side S divides its window into S x S equal cells, and each crop pixel is the mean of its
cell. A picture pixel that lies partly in a cell counts by the share inside; outside the picture all
is black. OpenCV's INTER_AREA computes this directly. For large windows it is faster to take
differences of an interpolated integral image (Crow 1984). The two agree to one grey level.
"""

import cv2
import numpy as np

# The integral image is faster for windows whose side exceeds this many times the crop's side.
_WIDE = 4
# The largest picture whose sums fit the integral image's int32.
_INTEGRAL_PIXELS = (2**31 - 1) // 255
# Crop pixels computed at once, so that the intermediate arrays stay in the CPU cache.
_STEP_PIXELS = 4_000


def cut_windows(image: np.ndarray, windows_xyxy: np.ndarray, size: int) -> np.ndarray:
    """Cuts windows out of a picture and resizes them: (N, size, size, 3) uint8.

    Args:
        image: (H, W, 3) uint8.
        windows_xyxy: (N, 4) whole numbers in image pixels; at least one pixel wide and high, and
            square to within a pixel (see `kptkit.geometry.face_windows.square`). They may lie
            partly or wholly outside the picture.
        size: side of the crops in pixels.
    """
    windows = np.asarray(windows_xyxy, np.int64).reshape(-1, 4)
    crops = np.empty((len(windows), size, size, 3), np.uint8)
    height, width = image.shape[:2]
    wide = windows[:, 2] - windows[:, 0] > _WIDE * size
    if height * width > _INTEGRAL_PIXELS:
        wide[:] = False
    size_wh = (size, size)
    for place, window in zip(np.flatnonzero(~wide), windows[~wide].tolist(), strict=True):
        cv2.resize(_padded(image, window), size_wh, crops[place], interpolation=cv2.INTER_AREA)
    if wide.any():
        crops[wide] = _from_integral(cv2.integral(image), windows[wide], size)
    return crops


def _padded(image: np.ndarray, window: list[int]) -> np.ndarray:
    """The pixels of a window before resizing, black where it leaves the picture."""
    left, top, right, bottom = window
    height, width = image.shape[:2]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return image[top:bottom, left:right]
    patch = np.zeros((bottom - top, right - left, 3), np.uint8)
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    row, column = max(-top, 0), max(-left, 0)
    patch[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return patch


def _from_integral(integral: np.ndarray, windows: np.ndarray, size: int) -> np.ndarray:
    """Crops (N, size, size, 3) of windows (N, 4), from the integral image (H + 1, W + 1, 3)."""
    step = max(1, _STEP_PIXELS // size**2)
    groups = [windows[first : first + step] for first in range(0, len(windows), step)]
    return np.concatenate([_cell_means(integral, group, size) for group in groups])


def _cell_means(integral: np.ndarray, windows: np.ndarray, size: int) -> np.ndarray:
    """The same, for all windows at once."""
    height, width = integral.shape[0] - 1, integral.shape[1] - 1
    side = (windows[:, 2] - windows[:, 0]) / size
    lines = windows[:, :2, None] + side[:, None, None] * np.arange(size + 1)
    lines = np.clip(lines, 0, [[width], [height]])
    low = np.minimum(lines.astype(np.int64), [[width - 1], [height - 1]])
    fraction = lines - low
    across, down = np.repeat(fraction[:, :1], 3, axis=2), fraction[:, 1, :, None]
    # The integral at the corners of the cells, interpolated between the four nearest entries.
    # Columns and channels share one axis, (N, S + 1, 3 S + 3), to make NumPy's inner loops long.
    corner = low[:, 1, :, None] * (width + 1) + low[:, 0, None, :]
    flat = len(windows), size + 1, 3 * (size + 1)

    def sums(offset: int) -> np.ndarray:
        return integral.reshape(-1, 3).take(corner + offset, axis=0).reshape(flat)

    upper, lower = sums(0), sums(width + 1)
    upper = upper + (sums(1) - upper) * across
    lower = lower + (sums(width + 2) - lower) * across
    crossings = upper + (lower - upper) * down
    rows = crossings[:, 1:] - crossings[:, :-1]
    cells = (rows[..., 3:] - rows[..., :-3]) / np.square(side)[:, None, None]
    return np.rint(cells).astype(np.uint8).reshape(-1, size, size, 3)
