"""Recipes of MTCNN's three networks: all constants of published trainings and of our own.

The flags of `kptkit train mtcnn` are the fields of `FaceRecipe`.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from kptkit.checks import check_range
from kptkit.data.augment.settings import FaceAugment
from kptkit.errors import InputError
from kptkit.fields import Needs
from kptkit.models.sizes import Stage
from kptkit.recipes.learning import MOST_STEPS, Learning


@dataclass(frozen=True)
class FaceRecipe(Learning):
    """How one network of the cascade learns from mined crops.

    The defaults are those of P-Net in AITTSMD/MTCNN-Tensorflow, the most widely used trainer.
    """

    landmark_head: bool = True
    """Whether P-Net and R-Net have a landmark head too; O-Net always has one."""
    class_ratio: tuple[int, int, int, int] = (3, 1, 1, 2)
    """Ratio of negatives, positives, parts and landmark crops in every batch."""
    loss_weights: tuple[float, float, float] = (1.0, 0.5, 0.5)
    """Weights of the classification, box and landmark losses."""
    hard_share: float = 0.7
    """Share of a batch's positives and negatives, the hardest ones, in the classification loss."""
    l2: float = 2.5e-4
    """Weight decay: factor of the sum of squares of the convolution kernels."""
    augment: FaceAugment = FaceAugment()

    optimizer: Literal["adam", "rmsprop", "momentum"] = "momentum"
    learning_rate: float = 0.01
    learning_rate_drops: Annotated[tuple[float, ...], Needs("schedule=step")] = (6, 14, 20)
    batch_size: int = 384
    epochs: int = 30
    steps_per_epoch: int = 0
    """Steps per epoch; 0: as many batches as the crops fill."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.class_ratio) < 0 or self.class_ratio[0] < 1 or self.class_ratio[1] < 1:
            raise InputError(
                f"class_ratio: {self.class_ratio}; expected whole numbers of negatives, positives, "
                "parts and landmark crops, at least one of each of the first two"
            )
        for part in self.class_ratio:
            check_range("class_ratio", part, 0, 65_536, whole=True)
        for weight in self.loss_weights:
            check_range("loss_weights", weight, 0, 1000)
        check_range("hard_share", self.hard_share, 0, 1, above=True)
        check_range("l2", self.l2, 0, 1000)
        check_range("steps_per_epoch", self.steps_per_epoch, 0, MOST_STEPS, whole=True)


_PNET = FaceRecipe()
# The mixture that luoyetx/Joint-Face-Detection-and-Alignment found for O-Net.
_ONET_RATIO = (3, 2, 1, 2)
_ONET_WEIGHTS = (1.0, 0.5, 1.0)

# Ours: Adam reaches in minutes what momentum needs hours for.
_ADAM = FaceRecipe(
    l2=1e-5,
    optimizer="adam",
    learning_rate=2e-3,
    schedule="cosine",
    warmup_steps=200,
    batch_size=256,
    ema_decay=0.998,
)
_ADAM_ONET = replace(_ADAM, class_ratio=_ONET_RATIO, loss_weights=_ONET_WEIGHTS)

FACE_RECIPES: dict[str, dict[Stage, FaceRecipe]] = {
    # AITTSMD/MTCNN-Tensorflow, after the paper: momentum 0.9, a tenth of the rate at epochs 6, 14
    # and 20. Rate and batch of O-Net are those of its published checkpoint.
    "published": {
        "pnet": _PNET,
        "rnet": replace(_PNET, class_ratio=(3, 1, 1, 1), epochs=22),
        "onet": replace(
            _PNET,
            class_ratio=(3, 1, 1, 1),
            loss_weights=_ONET_WEIGHTS,
            learning_rate=0.001,
            batch_size=192,
            epochs=22,
        ),
    },
    # Learns the demo set on two CPU cores; mining and all three stages take about ten minutes.
    "demo": {
        "pnet": replace(_ADAM, epochs=5, steps_per_epoch=1000),
        "rnet": replace(_ADAM, epochs=5, steps_per_epoch=500),
        "onet": replace(_ADAM_ONET, batch_size=128, epochs=5, steps_per_epoch=240),
    },
    # For a few thousand real pictures, such as WIDER FACE's.
    "wider": {
        "pnet": replace(_ADAM, batch_size=384, epochs=20, steps_per_epoch=2000, ema_decay=0.999),
        "rnet": replace(_ADAM, batch_size=384, epochs=20, steps_per_epoch=1000, ema_decay=0.999),
        "onet": replace(_ADAM_ONET, batch_size=192, epochs=20, steps_per_epoch=800),
    },
}
