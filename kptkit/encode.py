"""Keypoints to target heatmaps; `kptkit.decode` is the inverse.

A heatmap is one Gaussian with peak 1: the outer product of a profile along x and one along y. A
sample costs K * (W + H) exponentials and one multiplication per pixel, cheap enough to be computed
on the device, inside the compiled loss.
"""

from typing import Any, get_args

from keras import ops

from kptkit.checks import check_choice, check_number, check_shapes, check_size
from kptkit.conventions import Target

__all__ = ["encode"]

Tensor = Any


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__"])


def encode(
    keypoints: Tensor,
    heatmap_wh: tuple[int, int],
    heatmap_sigma: float,
    target: Target = "unbiased",
) -> tuple[Tensor, Tensor]:
    """Target heatmaps of keypoints.

    ``msra`` (Xiao et al. 2018, also HRNet) centres the Gaussian on the nearest pixel and cuts it to
    a square that reaches 3 sigma to each side. ``unbiased`` (DARK, Zhang et al. 2020) centres it on
    the keypoint itself and fills the whole map. As in the official code, the nearest pixel is
    int(x + 0.5), which truncates towards zero. If 3 sigma is not a whole number it is rounded down;
    the official code then draws the peak one pixel off.

    With both, a keypoint outside the map keeps its weight as long as the square touches the map.
    The official code also keeps a keypoint whose square ends just left of or above the map, with an
    all-zero target; here it gets weight 0, as on the other two sides.

    Args:
        keypoints: (B, K, 3): x, y in heatmap px and a weight. Weight 0 means not labelled. The
            coordinates of unlabelled keypoints are ignored; keypoints that are not finite count as
            unlabelled.
        heatmap_wh: width W and height H of the heatmaps.
        heatmap_sigma: standard deviation of the Gaussians in heatmap px.
        target: ``msra`` or ``unbiased``.

    Returns:
        heatmaps (B, H, W, K) float32, all zero where the weight is 0, and weights (B, K) float32.

    Raises:
        InputError: the target is unknown, or a number or shape cannot be used.
    """
    check_choice("encode: target", target, get_args(Target))
    check_size("encode: heatmap_wh", heatmap_wh)
    check_number("encode: heatmap_sigma", heatmap_sigma, "heatmap px above 0", low=1e-6)
    check_shapes("encode", keypoints=(keypoints, ("B", "K", 3)))
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
