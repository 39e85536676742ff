"""Losses: pure functions of tensors and weights, with one result per sample.

Entries with weight 0 are replaced before the arithmetic, so that neither their value nor their
gradient can become NaN; a sample whose weights are all 0 has loss 0. Everything is computed in
float32, under any dtype policy.

The heatmap losses weight keypoints. The losses of MTCNN's multi-task batches select samples, and
scale the losses so that the mean over the batch is the mean over the selected samples.
"""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import keras
from keras import ops

from kptkit.checks import check_choice, check_number, check_shapes, check_size
from kptkit.conventions import Convention, HeatmapLossName, Target, heatmap_sigma
from kptkit.encode import encode
from kptkit.errors import InputError
from kptkit.geometry import affine

Tensor = Any
# From targets (B, H, W, K), heatmaps (B, H, W, K) and weights (B, K) to losses (B,).
__all__ = [
    "HeatmapLoss",
    "classification_ohem",
    "heatmap_mse",
    "heatmap_ohkm",
    "masked_regression",
    "mtcnn_loss",
    "spatial_cross_entropy",
]

LossFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__"])


def _keypoint_mse(true: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
    """Half the mean squared error of each heatmap, times its weight: (B, K)."""
    _check_heatmaps(true, predicted, weights)
    used = weights > 0
    difference = ops.cast(predicted, "float32") - ops.cast(true, "float32")
    difference = ops.where(used[:, None, None, :], difference, 0.0)
    weights = ops.where(used, ops.cast(weights, "float32"), 0.0)
    return 0.5 * weights * ops.mean(ops.square(difference), axis=(1, 2))


def _check_heatmaps(true: Tensor, predicted: Tensor, weights: Tensor) -> None:
    maps = ("B", "H", "W", "K")
    check_shapes(
        "loss", true=(true, maps), predicted=(predicted, maps), weights=(weights, ("B", "K"))
    )


def heatmap_mse(true: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
    """Half the mean squared error of heatmaps, weighted per keypoint (the HRNet paper's loss).

    The mean is over all K keypoints, so a sample with few labels counts less. For weights 0 and 1
    it equals the official JointsMSELoss; that loss applies weights before squaring, so its weight
    1.2 acts as 1.44.

    Args:
        true: (B, H, W, K) target heatmaps.
        predicted: (B, H, W, K).
        weights: (B, K).

    Returns:
        (B,) float32.

    Raises:
        InputError: the shapes do not fit together; nothing is broadcast.
    """
    return ops.mean(_keypoint_mse(true, predicted, weights), axis=-1)


def heatmap_ohkm(true: Tensor, predicted: Tensor, weights: Tensor, top: int = 8) -> Tensor:
    """Online hard keypoint mining: `heatmap_mse` over the `top` worst keypoints of each sample.

    Chen et al. 2018 (CPN). Arguments and result are as in `heatmap_mse`; with at most `top`
    keypoints it equals `heatmap_mse`.
    """
    check_number("heatmap_ohkm: top", top, "a whole number of at least 1", low=1, whole=True)
    losses = _keypoint_mse(true, predicted, weights)
    worst, _ = ops.top_k(losses, min(top, losses.shape[-1]))
    return ops.mean(worst, axis=-1)


def spatial_cross_entropy(true: Tensor, logits: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy between the softmax over each map and its target scaled to sum 1.

    The mean is over all K keypoints, as in `heatmap_mse`. It trains on small data sets from any
    initialisation. `kptkit.decode.heatmaps_from_logits` turns the trained network's logits into
    heatmaps.

    Args:
        true: (B, H, W, K) target heatmaps, not negative.
        logits: (B, H, W, K).
        weights: (B, K).

    Returns:
        (B,) float32.
    """
    _check_heatmaps(true, logits, weights)
    weights = ops.cast(weights, "float32")
    true, logits = ops.cast(true, "float32"), ops.cast(logits, "float32")
    total = ops.sum(true, axis=(1, 2))
    used = (weights > 0) & (total > 0)
    logits = ops.where(used[:, None, None, :], logits, 0.0)
    share = ops.where(used, weights / ops.where(used, total, 1.0), 0.0)
    true = ops.where(used[:, None, None, :], true, 0.0)
    surprise = ops.logsumexp(logits, axis=(1, 2), keepdims=True) - logits
    return ops.mean(share * ops.sum(true * surprise, axis=(1, 2)), axis=-1)


_FUNCTIONS: dict[str, LossFunction] = {
    "mse": heatmap_mse,
    "ohkm": heatmap_ohkm,
    "cross_entropy": spatial_cross_entropy,
}


@keras.saving.register_keras_serializable(package="kptkit")
class HeatmapLoss(keras.losses.Loss):
    """A heatmap loss between keypoints and predicted heatmaps; it encodes the targets itself.

    `y_true` is (B, K, 3): x, y in crop px and a weight. `y_pred` is (B, H, W, K): heatmaps, or
    logits for ``cross_entropy``. For S stacks it is (B, S, H, W, K), and every stack is compared
    with the same targets (intermediate supervision, Newell et al. 2016). `call` returns float32
    losses (B,), summed over the stacks; under `compile` and `fit` their mean is taken.

    Args:
        size_wh: width and height of the crop in pixels.
        function: which of the functions above; or another one of the same arguments and result.
        target: see `kptkit.encode.encode`.
        convention: how crop px become heatmap px, see `kptkit.geometry.affine`.
        sigma: standard deviation of the Gaussians in heatmap px; by default it follows from the
            size of the heatmaps, see `kptkit.conventions.heatmap_sigma`.
        stack_weights: weight of each stack's loss; by default 1 each.

    Raises:
        InputError: an argument cannot be used, or, when it is called, the shapes do not fit
            together.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        function: HeatmapLossName | str | LossFunction = "mse",
        target: Target = "unbiased",
        convention: Convention = "official",
        sigma: float | None = None,
        stack_weights: Sequence[float] | None = None,
        name: str = "heatmap_loss",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        if not callable(function) and function not in _FUNCTIONS:
            known = ", ".join(_FUNCTIONS)
            raise InputError(f"loss: {function}; expected a function, or one of {known}")
        check_size("size_wh", size_wh)
        check_choice("target", target, get_args(Target))
        check_choice("convention", convention, get_args(Convention))
        if sigma is not None:
            check_number("sigma", sigma, "heatmap px above 0, or none", low=1e-6)
        for weight in () if stack_weights is None else stack_weights:
            check_number("stack_weights", weight, "numbers, 0 or more, one a stack", low=0)
        self.size_wh, self.function = (size_wh[0], size_wh[1]), function
        self.target, self.convention = target, convention
        self.sigma = sigma
        self.stack_weights = tuple(stack_weights) if stack_weights else None

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        stacks = ("S",) if len(y_pred.shape) == 5 else ()
        check_shapes(
            "loss",
            y_true=(y_true, ("B", "K", 3)),
            y_pred=(y_pred, ("B", *stacks, "H", "W", "K")),
        )
        if stacks:
            return ops.sum(self.per_stack(y_true, y_pred), axis=1)
        return self._losses(*self._encoded(y_true, y_pred))

    def per_stack(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The weighted losses (B, S) float32 of the heatmaps (B, S, H, W, K) of S stacks.

        Raises:
            InputError: the number of weights is not the number of stacks.
        """
        stacks = y_pred.shape[1]
        weights = self.stack_weights or (1.0,) * stacks
        if len(weights) != stacks:
            raise InputError(f"stack_weights: {len(weights)} numbers; expected {stacks}, one each")
        true, keypoint_weights = self._encoded(y_true, y_pred[:, 0])[::2]
        losses = [
            weight * self._losses(true, y_pred[:, stack], keypoint_weights)
            for stack, weight in enumerate(weights)
        ]
        return ops.stack(losses, axis=1)

    def _losses(self, true: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
        """The losses (B,) of one stack."""
        function = self.function if callable(self.function) else _FUNCTIONS[self.function]
        losses = function(true, predicted, weights)
        if not hasattr(losses, "shape"):
            raise InputError(
                f"loss: {getattr(function, '__name__', function)}: returned {losses!r}; expected a "
                "tensor (B,), one loss for each sample of the batch"
            )
        if len(losses.shape) != 1 or losses.shape[0] not in (None, predicted.shape[0]):
            raise InputError(
                f"loss: {getattr(function, '__name__', function)}: returned shape "
                f"{tuple(losses.shape)}; expected (B,), one loss for each sample of the batch"
            )
        return losses

    def _encoded(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The arguments of a loss function: target heatmaps, predicted heatmaps, weights."""
        heatmap_wh = (y_pred.shape[2], y_pred.shape[1])
        factor, shift = affine.crop_to_heatmap(self.size_wh, heatmap_wh, self.convention)
        keypoints = ops.cast(y_true, "float32") * ops.convert_to_tensor([*factor, 1.0], "float32")
        keypoints = keypoints + ops.convert_to_tensor([*shift, 0.0], "float32")
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
    """Cross-entropy over the hardest valid samples (online hard example mining).

    Zhang et al. 2016 (MTCNN). Of n valid samples, the max(1, floor(keep n + 1e-4)) with the largest
    loss are kept (none if n is 0); on a tie the first. The loss is computed from logits because
    -log(softmax + epsilon) has no gradient for the hardest samples, whose softmax is 0. Each
    replica selects from its own share of the batch, so no replica waits for another.

    Args:
        is_face: (B,) 1 or 0.
        logits: (B, 2): no face, face.
        valid: (B,) bool; the values of invalid samples are ignored.
        keep: share of the valid samples to keep.

    Returns:
        (B,) float32, whose mean is the mean over the samples kept.

    Raises:
        InputError: the shapes do not fit together, or `keep` is no share.
    """
    check_number("classification_ohem: keep", keep, "a share above 0, at most 1", 1e-9, 1)
    check_shapes(
        "classification_ohem",
        is_face=(is_face, ("B",)),
        logits=(logits, ("B", 2)),
        valid=(valid, ("B",)),
    )
    valid = ops.cast(valid, "bool")
    logits = ops.where(valid[:, None], ops.cast(logits, "float32"), 0.0)
    margin = logits[:, 1] - logits[:, 0]
    losses = ops.softplus(ops.where(ops.cast(is_face, "float32") > 0.5, -margin, margin))
    count = ops.sum(ops.cast(valid, "float32"))
    kept = ops.minimum(count, ops.maximum(1.0, ops.floor(keep * count + 1e-4)))
    return _spread_mean(losses, valid & (_rank(losses, valid) < kept))


def _rank(losses: Tensor, valid: Tensor) -> Tensor:
    """The rank (B,) float32 of each loss among the valid ones: 0 is the largest, ties by order.

    Counted over all pairs: that has a static shape, and ties do not depend on a sort algorithm. NaN
    gets rank 0, so that a diverged network shows in the loss.
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
        true: (B, D).
        predicted: (B, D).
        valid: (B,) bool; the values of invalid samples are ignored.

    Returns:
        (B,) float32, whose mean is the mean over the valid samples.

    Raises:
        InputError: the shapes do not fit together; nothing is broadcast.
    """
    check_shapes(
        "masked_regression",
        true=(true, ("B", "D")),
        predicted=(predicted, ("B", "D")),
        valid=(valid, ("B",)),
    )
    valid = ops.cast(valid, "bool")
    difference = ops.cast(predicted, "float32") - ops.cast(true, "float32")
    difference = ops.where(valid[:, None], difference, 0.0)
    return _spread_mean(ops.sum(ops.square(difference), axis=-1), valid)


def _spread_mean(losses: Tensor, chosen: Tensor) -> Tensor:
    """Losses (B,) scaled so that their mean is the mean over the chosen ones; the others are 0."""
    chosen = ops.cast(chosen, "float32")
    samples = ops.cast(ops.shape(losses)[0], "float32")
    return losses * chosen * (samples / ops.maximum(1.0, ops.sum(chosen)))


def mtcnn_loss(
    batch: dict[str, Tensor],
    outputs: dict[str, Tensor],
    weights: tuple[float, float, float] = (1.0, 0.5, 0.5),
    keep: float = 0.7,
) -> Tensor:
    """The multi-task loss of one MTCNN network (Zhang et al. 2016).

    Each sample counts in the tasks that it has labels for: positives and negatives in the
    classification, positives and parts in the box, landmark crops in the landmarks.

    Args:
        batch: `is_face` (B,), `box` (B, 4), `landmark` (B, 10), and `class_valid`, `box_valid` and
            `landmark_valid` (B,) bool, which say what is labelled.
        outputs: of a `kptkit.models.mtcnn` network for windows of its own size. Without `landmark`,
            that term is left out.
        weights: of classification, box and landmarks; in the paper 1, 0.5, 0.5 for P-Net and R-Net,
            and 1, 0.5, 1 for O-Net.
        keep: see `classification_ohem`.

    Returns:
        (B,) float32, whose mean is the loss.

    Raises:
        InputError: an entry of the batch or the outputs is missing, or shapes do not fit together.
    """
    needed = ["is_face", "box", "class_valid", "box_valid"]
    needed += ["landmark", "landmark_valid"] if "landmark" in outputs else []
    for name, given, keys in (("batch", batch, needed), ("outputs", outputs, ["logits", "box"])):
        missing = [key for key in keys if key not in given]
        if missing:
            raise InputError(f"mtcnn_loss: {name}: {', '.join(missing)} is missing")
    if len(weights) != 3:
        raise InputError(f"mtcnn_loss: weights: {weights!r}, expected three numbers")
    logits, box = ops.reshape(outputs["logits"], (-1, 2)), ops.reshape(outputs["box"], (-1, 4))
    classified = classification_ohem(batch["is_face"], logits, batch["class_valid"], keep)
    loss = weights[0] * classified
    loss += weights[1] * masked_regression(batch["box"], box, batch["box_valid"])
    if "landmark" in outputs:
        landmark = ops.reshape(outputs["landmark"], (-1, 10))
        valid = batch["landmark_valid"]
        loss += weights[2] * masked_regression(batch["landmark"], landmark, valid)
    return loss
