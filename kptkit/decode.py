"""Heatmaps to keypoints: one decoder for body joints and face landmarks.

Everything compiles under XLA: shapes are static, and there is no convolution, because a one-channel
blur is slow under XLA on a CPU. The maps are read once to find their peaks; after that only a small
window around each peak is read. Heatmap px: the centre of the top-left pixel is (0, 0).
"""

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from keras import ops

from kptkit.checks import check_choice, check_number, check_shapes
from kptkit.conventions import Alignment, Convention, Method
from kptkit.errors import InputError
from kptkit.geometry.affine import flip_displacement

__all__ = ["blur_radius", "decode", "flip_back", "heatmaps_from_logits"]

Tensor = Any


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__"])


def decode(heatmaps: Tensor, method: Method = "dark", heatmap_sigma: float = 2.0) -> Tensor:
    """The peak of every heatmap.

    ``argmax`` takes the highest pixel; of equal pixels, the first in reading order. ``quarter``
    moves from there a quarter of a pixel towards the higher neighbour on each axis (Newell et al.
    2016), only where 1 < x < W - 1 and 1 < y < H - 1, as lib/core/inference.py of HRNet's authors
    (leoxiaobin/deep-high-resolution-net.pytorch). ``dark`` moves to the top of a Gaussian around
    the highest pixel (DARK, Zhang et al. 2020), away from the border as lib/core/inference.py of
    its authors (ilovepose/DarkPose); theirs takes no step within 2 px of the border and any step
    elsewhere. It helps only with the ``unbiased`` target, since an ``msra`` target does not encode
    the fraction of a pixel.

    Points are in heatmap px; `kptkit.network.heatmaps_to_crop` maps them to crop px by the recipe's
    convention, by default that of HRNet's authors. It is not part of the decoder: weights from
    DARK's or the hourglass's own code need theirs (see `kptkit.geometry.affine`).

    Args:
        heatmaps: (B, H, W, K), any float type.
        heatmap_sigma: standard deviation of the targets in heatmap px; only ``dark`` uses it.

    Returns:
        (B, K, 3) float32: x, y in heatmap px and the score, which is the value of the highest
        pixel. All zero for a map without a peak: constant, nowhere above 0, or not finite.

    Raises:
        InputError: the method is unknown, or sigma or the shape cannot be used.
    """
    check_choice("decode: method", method, get_args(Method))
    _check_maps("decode", heatmaps, heatmap_sigma)
    heatmaps = ops.cast(heatmaps, "float32")
    x, y, score, found = _peaks(heatmaps)
    if method == "argmax":
        step_x, step_y = 0.0, 0.0
    elif method == "quarter":
        step_x, step_y = _quarter_step(heatmaps, x, y)
    else:
        step_x, step_y = _dark_step(heatmaps, x, y, heatmap_sigma)
    x, y = ops.cast(x, "float32") + step_x, ops.cast(y, "float32") + step_y
    return ops.where(found[..., None], ops.stack([x, y, score], axis=-1), 0.0)


def _peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Column, row and value of the highest pixel, and whether the map has a peak: each (B, K)."""
    width = heatmaps.shape[2]
    # Pooling over whole rows takes their maximum, twice as fast as a reduction in a TF graph. The
    # strides are the default ones, but without them Keras's JAX backend fails.
    row_peaks = ops.max_pool(heatmaps, (1, width), (1, width), data_format="channels_last")
    row_peaks = ops.swapaxes(row_peaks[:, :, 0], 1, 2)
    y = ops.top_k(row_peaks, 1)[1]
    row = _gather(heatmaps, y, np.arange(width, dtype="int32"))[..., 0, :]
    peak, x = ops.top_k(row, 1)
    x, y, peak = x[..., 0], y[..., 0], peak[..., 0]
    # `initial`, because without it Keras refuses an empty batch.
    lowest = ops.minimum(
        ops.min(row_peaks, axis=-1, initial=np.inf), ops.min(row, axis=-1, initial=np.inf)
    )
    # A sum propagates every NaN and infinity; maxima and top_k treat them differently per backend.
    finite = ops.isfinite(ops.sum(ops.sum(heatmaps, axis=1), axis=1))
    return x, y, peak, finite & (peak > 0) & (peak > lowest)


def _check_maps(where: str, heatmaps: Tensor, heatmap_sigma: float) -> None:
    check_number(f"{where}: heatmap_sigma", heatmap_sigma, "heatmap px above 0", low=1e-6)
    check_shapes(where, heatmaps=(heatmaps, ("B", "H", "W", "K")))


def _gather(heatmaps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels (B, K, R, C) of each map at rows (B, K, R) and columns (B, K, C) or (C,).

    Indices outside the map give the pixel at its border.
    """
    batch, (height, width, num_keypoints) = ops.shape(heatmaps)[0], heatmaps.shape[1:]
    sample = ops.arange(batch, dtype="int32")[:, None, None]
    keypoint = np.arange(num_keypoints, dtype="int32")[:, None]
    lines = (sample * height + ops.clip(rows, 0, height - 1)) * width
    lines = lines * num_keypoints + keypoint
    columns = ops.clip(columns, 0, width - 1) * num_keypoints
    return ops.take(ops.reshape(heatmaps, (-1,)), lines[..., None] + columns[..., None, :])


