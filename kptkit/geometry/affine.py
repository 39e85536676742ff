"""Boxes to crops and back: the one owner of the pixel convention.

Frames: image pixels, crop pixels and heatmap pixels. In each, the centre of the top-left pixel is
(0, 0), x points right and y down. A crop shows a window of the image: its centre, its size in image
pixels, its rotation.

Two published conventions relate a window of width w to a crop of width W:

- ``official`` (HRNet, Sun et al. 2019): crop = (p - centre) * W / w + W / 2,
  heatmap = crop / stride.
- ``udp`` (unbiased data processing, Huang et al. 2020): sizes count intervals between pixel
  centres, crop = (p - centre) * (W - 1) / w + (W - 1) / 2,
  heatmap = crop * (heatmap_w - 1) / (W - 1).

The arithmetic is written once, over an array namespace `xp` (``numpy`` for the data pipeline,
``keras.ops`` inside exported graphs), and takes any leading batch dimensions.
"""

from typing import Any, Literal

import cv2
import numpy as np

Convention = Literal["official", "udp"]
Array = Any  # a NumPy array or a backend tensor, as `xp` says

# How much the published recipes enlarge a box before cropping.
PADDING = 1.25


def crop_window(
    box_xyxy: Array, size_wh: tuple[int, int], padding: float = PADDING, xp: Any = np
) -> tuple[Array, Array]:
    """The window that shows a box at the aspect ratio of a crop.

    The shorter side grows until the aspect fits; then both grow by `padding`.

    Args:
        box_xyxy: (..., 4) in image pixels.
        size_wh: the crop's width and height in pixels.

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

    Only the window's width sets the scale, as in the official code; its height follows from the
    crop's aspect ratio. In UDP's code each side has its own: 191 and 255 intervals are not quite
    3:4. A positive rotation turns the window clockwise in the image (y down), so the person appears
    turned counter-clockwise in the crop.

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


def flip_points(points_xy: Array, width: float, xp: Any = np) -> Array:
    """Points (..., 2) in a picture of `width` pixels after it is mirrored left to right."""
    return xp.stack([(width - 1) - points_xy[..., 0], points_xy[..., 1]], axis=-1)


def crop_to_heatmap_scale(
    size_wh: tuple[int, int], heatmap_wh: tuple[int, int], convention: Convention = "official"
) -> tuple[float, float]:
    """The factors (x, y) by which crop pixels become heatmap pixels; divide by them to return."""
    margin = 1 if convention == "udp" else 0
    return (
        (heatmap_wh[0] - margin) / (size_wh[0] - margin),
        (heatmap_wh[1] - margin) / (size_wh[1] - margin),
    )


def warp(image: np.ndarray, matrix: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """A crop (H, W, 3) uint8 of an image: bilinear, black outside, as every published recipe."""
    return cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR)


def warp_tensor(image: Array, matrices: Array, size_wh: tuple[int, int]) -> Array:
    """Crops of one image inside a graph: what `warp` gives, before rounding to whole grey levels.

    Written as gathers, because TensorFlow's own projective transform does not compile under XLA.

    Args:
        image: (H, W, 3), any numeric type.
        matrices: (N, 2, 3) float32, image to crop pixels.

    Returns:
        (N, height, width, 3) float32.
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
