"""The settings with which a trained cascade looks for faces."""

from dataclasses import dataclass

from kptkit.errors import InputError


@dataclass(frozen=True)
class CascadeConfig:
    """Settings of a cascade.

    Raises:
        InputError: a value is out of range; the message names it.
    """

    min_face_size: float = 20.0
    """Side in pixels of the smallest faces to find, at least 10; twice the side is four times as
    fast."""
    scale_factor: float = 0.709
    """Scale of each level of the image pyramid relative to the one before, between 0 and 1."""
    score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    """Scores, 0 to 1, that a window must reach in P-Net and exceed in R-Net and O-Net."""

    def __post_init__(self) -> None:
        if not 10 <= self.min_face_size < float("inf"):
            raise InputError(
                f"min_face_size: {self.min_face_size}, expected at least 10: P-Net sees faces of "
                "12 pixels, and no detail appears by enlarging more"
            )
        if not 0 < self.scale_factor < 1:
            raise InputError(f"scale_factor: {self.scale_factor}, expected between 0 and 1")
        thresholds = tuple(self.score_thresholds)
        if len(thresholds) != 3 or not all(0 <= threshold <= 1 for threshold in thresholds):
            raise InputError(
                f"score_thresholds: {thresholds}, expected three numbers from 0 to 1, "
                "for P-Net, R-Net and O-Net"
            )
