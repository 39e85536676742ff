"""How strongly training crops vary: the settings of both augmentations, and the published ones.

Imports neither NumPy nor TensorFlow, so that recipes and flags can hold them.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from kptkit.checks import check_range
from kptkit.errors import InputError
from kptkit.fields import Needs


@dataclass(frozen=True)
class AugmentConfig:
    """How strongly crops vary; the defaults are HRNet's on COCO (Sun et al. 2019, official code).

    Attributes:
        distribution: of scale and rotation. ``normal``: N(1, scale) clipped to 1 +- scale, and
            N(0, rotation_degrees) clipped to +- 2 rotation_degrees (official code).
            ``truncated``: normal, truncated at one standard deviation (mmpose). ``uniform``: within
            +- scale and +- rotation_degrees.
        scale: how much larger or smaller than the person's window a crop's window may be, as a
            fraction.
        rotation_degrees: how far crops are rotated, see `distribution`.
        rotation_probability: share of the crops that are rotated at all.
        flip_probability: share of the crops that are mirrored; without effect if the schema has no
            flip pairs.
        half_body_probability: share of the crops that show only the upper or lower half of a
            person, among persons with enough labelled joints.
        half_body_upper_probability: share of the upper half among those. The official code tests
            ``randn() < 0.5``, whose probability is 0.6915.
        half_body_min_visible: how many labelled joints a person needs for a half-body crop.
        shift: how far the centre may move, as a fraction of the window.
        shift_probability: share of the crops whose centre moves at all.
        photometric: whether colours change too (see `kptkit.data.augment.photometric`).
    """

    distribution: Literal["normal", "truncated", "uniform"] = "normal"
    scale: float = 0.35
    rotation_degrees: Annotated[float, Needs("rotation_probability")] = 45.0
    rotation_probability: float = 0.6
    flip_probability: float = 0.5
    half_body_probability: float = 0.3
    half_body_upper_probability: Annotated[float, Needs("half_body_probability")] = 0.6915
    half_body_min_visible: Annotated[int, Needs("half_body_probability")] = 9
    shift: Annotated[float, Needs("shift_probability")] = 0.0
    shift_probability: Annotated[float, Needs("shift")] = 0.0
    photometric: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name.endswith("probability") and not 0 <= value <= 1:
                raise InputError(f"augment: {name}: {value}, expected a number from 0 to 1")
        if not 0 <= self.scale < 1:
            raise InputError(f"augment: scale: {self.scale}, expected 0 to below 1")
        check_range("augment: rotation_degrees", self.rotation_degrees, 0, 180)
        check_range("augment: shift", self.shift, 0, 1)
        least = self.half_body_min_visible
        check_range("augment: half_body_min_visible", least, 0, 1000, whole=True)


HRNET_COCO = AugmentConfig()
HRNET_MPII = AugmentConfig(scale=0.25, rotation_degrees=30.0, half_body_probability=0.0)
# Newell et al. 2016.
HOURGLASS = AugmentConfig(
    distribution="uniform",
    scale=0.25,
    rotation_degrees=30.0,
    rotation_probability=1.0,
    half_body_probability=0.0,
)


@dataclass(frozen=True)
class FaceAugment:
    """How strongly crops vary; each crop draws its changes uniformly within these bounds."""

    flip_probability: float = 0.5
    """Share of the crops that are mirrored, together with their box and landmarks."""
    brightness: float = 0.15
    """Largest brightness change, as a fraction of white."""
    contrast: float = 0.3
    """Largest contrast change: the contrast factor is between 1 - this and 1 + this."""
    saturation: float = 0.4
    """Largest saturation change: the saturation factor is between 1 - this and 1 + this."""
    hue: float = 0.04
    """Largest hue rotation, as a fraction of the full circle."""
    grey_probability: float = 0.1
    """Share of the crops that become grey."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= 1:
                raise InputError(f"augment: {name}: {value}; expected a number from 0 to 1")
