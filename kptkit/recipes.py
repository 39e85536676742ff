"""Recipes: every constant of a published result, and of our own, in one frozen dataclass each.

Keras's defaults are not PyTorch's, so nothing is left to a default elsewhere: what decides a result
stands here and in the run's `config.json`. The flags of `scripts/train_hrnet.py` are these fields.
Those of MTCNN stand in `kptkit.face_recipes`.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from kptkit.affine import Convention
from kptkit.data.augment import AugmentConfig
from kptkit.decode import Alignment, Method
from kptkit.encode import Target, heatmap_sigma
from kptkit.errors import InputError
from kptkit.losses import HeatmapLossName
from kptkit.models.hrnet import STRIDE, Variant


@dataclass(frozen=True)
class Learning:
    """How a network learns; what it is and what it learns from, recipes add."""

    learning_rate: float = 1e-3
    """Peak learning rate; Adam has betas 0.9 and 0.999 and epsilon 1e-8, as PyTorch."""
    schedule: Literal["step", "cosine"] = "step"
    learning_rate_drops: tuple[float, ...] = (170, 200)
    """For the step schedule: epochs after which the rate is a tenth of what it was."""
    warmup_steps: int = 0
    batch_size: int = 128
    epochs: int = 210
    evaluate_every: int = 1
    """Epochs between evaluations; the last epoch is always judged."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights that is judged and exported; 0: none."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "evaluate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)}; expected 1 or more")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate: {self.learning_rate}; expected a number above 0")
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay: {self.ema_decay}; expected 0 to below 1")


@dataclass(frozen=True)
class PoseRecipe(Learning):
    """What a top-down heatmap network is, how it learns and how its maps are read."""

    variant: Variant = "w32"
    """Size of the network: a row of the table in kptkit.models.hrnet."""
    input_size_wh: tuple[int, int] = (192, 256)
    """Width and height of the person crop in pixels, multiples of 32."""
    convention: Convention = "official"
    """How boxes become crops: the authors' arithmetic, or UDP's."""

    target: Target = "msra"
    """Gaussians around rounded centres (the HRNet paper), or around exact ones (DARK)."""
    loss: HeatmapLossName = "mse"
    """Mean squared error, the same over the hardest keypoints, or spatial cross-entropy."""
    keypoint_weights: Literal["equal", "limbs"] = "equal"
    """Whether elbows and knees count 1.2, wrists and ankles 1.5 (17 COCO keypoints only)."""

    decoder: Method = "quarter"
    """How a map becomes a point: argmax, the papers' quarter pixel, or DARK."""
    flip_test: bool = True
    """Whether the mirrored crop is read as well and the maps averaged."""
    flip_alignment: Alignment = "fractional"
    """How the mirrored map is moved back: by 3/4 px, by the papers' whole pixel, or not."""

    augment: AugmentConfig = AugmentConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(side < 32 or side % 32 for side in self.input_size_wh):
            raise InputError(f"input_size_wh: {self.input_size_wh}; expected multiples of 32")

    @property
    def heatmap_wh(self) -> tuple[int, int]:
        """Width and height of a heatmap in pixels."""
        return self.input_size_wh[0] // STRIDE, self.input_size_wh[1] // STRIDE

    @property
    def heatmap_sigma(self) -> float:
        """Standard deviation of the Gaussians in heatmap pixels."""
        return heatmap_sigma(self.heatmap_wh)


_W32 = PoseRecipe()
_DARK = replace(_W32, target="unbiased", decoder="dark")

RECIPES: dict[str, PoseRecipe] = {
    # Sun et al. 2019, table 1 (COCO val2017, flip test, detector of 56.4 AP): AP 74.4, 75.8, 75.1,
    # 76.3. The authors shift the mirrored map by a whole pixel: `--flip-alignment whole_pixel`.
    "w32-256x192": _W32,
    "w32-384x288": replace(_W32, input_size_wh=(288, 384)),
    "w48-256x192": replace(_W32, variant="w48"),
    "w48-384x288": replace(_W32, variant="w48", input_size_wh=(288, 384)),
    # Zhang et al. 2020 (DARK), same detector: AP 75.6, 76.6, 76.4 (mmpose's log), 76.8.
    "w32-256x192-dark": _DARK,
    "w32-384x288-dark": replace(_DARK, input_size_wh=(288, 384)),
    "w48-256x192-dark": replace(_DARK, variant="w48"),
    "w48-384x288-dark": replace(_DARK, variant="w48", input_size_wh=(288, 384)),
    # Ours, for a few hundred to a few thousand persons of one's own, with or without --init.
    "finetune": replace(
        _DARK,
        variant="w18_small",
        loss="cross_entropy",
        learning_rate=5e-4,
        schedule="cosine",
        warmup_steps=100,
        batch_size=32,
        epochs=60,
        evaluate_every=5,
        ema_decay=0.998,
    ),
    # Ours: learns the demo set on two CPU cores within minutes.
    "demo": replace(
        _DARK,
        variant="demo",
        input_size_wh=(96, 128),
        loss="cross_entropy",
        augment=AugmentConfig(rotation_degrees=10.0, scale=0.15, half_body_probability=0.0),
        learning_rate=1.5e-3,
        schedule="cosine",
        warmup_steps=100,
        batch_size=16,
        epochs=10,
        evaluate_every=5,
        ema_decay=0.995,
    ),
}
