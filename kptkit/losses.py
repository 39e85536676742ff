"""Losses: pure functions of tensors and weights with one result per sample.

Weights are arguments, and what has weight 0 is replaced before the arithmetic, so that neither its
value nor its gradient can be NaN; a sample without any weight gives 0. Everything is computed in
float32 whatever the policy.

Heatmap losses weigh keypoints. The losses of MTCNN's multi-task batches choose samples: each scales
what it chose, so that the mean over the batch is the mean over the chosen.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
from keras import ops

from kptkit.encode import Target, encode, heatmap_sigma
from kptkit.errors import InputError
from kptkit.geometry import affine

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
    logits for ``cross_entropy``; or those of S stacks (B, S, H, W, K), each compared with the same
    truth (intermediate supervision, Newell et al. 2016). `call` gives float32 losses (B,), those of
    the stacks added up; under `compile` and `fit` it gives their mean.

    Args:
        size_wh: the crop's width and height in pixels.
        function: which of the functions above.
        target: see `kptkit.encode.encode`.
        convention: how crop px become heatmap px, see `kptkit.geometry.affine`.
        sigma: standard deviation of the Gaussians in heatmap px; none: by the heatmaps' size.
        stack_weights: what each stack's loss counts; none: 1 each.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        function: HeatmapLossName = "mse",
        target: Target = "unbiased",
        convention: affine.Convention = "official",
        sigma: float | None = None,
        stack_weights: Sequence[float] | None = None,
        name: str = "heatmap_loss",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.size_wh, self.function = tuple(size_wh), function
        self.target, self.convention = target, convention
        self.sigma = sigma
        self.stack_weights = tuple(stack_weights) if stack_weights else None

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if len(y_pred.shape) == 5:
            return ops.sum(self.per_stack(y_true, y_pred), axis=1)
        return _FUNCTIONS[self.function](*self._encoded(y_true, y_pred))

    def per_stack(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The weighted losses (B, S) of the stacks' heatmaps (B, S, H, W, K).

        Raises:
            InputError: there are not as many weights as stacks.
        """
        stacks = y_pred.shape[1]
        weights = self.stack_weights or (1.0,) * stacks
        if len(weights) != stacks:
            raise InputError(f"stack_weights: {len(weights)} numbers; expected {stacks}, one each")
        true, keypoint_weights = self._encoded(y_true, y_pred[:, 0])[::2]
        losses = [
            weight * _FUNCTIONS[self.function](true, y_pred[:, stack], keypoint_weights)
            for stack, weight in enumerate(weights)
        ]
        return ops.stack(losses, axis=1)

    def _encoded(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The arguments of a loss function: true maps, the predicted ones, weights."""
        heatmap_wh = (y_pred.shape[2], y_pred.shape[1])
        scale = affine.crop_to_heatmap_scale(self.size_wh, heatmap_wh, self.convention)
        keypoints = ops.cast(y_true, "float32") * ops.convert_to_tensor([*scale, 1.0], "float32")
        sigma = self.sigma or heatmap_sigma(heatmap_wh)
        true, weights = encode(keypoints, heatmap_wh, sigma, self.target)
        return true, y_pred, weights

    def get_config(self) -> dict:
        return super().get_config() | {
            "size_wh": self.size_wh,
            "function": self.function,
            "target": self.target,
            "convention": self.convention,
            "sigma": self.sigma,
            "stack_weights": self.stack_weights,
        }


def classification_ohem(
    is_face: Tensor, logits: Tensor, valid: Tensor, keep: float = 0.7
) -> Tensor:
    """Cross-entropy over the hardest `keep` of the valid samples (Zhang et al. 2016, MTCNN).

    Of n valid samples max(1, floor(keep n + 1e-4)) are kept, of none none; of equally hard ones the
    first. Computed from logits: -log(softmax + epsilon) has no gradient for the hardest samples,
    whose softmax is 0. The samples compete within the batch at hand, so that under several replicas
    each selects from its own share, and no replica waits for another.

    Args:
        is_face: (B,) 1 or 0.
        logits: (B, 2) no face, face.
        valid: (B,) bool; the others may hold anything.

    Returns:
        (B,) float32, whose mean is the mean over the samples kept.
    """
    logits = ops.where(valid[:, None], ops.cast(logits, "float32"), 0.0)
    margin = logits[:, 1] - logits[:, 0]
    losses = ops.softplus(ops.where(ops.cast(is_face, "float32") > 0.5, -margin, margin))
    count = ops.sum(ops.cast(valid, "float32"))
    kept = ops.minimum(count, ops.maximum(1.0, ops.floor(keep * count + 1e-4)))
    return _spread_mean(losses, valid & (_rank(losses, valid) < kept))


def _rank(losses: Tensor, valid: Tensor) -> Tensor:
    """How many valid samples are harder than each, or as hard and earlier: (B,) float32.

    Counted in a table of all pairs, which has a fixed shape and leaves ties to no sort's taste. NaN
    ranks first, so that a network that broke is not overlooked.
    """
    index = ops.arange(ops.shape(losses)[0])
    earlier = index[None, :] < index[:, None]
    harder = losses[None, :] > losses[:, None]
    tied = losses[None, :] == losses[:, None]
    before = valid[None, :] & (harder | (tied & earlier))
    return ops.sum(ops.cast(before, "float32"), axis=1)


def masked_regression(true: Tensor, predicted: Tensor, valid: Tensor) -> Tensor:
    """Sum of squared errors of the valid samples.

    Args:
        true, predicted: (B, D).
        valid: (B,) bool; the others may hold anything.

    Returns:
        (B,) float32, whose mean is the mean over the valid samples.
    """
    difference = ops.cast(predicted, "float32") - ops.cast(true, "float32")
    difference = ops.where(valid[:, None], difference, 0.0)
    return _spread_mean(ops.sum(ops.square(difference), axis=-1), valid)


def _spread_mean(losses: Tensor, chosen: Tensor) -> Tensor:
    """Losses (B,) scaled so that their mean is the mean over the chosen; 0 for all others."""
    chosen = ops.cast(chosen, "float32")
    samples = ops.cast(ops.shape(losses)[0], "float32")
    return losses * chosen * (samples / ops.maximum(1.0, ops.sum(chosen)))


def mtcnn_loss(
    batch: dict[str, Tensor],
    outputs: dict[str, Tensor],
    weights: tuple[float, float, float] = (1.0, 0.5, 0.5),
    keep: float = 0.7,
) -> Tensor:
    """The multi-task loss of one network of MTCNN.

    Every sample takes part in the tasks that it has labels for: faces and negatives in the
    classification, faces and parts of faces in the box, landmark crops in the landmarks.

    Args:
        batch: `is_face` (B,), `box` (B, 4), `landmark` (B, 10), and who has labels: `class_valid`,
            `box_valid` and `landmark_valid` (B,) bool.
        outputs: of `kptkit.models.mtcnn`, for windows of the network's own size. Without `landmark`
            that term is left out.
        weights: of classification, box and landmarks; the paper has 1, 0.5, 0.5 for P-Net and R-Net
            and 1, 0.5, 1 for O-Net.
        keep: the share of samples that `classification_ohem` learns from.

    Returns:
        (B,) float32, whose mean is the loss.
    """
    logits, box = ops.reshape(outputs["logits"], (-1, 2)), ops.reshape(outputs["box"], (-1, 4))
    classified = classification_ohem(batch["is_face"], logits, batch["class_valid"], keep)
    loss = weights[0] * classified
    loss += weights[1] * masked_regression(batch["box"], box, batch["box_valid"])
    if "landmark" in outputs:
        landmark = ops.reshape(outputs["landmark"], (-1, 10))
        valid = batch["landmark_valid"]
        loss += weights[2] * masked_regression(batch["landmark"], landmark, valid)
    return loss