def _quarter_step(heatmaps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """From the highest pixel a quarter of a pixel towards its higher neighbours: each (B, K)."""
    height, width = heatmaps.shape[1:3]
    around = np.arange(-1, 2, dtype="int32")
    near = _gather(heatmaps, y[..., None] + around, x[..., None] + around)
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    step_x = 0.25 * ops.sign(near[..., 1, 2] - near[..., 1, 0])
    step_y = 0.25 * ops.sign(near[..., 2, 1] - near[..., 0, 1])
    return ops.where(inside, step_x, 0.0), ops.where(inside, step_y, 0.0)


def blur_radius(heatmap_sigma: float) -> int:
    """Radius of DARK's blur kernel in heatmap px: 2, 5 and 8 for sigma 1, 2 and 3.

    The kernel size (5, 11, 17) is the odd one whose sigma by OpenCV's rule,
    0.3 ((size - 1) / 2 - 1) + 0.8, is nearest to that of the target. A blur as wide as the target
    is its matched filter.
    """
    return max(1, round((heatmap_sigma - 0.5) / 0.3))


def _dark_step(
    heatmaps: Tensor, x: Tensor, y: Tensor, heatmap_sigma: float
) -> tuple[Tensor, Tensor]:
    """From the highest pixel to the top of the Gaussian: each (B, K) in heatmap px.

    It is a Newton step on the logarithm of the blurred map. There is no step where the logarithm is
    not curved downwards, and on each axis the step is clipped to sigma, since without a clear peak
    the published step may leave the map. A limit of 1 px would be too small for wide blobs, where
    noise can move the highest pixel further than that.
    """
    height, width = heatmaps.shape[1:3]
    centre_x, spacing_x, along_x = _stencil(x, width, heatmap_sigma)
    centre_y, spacing_y, along_y = _stencil(y, height, heatmap_sigma)
    reach = along_x.shape[-1] // 2
    around = np.arange(-reach, reach + 1, dtype="int32")
    window = _gather(heatmaps, centre_y[..., None] + around, centre_x[..., None] + around)
    # Not matmul: a GPU rounds its factors to 10 bits (TF32), which costs 1e-3 px.
    rows = ops.sum(along_y[..., :, :, None] * window[..., None, :, :], axis=-2)
    blurred = ops.sum(rows[..., :, None, :] * along_x[..., None, :, :], axis=-1)
    log = ops.log(ops.maximum(blurred, 1e-10))

    dx = 0.5 * (log[..., 2, 3] - log[..., 2, 1])
    dy = 0.5 * (log[..., 3, 2] - log[..., 1, 2])
    dxx = (log[..., 2, 4] - 2 * log[..., 2, 2] + log[..., 2, 0]) / ops.square(spacing_x)
    dyy = (log[..., 4, 2] - 2 * log[..., 2, 2] + log[..., 0, 2]) / ops.square(spacing_y)
    dxy = 0.25 * (log[..., 3, 3] - log[..., 1, 3] - log[..., 3, 1] + log[..., 1, 1])
    determinant = dxx * dyy - dxy * dxy
    peaked = (dxx < 0) & (determinant > 0)
    determinant = ops.where(peaked, determinant, 1.0)
    step_x = ops.cast(centre_x - x, "float32") + (dxy * dy - dyy * dx) / determinant
    step_y = ops.cast(centre_y - y, "float32") + (dxy * dx - dxx * dy) / determinant
    return (
        ops.where(peaked, ops.clip(step_x, -heatmap_sigma, heatmap_sigma), 0.0),
        ops.where(peaked, ops.clip(step_y, -heatmap_sigma, heatmap_sigma), 0.0),
    )


def _stencil(peak: Tensor, size: int, heatmap_sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where along one axis the blurred map is sampled, and the kernels that sample it there.

    Away from the border this is DARK: the map is blurred over `blur_radius`, and second differences
    span 2 px. Where that would cross the border, differences span 1 px and the blur is shortened,
    equally on both sides, to stay in the map; on the border itself the centre moves one pixel
    inwards. A Gaussian under a symmetric blur stays (nearly) a Gaussian, so each variant finds its
    top.

    Args:
        peak: (B, K) coordinate of the highest pixel on this axis.
        size: of the map on this axis, in heatmap px.

    Returns:
        centre (B, K); spacing (B, K) float32 of the second difference; and kernels (B, K, 5, P)
        that compute the blurred map at centre + (-spacing, -1, 0, 1, spacing) from the P pixels
        around the centre. Kernels are not normalised, as a common factor drops out of the
        differences of logarithms.
    """
    radius = blur_radius(heatmap_sigma)
    pixels = np.arange(-radius - 2, radius + 3)
    spacings, kernels = [], []
    for room in range(radius + 3):  # pixels between the peak and the nearer border
        spacing = 2 if room == radius + 2 else 1
        reach = min(radius, max(room, 1) - spacing)
        distance = np.abs(pixels - np.array([-spacing, -1, 0, 1, spacing])[:, None])
        kernel = np.exp(-0.5 * (distance / heatmap_sigma) ** 2) * (distance <= reach)
        spacings.append(spacing)
        kernels.append(kernel)
    room = ops.minimum(ops.minimum(peak, size - 1 - peak), radius + 2)
    centre = ops.clip(peak, 1, max(1, size - 2))
    return (
        centre,
        ops.take(np.array(spacings, "float32"), room, axis=0),
        ops.take(np.array(kernels, "float32"), room, axis=0),
    )


def flip_back(
    heatmaps: Tensor,
    flip_permutation: Sequence[int],
    alignment: Alignment = "fractional",
    stride: int = 4,
    convention: Convention = "official",
) -> Tensor:
    """Mirrors the heatmaps of a mirrored crop back, to be averaged with those of the crop.

    In the official convention crop px are stride times heatmap px, so after mirroring back the map
    lies (stride - 1) / stride heatmap px too far left. ``fractional``, the default and ours, moves
    it to where it belongs in its convention, ``whole_pixel`` 1 right as the code of HRNet's authors
    does, and ``none`` does not move it, as the code of UDP, DARK and the hourglass. A fractional
    move interpolates cubically between four pixels; linear interpolation would leave an error of
    0.01 px at sigma 1. Columns beyond the map repeat its border.

    Args:
        heatmaps: (B, H, W, K) of the mirrored crop.
        flip_permutation: K indices; entry k is the keypoint that k becomes in a mirrored picture.
        stride: crop px per heatmap px.
        convention: how crop px become heatmap px, see `kptkit.geometry.affine`.

    Returns:
        (B, H, W, K), of the same dtype.

    Raises:
        InputError: an argument cannot be used.
    """
    permutation = np.array(flip_permutation)
    if permutation.ndim != 1 or sorted(permutation.tolist()) != list(range(len(permutation))):
        raise InputError(
            f"flip_back: flip_permutation: {flip_permutation!r:.99}, expected every index from 0 "
            "once"
        )
    check_choice("flip_back: alignment", alignment, get_args(Alignment))
    check_number("flip_back: stride", stride, "a whole number of at least 1", low=1, whole=True)
    check_shapes("flip_back", heatmaps=(heatmaps, ("B", "H", "W", len(permutation))))
    heatmaps = ops.take(heatmaps, permutation, axis=-1)
    exact = flip_displacement(stride, convention)
    shift = {"fractional": exact, "whole_pixel": 1.0, "none": 0.0}[alignment]
    width, offsets, moved = heatmaps.shape[2], np.arange(-1, 3) + math.floor(-shift), 0.0
    for offset in offsets:
        others = offsets[offsets != offset]
        weight = np.prod((-shift - others) / (offset - others))
        if weight != 0:
            columns = np.clip(np.arange(width) + offset, 0, width - 1)
            moved += float(weight) * ops.take(heatmaps, width - 1 - columns, axis=2)
    return moved


def heatmaps_from_logits(logits: Tensor, heatmap_sigma: float) -> Tensor:
    """Turns the logits of a network trained by spatial cross-entropy into heatmaps.

    The softmax over each map estimates the target divided by its sum. Multiplied by that sum,
    2 pi sigma^2, it has the scale of a target. If its peak would exceed 1 (near the border the sum
    of the target is smaller), the whole map is scaled to peak 1, which keeps its shape.

    Args:
        logits: (B, H, W, K).
        heatmap_sigma: standard deviation of the targets in heatmap px.

    Returns:
        (B, H, W, K) float32 in 0..1.

    Raises:
        InputError: sigma or the shape cannot be used.
    """
    _check_maps("heatmaps_from_logits", logits, heatmap_sigma)
    logits = ops.cast(logits, "float32")
    shape = ops.exp(logits - ops.max(logits, axis=(1, 2), keepdims=True, initial=-np.inf))
    peak = 2 * math.pi * heatmap_sigma**2 / ops.sum(shape, axis=(1, 2), keepdims=True)
    return shape * ops.minimum(peak, 1.0)
