"""Recipes of top-down pose networks: all constants of published results and of our own.

The flags of `kptkit train hrnet` and `kptkit train hourglass` are the fields of `PoseRecipe`.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from kptkit.checks import check_range
from kptkit.conventions import (
    Alignment,
    Convention,
    HeatmapLossName,
    Method,
    Target,
    heatmap_sigma,
)
from kptkit.data.augment.settings import HOURGLASS, AugmentConfig
from kptkit.errors import InputError
from kptkit.fields import Needs, Without
from kptkit.foreign import is_foreign
from kptkit.models.sizes import HOURGLASSES, STRIDE, Variant
from kptkit.recipes.learning import Learning

# The longest side of a crop in pixels; published ones have up to 384.
LARGEST_INPUT = 2048


@dataclass(frozen=True)
class PoseRecipe(Learning):
    """A top-down heatmap network: architecture, training and decoding."""

    variant: Annotated[Variant, Without("network")] = "w32"
    """The network: a row of a table in kptkit.models.sizes."""
    network: str = ""
    """A network of your own instead, as package.module:function in this folder or the environment;
    the function takes the number of keypoints and (width, height), and returns a keras.Model."""
    input_size_wh: tuple[int, int] = (192, 256)
    """Width and height of the person crop in pixels, multiples of 32 (hourglass: 64)."""
    convention: Convention = "official"
    """How boxes are mapped to crops and heatmaps: as in the code of HRNet's authors (mmpose follows
    it), of UDP, of DARK's authors or of the hourglass's; weights need that of their training."""

    target: Target = "msra"
    """Gaussians around rounded centres (the HRNet paper), or around exact ones (DARK)."""
    loss: HeatmapLossName | str = "mse"
    """mse, ohkm (mse over the hardest keypoints) or cross_entropy; or a function of your own, as
    package.module:function, with the arguments and result of kptkit.losses.heatmap_mse; it must
    train heatmaps that peak at 1, not logits."""
    target_sigma: float = 0.0
    """Standard deviation of the Gaussians in heatmap pixels; 0: by heatmap size, as HRNet."""
    stack_weights: tuple[float, ...] = ()
    """Weight of the loss of each stack of an hourglass; default: 1 each."""
    keypoint_weights: Literal["equal", "limbs"] = "equal"
    """limbs: elbows and knees weigh 1.2, wrists and ankles 1.5 (17 COCO keypoints only)."""

    decoder: Method = "quarter"
    """How heatmaps are decoded: argmax, the papers' quarter-pixel offset, or DARK."""
    flip_test: bool = True
    """Whether the mirrored crop is evaluated too and the heatmaps are averaged."""
    flip_alignment: Annotated[Alignment, Needs("flip_test")] = "fractional"
    """Shift that aligns the mirrored heatmaps: 3/4 px, the papers' whole pixel, or none."""

    augment: AugmentConfig = AugmentConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        unit = 64 if self.num_stacks else STRIDE if self.network else 32
        if any(side < unit or side % unit for side in self.input_size_wh):
            raise InputError(f"input_size_wh: {self.input_size_wh}; expected multiples of {unit}")
        for side in self.input_size_wh:
            check_range("input_size_wh", side, unit, LARGEST_INPUT, whole=True)
        if self.stack_weights and len(self.stack_weights) != self.num_stacks:
            raise InputError(
                f"stack_weights: {len(self.stack_weights)} numbers; expected one for each of the "
                f"{self.num_stacks} stacks of {self.network or self.variant}"
            )
        if self.network and not is_foreign(self.network):
            raise InputError(f"network: {self.network}; expected package.module:function")
        if self.loss not in get_args(HeatmapLossName) and not is_foreign(self.loss):
            known = ", ".join(get_args(HeatmapLossName))
            raise InputError(f"loss: {self.loss}; expected {known} or package.module:function")
        check_range("target_sigma", self.target_sigma, 0, LARGEST_INPUT // STRIDE)
        for weight in self.stack_weights:
            check_range("stack_weights", weight, 0, 1000)

    @property
    def num_stacks(self) -> int:
        """How many stacks an hourglass has; 0 for other networks."""
        if self.network or self.variant not in HOURGLASSES:
            return 0
        return HOURGLASSES[self.variant].stacks

    @property
    def heatmap_wh(self) -> tuple[int, int]:
        """Width and height of a heatmap in pixels."""
        return self.input_size_wh[0] // STRIDE, self.input_size_wh[1] // STRIDE

    @property
    def heatmap_sigma(self) -> float:
        """Standard deviation of the Gaussians in heatmap pixels."""
        return self.target_sigma or heatmap_sigma(self.heatmap_wh)


_W32 = PoseRecipe()
_DARK = replace(_W32, target="unbiased", decoder="dark")

# Newell et al. 2016. The rate is that of the published training code, the same from the first step
# to the last (100 times 8,000 steps of 6 persons, 216 epochs of MPII); the paper divides it by 5
# when validation accuracy plateaus. Gaussians are the paper's; the code's are 1.75 px wide.
_HOURGLASS = PoseRecipe(
    variant="hg8",
    input_size_wh=(256, 256),
    optimizer="rmsprop",
    learning_rate=2.5e-4,
    learning_rate_drops=(),
    batch_size=6,
    epochs=216,
    evaluate_every=10,
    target_sigma=1.0,
    flip_alignment="none",
    augment=HOURGLASS,
)
# What is used with it today: HRNet's optimizer and schedule, DARK, an exactly aligned flip test.
_HOURGLASS_DARK = replace(_DARK, variant="hg8", input_size_wh=(256, 256), augment=HOURGLASS)

# Ours, for a few hundred to a few thousand persons of one's own, with or without --init.
_FINETUNE = replace(
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
)
# Ours: learns the demo set on two CPU cores within minutes.
_DEMO = replace(
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
)

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
    "finetune": _FINETUNE,
    "demo": _DEMO,
    # Newell et al. 2016 (MPII test, PCKh@0.5): 90.9 with 8 stacks.
    "hg8": _HOURGLASS,
    "hg2": replace(_HOURGLASS, variant="hg2"),
    "hg8-dark": _HOURGLASS_DARK,
    "hg2-dark": replace(_HOURGLASS_DARK, variant="hg2"),
    "hg-finetune": replace(_FINETUNE, variant="hg2", input_size_wh=(256, 256), augment=HOURGLASS),
    "hg-demo": replace(
        _DEMO, variant="hg2_small", input_size_wh=(128, 128), epochs=4, evaluate_every=2
    ),
}
