"""Maps between image, crop and heatmap pixels; all pixel conventions are defined here.

In each of the three frames, the centre of the top-left pixel is (0, 0), x points right and y down.
A crop shows a window of the image, which is given by its centre and size in image pixels and its
rotation.

Two published conventions relate a window of width w to a crop of width W:

- ``official`` (HRNet, Sun et al. 2019): crop = (p - centre) * W / w + W / 2,
  heatmap = crop / stride.
- ``udp`` (unbiased data processing, Huang et al. 2020): sizes count intervals between pixel
  centres, crop = (p - centre) * (W - 1) / w + (W - 1) / 2,
  heatmap = crop * (heatmap_w - 1) / (W - 1).

The arithmetic is written once, over an array namespace `xp` (``numpy`` for the data pipeline,
``keras.ops`` inside exported graphs), and takes any leading batch dimensions.
"""

from typing import Any

import cv2
import numpy as np

from kptkit.conventions import Convention

Array = Any  # an array of the namespace `xp`: NumPy array or backend tensor

# How much the published recipes enlarge a box before cropping.
PADDING = 1.25


def crop_window(
    box_xyxy: Array, size_wh: tuple[int, int], padding: float = PADDING, xp: Any = np
) -> tuple[Array, Array]:
    """The window around a box that has the aspect ratio of the crop.

    One side of the box is enlarged to reach that aspect ratio, then both sides by `padding`.

    Args:
        box_xyxy: (..., 4) in image pixels.
        size_wh: width and height of the crop in pixels.
        padding: the factor by which the window is enlarged.

    Returns:
        centre_xy (..., 2) and window_wh (..., 2) in image pixels.
    """
    low, high = box_xyxy[..., :2], box_xyxy[..., 2:]
    centre_xy = (low + high) * 0.5
    aspect = size_wh[0] / size_wh[1]
    width, height = high[..., 0] - low[..., 0], high[..., 1] - low[..., 1]
    width = xp.maximum(width, height * aspect) * padding
    return centre_xy, xp.stack([width, width / aspect], axis=-1)


def crop_matrix(
    centre_xy: Array,
    window_wh: Array,
    size_wh: tuple[int, int],
    rotation_degrees: Array = 0.0,
    convention: Convention = "official",
    xp: Any = np,
) -> Array:
    """The affine map from image pixels to crop pixels.

    In the official convention the width of the window sets the scale of both axes, as in the
    official code; its height follows from the crop's aspect ratio. In the UDP convention each axis
    has a scale of its own, since 191 and 255 intervals are not quite 3:4. A positive rotation turns
    the window clockwise in the image, so the person appears turned counter-clockwise in the crop.

    Args:
        centre_xy: (..., 2) centre of the window in image pixels.
        window_wh: (..., 2) size of the window in image pixels.
        size_wh: width and height of the crop in pixels.
        rotation_degrees: (...) of the window.

    Returns:
        (..., 2, 3): crop = matrix @ (x, y, 1).
    """
    margin = 1 if convention == "udp" else 0
    out_w, out_h = size_wh[0] - margin, size_wh[1] - margin
    scale_x = out_w / window_wh[..., 0]
    scale_y = out_h / window_wh[..., 1] if convention == "udp" else scale_x
    radians = xp.multiply(rotation_degrees, np.pi / 180.0) + xp.zeros_like(scale_x)
    x, y = centre_xy[..., 0], centre_xy[..., 1]
    cos, sin = xp.cos(radians) * scale_x, xp.sin(radians) * scale_x
    top = xp.stack([cos, sin, out_w / 2 - cos * x - sin * y], axis=-1)
    cos, sin = xp.cos(radians) * scale_y, xp.sin(radians) * scale_y
    bottom = xp.stack([-sin, cos, out_h / 2 + sin * x - cos * y], axis=-1)
    return xp.stack([top, bottom], axis=-2)


