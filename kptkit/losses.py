"""Losses: pure functions of tensors and weights with one result per sample.

Weights are arguments, and what has weight 0 is replaced before the arithmetic, so that neither its
value nor its gradient can be NaN; a sample without any weight gives 0. Everything is computed in
float32 whatever the policy.
"""

from collections.abc import Callable
from typing import Any, Literal

import keras
from keras import ops

from kptkit import affine
from kptkit.encode import Target, encode, heatmap_sigma

HeatmapLossName = Literal["mse", "ohkm", "cross_entropy"]
Tensor = Any


def _keypoint_mse(true: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
    """Half the mean squared error of each heatmap, times its weight: (B, K)."""
    used = weights > 0
    difference = ops.cast(predicted, "float32") - ops.cast(true, "float32")
    difference = ops.where(used[:, None, None, :], difference, 0.0)
    weights = ops.where(used, ops.cast(weights, "float32"), 0.0)
    return 0.5 * weights * ops.mean(ops.square(difference), axis=(1, 2))


def heatmap_mse(true: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
    """Half the mean squared error of heatmaps, weighted per keypoint (the HRNet paper's loss).

    The mean is over all K keypoints, so a sample with few labels counts less. Equals the official
    JointsMSELoss for weights 0 and 1; that one weights before it squares: its 1.2 acts as 1.44.

    Args:
        true, predicted: (B, H, W, K).
        weights: (B, K).

    Returns:
        (B,) float32.
    """
    return ops.mean(_keypoint_mse(true, predicted, weights), axis=-1)


def heatmap_ohkm(true: Tensor, predicted: Tensor, weights: Tensor, top: int = 8) -> Tensor:
    """`heatmap_mse` over the `top` worst keypoints of each sample (Chen et al. 2018, CPN).

    Args and returns as in `heatmap_mse`; with fewer than `top` keypoints it is `heatmap_mse`.
    """
    losses = _keypoint_mse(true, predicted, weights)
    worst, _ = ops.top_k(losses, min(top, losses.shape[-1]))
    return ops.mean(worst, axis=-1)


def spatial_cross_entropy(true: Tensor, logits: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of the softmax over each map against its target scaled to sum 1.

    The mean is over all K keypoints, as in `heatmap_mse`. Trains small data sets from any
    initialisation; `kptkit.decode.heatmaps_from_logits` turns such an output into heatmaps.

    Args:
        true: (B, H, W, K), not negative.
        logits: (B, H, W, K).
        weights: (B, K).

    Returns:
        (B,) float32.
    """
    weights = ops.cast(weights, "float32")
    true, logits = ops.cast(true, "float32"), ops.cast(logits, "float32")
    total = ops.sum(true, axis=(1, 2))
    used = (weights > 0) & (total > 0)
    logits = ops.where(used[:, None, None, :], logits, 0.0)
    share = ops.where(used, weights / ops.where(used, total, 1.0), 0.0)
    true = ops.where(used[:, None, None, :], true, 0.0)
    surprise = ops.logsumexp(logits, axis=(1, 2), keepdims=True) - logits
    return ops.mean(share * ops.sum(true * surprise, axis=(1, 2)), axis=-1)


_FUNCTIONS: dict[str, Callable] = {
    "mse": heatmap_mse,
    "ohkm": heatmap_ohkm,
    "cross_entropy": spatial_cross_entropy,
}


@keras.saving.register_keras_serializable(package="kptkit")
class HeatmapLoss(keras.losses.Loss):
    """A heatmap loss from keypoints: the targets are encoded here, on the device.

    `y_true` is (B, K, 3): x, y in crop px and a weight. `y_pred` is (B, H, W, K): heatmaps, or
    logits for ``cross_entropy``. `call` gives float32 losses (B,), for a loop of one's own; under
    `compile` and `fit` it gives their mean.

    Args:
        size_wh: the crop's width and height in pixels.
        function: which of the functions above.
        target: see `kptkit.encode.encode`.
        convention: how crop px become heatmap px, see `kptkit.affine`.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        function: HeatmapLossName = "mse",
        target: Target = "unbiased",
        convention: affine.Convention = "official",
        name: str = "heatmap_loss",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.size_wh, self.function = tuple(size_wh), function
        self.target, self.convention = target, convention

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        heatmap_wh = (y_pred.shape[2], y_pred.shape[1])
        scale = affine.crop_to_heatmap_scale(self.size_wh, heatmap_wh, self.convention)
        keypoints = ops.cast(y_true, "float32") * ops.convert_to_tensor([*scale, 1.0], "float32")
        true, weights = encode(keypoints, heatmap_wh, heatmap_sigma(heatmap_wh), self.target)
        return _FUNCTIONS[self.function](true, y_pred, weights)

    def get_config(self) -> dict:
        return super().get_config() | {
            "size_wh": self.size_wh,
            "function": self.function,
            "target": self.target,
            "convention": self.convention,
        }
