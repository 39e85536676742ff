"""Maps between image, crop and heatmap pixels; all pixel conventions are defined here.

In each of the three frames, the centre of the top-left pixel is (0, 0), x points right and y down.
A crop shows a window of the image, which is given by its centre and size in image pixels and its
rotation.

Four published conventions relate a window of width w to a crop of width W and a heatmap of width
V, each named after the code that weights were trained with. Weights answer exactly only in their
own: a heatmap of another convention is displaced by up to half a pixel.

- ``official``: HRNet's authors (leoxiaobin/deep-high-resolution-net.pytorch, lib/utils/transforms)
  and mmpose, of which mmpose's DARK weights too: crop = (p - centre) * W / w + W / 2,
  heatmap = crop / stride. The default.
- ``udp`` (unbiased data processing, Huang et al. 2020; mmpose's UDP weights): sizes count intervals
  between pixel centres, on each axis by itself: crop = (p - centre) * (W - 1) / w + (W - 1) / 2,
  heatmap = crop * (V - 1) / (W - 1).
- ``darkpose``: DARK's authors (ilovepose/DarkPose, lib/utils/transforms). Windows count intervals
  too, and the width alone sets the scale: crop = (p - centre) * (W - 1) / (w - 1) + (W - 1) / 2,
  heatmap = (p - centre) * (V - 1) / (w - 1) + (V - 1) / 2. For crops that are not square a heatmap
  is no whole multiple of UDP's: 0.13 px lower at 192x256. Windows are ours; theirs are 1.25 px
  wider, which moves no point, since there and back are the same map.
- ``princeton``: the stacked hourglass's authors (princeton-vl/pytorch_stacked_hourglass, data/MPII
  and utils/group.py): crops are the official ones; targets are rounded down and half a pixel is
  added to what is found, so that heatmap = crop / stride - 1 / 2.

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

# By how many pixels a crop is less wide than its size, between where a window's edges map to.
_MARGINS: dict[Convention, int] = {"official": 0, "udp": 1, "darkpose": 1, "princeton": 0}


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

    The width of the window sets the scale of both axes, as in the official code; its height follows
    from the crop's aspect ratio. Only in the UDP convention has each axis a scale of its own, since
    191 and 255 intervals are not quite 3:4. A positive rotation turns the window clockwise in the
    image, so the person appears turned counter-clockwise in the crop. A window of ``darkpose`` that
    is narrower than 2 px counts as one of 2, since theirs would divide by zero.

    Args:
        centre_xy: (..., 2) centre of the window in image pixels.
        window_wh: (..., 2) size of the window in image pixels.
        size_wh: width and height of the crop in pixels.
        rotation_degrees: (...) of the window.

    Returns:
        (..., 2, 3): crop = matrix @ (x, y, 1).
    """
    margin = _MARGINS[convention]
    out_w, out_h = size_wh[0] - margin, size_wh[1] - margin
    width = window_wh[..., 0]
    scale_x = out_w / (xp.maximum(width - 1, 1.0) if convention == "darkpose" else width)
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


def crop_to_heatmap(
    size_wh: tuple[int, int], heatmap_wh: tuple[int, int], convention: Convention = "official"
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Factors (x, y) and shifts (x, y) in heatmap pixels: heatmap = crop * factor + shift.

    Args:
        size_wh: width and height of the crop in pixels.
        heatmap_wh: width and height of the heatmap in pixels.
    """
    margin = _MARGINS[convention]
    factor_x = (heatmap_wh[0] - margin) / (size_wh[0] - margin)
    factor_y = (heatmap_wh[1] - margin) / (size_wh[1] - margin)
    if convention == "darkpose":  # the middle of the crop is that of the heatmap
        middle = (heatmap_wh[1] - 1) / 2 - (size_wh[1] - 1) / 2 * factor_x
        return (factor_x, factor_x), (0.0, middle)
    shift = -0.5 if convention == "princeton" else 0.0
    return (factor_x, factor_y), (shift, shift)


def flip_displacement(stride: int, convention: Convention = "official") -> float:
    """How far right the heatmap of a mirrored crop belongs after it was mirrored back, in pixels.

    A mirrored crop has its point x at W - 1 - x, by which a heatmap's point x would be at
    V - 1 - x only where the convention keeps the outermost pixel centres.
    """
    if convention == "official":
        return (stride - 1) / stride
    return -1 / stride if convention == "princeton" else 0.0


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