def invert(matrix: Array, xp: Any = np) -> Array:
    """The inverse of affine maps (..., 2, 3)."""
    a, b, c = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2]
    d, e, f = matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2]
    det = a * e - b * d
    top = xp.stack([e, -b, b * f - c * e], axis=-1)
    bottom = xp.stack([-d, a, c * d - a * f], axis=-1)
    return xp.stack([top, bottom], axis=-2) / det[..., None, None]


def compose(outer: Array, inner: Array, xp: Any = np) -> Array:
    """The affine map that applies `inner` first, then `outer`; both (..., 2, 3)."""
    linear = xp.matmul(outer[..., :2], inner[..., :2])
    shift = xp.matmul(outer[..., :2], inner[..., 2:]) + outer[..., 2:]
    return xp.concatenate([linear, shift], axis=-1)


def transform_points(matrix: Array, points_xy: Array, xp: Any = np) -> Array:
    """Points (..., N, 2) mapped by affine maps (..., 2, 3)."""
    return xp.matmul(points_xy, xp.swapaxes(matrix[..., :2], -1, -2)) + matrix[..., None, :, 2]


def flip_points(points_xy: Array, width: float | np.ndarray, xp: Any = np) -> Array:
    """Points (..., 2) of a picture `width` pixels wide, mirrored left to right.

    For the points (B, 2) of B pictures, `width` may be (B,).
    """
    return xp.stack([(width - 1) - points_xy[..., 0], points_xy[..., 1]], axis=-1)


def crop_to_heatmap_scale(
    size_wh: tuple[int, int], heatmap_wh: tuple[int, int], convention: Convention = "official"
) -> tuple[float, float]:
    """The factors (x, y) from crop pixels to heatmap pixels; divide by them for the inverse."""
    margin = 1 if convention == "udp" else 0
    return (
        (heatmap_wh[0] - margin) / (size_wh[0] - margin),
        (heatmap_wh[1] - margin) / (size_wh[1] - margin),
    )


def warp(image: np.ndarray, matrix: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Cuts a crop out of an image: bilinear, black outside, as in every published recipe.

    Args:
        image: (h, w, channels) uint8.
        matrix: (2, 3) from image to crop pixels.
        size_wh: width W and height H of the crop in pixels.

    Returns:
        (H, W, channels) uint8.
    """
    return cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR)


def warp_tensor(image: Array, matrices: Array, size_wh: tuple[int, int]) -> Array:
    """Cuts crops out of one image inside a graph: as `warp`, but not rounded to whole grey levels.

    Written with gathers, because TensorFlow's projective transform does not compile under XLA.

    Args:
        image: (h, w, 3), any numeric type.
        matrices: (N, 2, 3) float32, from image to crop pixels.
        size_wh: width W and height H of the crops in pixels.

    Returns:
        (N, H, W, 3) float32.
    """
    from keras import ops

    width, height = size_wh
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    source = transform_points(invert(matrices, ops), ops.cast(grid, "float32"), ops)
    low = ops.floor(source)
    fraction = source - low
    image_h, image_w = ops.shape(image)[0], ops.shape(image)[1]
    flat = ops.reshape(image, (-1, ops.shape(image)[2]))

    def corner(dx: int, dy: int) -> Array:
        x, y = low[..., 0] + dx, low[..., 1] + dy
        last_x, last_y = ops.cast(image_w, "float32") - 1, ops.cast(image_h, "float32") - 1
        inside = (x >= 0) & (x <= last_x) & (y >= 0) & (y <= last_y)
        column = ops.cast(ops.clip(x, 0, last_x), "int32")
        row = ops.cast(ops.clip(y, 0, last_y), "int32")
        weight_x = fraction[..., 0] if dx else 1 - fraction[..., 0]
        weight_y = fraction[..., 1] if dy else 1 - fraction[..., 1]
        weight = ops.where(inside, weight_x * weight_y, 0.0)
        pixels = ops.cast(ops.take(flat, row * image_w + column, axis=0), "float32")
        return pixels * weight[..., None]

    crop = corner(0, 0) + corner(1, 0) + corner(0, 1) + corner(1, 1)
    return ops.reshape(crop, (-1, height, width, 3))
