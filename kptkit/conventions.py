"""The names of the published ways to crop, encode, train and decode, and their default sigma.

Recipes and flags name them without importing Keras. The code is in `kptkit.geometry.affine`,
`kptkit.encode`, `kptkit.losses` and `kptkit.decode`.
"""

from typing import Literal

# Whose code says how a window becomes a crop, and a crop a heatmap: see `kptkit.geometry.affine`.
# HRNet's authors (mmpose follows them, with DARK too); UDP's; DARK's authors; the hourglass's.
Convention = Literal["official", "udp", "darkpose", "princeton"]

# Gaussians around rounded centres (HRNet), or around exact ones (DARK): see `kptkit.encode`.
Target = Literal["msra", "unbiased"]

# Mean squared error, the same over the hardest keypoints, or spatial cross-entropy: see
# `kptkit.losses`.
HeatmapLossName = Literal["mse", "ohkm", "cross_entropy"]

# How heatmaps are decoded, and how far a mirrored one is moved back: see `kptkit.decode`.
Method = Literal["argmax", "quarter", "dark"]
Alignment = Literal["fractional", "whole_pixel", "none"]


def heatmap_sigma(heatmap_wh: tuple[int, int]) -> float:
    """The default standard deviation of targets in heatmap px: longer side / 32, at least 1.

    It gives the published values: 2 for 48x64 and 64x64, 3 for 72x96.
    """
    return max(1.0, max(heatmap_wh) / 32)
