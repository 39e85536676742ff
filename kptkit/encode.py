"""Keypoints to target heatmaps: what a network is trained to draw, decoded by `kptkit.decode`.

A heatmap is one Gaussian with peak 1: the outer product of a profile along x and one along y. A
sample costs K * (W + H) exponentials and one multiplication per pixel, cheap enough to be made on
the device, inside the compiled loss.
"""

from typing import Any, Literal, get_args

from keras import ops

from kptkit.errors import InputError

Target = Literal["msra", "unbiased"]
Tensor = Any


def heatmap_sigma(heatmap_wh: tuple[int, int]) -> float:
    """The target's standard deviation in heatmap px: a 32nd of the longer side, at least 1.

    The published values are among them: 2 for 48x64 and 64x64, 3 for 72x96.
    """
    return max(1.0, max(heatmap_wh) / 32)


def encode(
    keypoints: Tensor,
    heatmap_wh: tuple[int, int],
    heatmap_sigma: float,
    target: Target = "unbiased",
) -> tuple[Tensor, Tensor]:
    """Target heatmaps of keypoints.

    ``msra`` (Xiao et al. 2018, and HRNet) draws the Gaussian around the nearest pixel, on a square
    of 3 sigma to each side; ``unbiased`` (DARK, Zhang et al. 2020) around the keypoint itself, on
    the whole map. The nearest pixel is that of the official code, int(x + 0.5), which truncates
    towards zero. Where 3 sigma is not whole it is rounded down; there the official code draws the
    peak a pixel off.

    For both, a keypoint outside the map keeps its weight as long as the square touches the map.
    The official code also keeps those whose square ends just left of or above the map, with a
    target that is all zero; here they get weight 0, as on the other two sides.

    Args:
        keypoints: (B, K, 3): x, y in heatmap px, and a weight. Weight 0 means not labelled; its
            coordinates are ignored, and so are keypoints that are not finite.
        heatmap_wh: width W and height H of the heatmaps.
        heatmap_sigma: in heatmap px.

    Returns:
        heatmaps (B, H, W, K) float32, all zero where the weight is 0, and weights (B, K) float32.
    """
    if target not in get_args(Target):
        raise InputError(f"encode: target: found {target!r}, expected msra or unbiased")
    keypoints = ops.cast(keypoints, "float32")
    labelled = ops.all(ops.isfinite(keypoints), axis=-1) & (keypoints[..., 2] > 0)
    keypoints = ops.where(labelled[..., None], keypoints, 0.0)
    radius = int(3 * heatmap_sigma)
    weights, profiles = keypoints[..., 2], []
    for axis, size in enumerate(heatmap_wh):
        nearest = ops.trunc(keypoints[..., axis] + 0.5)
        weights = ops.where((nearest >= -radius) & (nearest < size + radius), weights, 0.0)
        centre = nearest if target == "msra" else keypoints[..., axis]
        distance = ops.arange(size, dtype="float32")[:, None] - centre[:, None, :]
        profile = ops.exp(-0.5 * ops.square(distance / heatmap_sigma))
        if target == "msra":
            profile = ops.where(ops.abs(distance) <= radius, profile, 0.0)
        profiles.append(profile)
    along_x, along_y = profiles  # (B, W, K), (B, H, K)
    along_y = ops.where(weights[:, None, :] > 0, along_y, 0.0)
    return along_y[:, :, None, :] * along_x[:, None, :, :], weights
