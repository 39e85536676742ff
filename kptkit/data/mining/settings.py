"""Which crops are mined from each picture: the settings of both miners.

Imports no NumPy, so that flags can hold them.
"""

from dataclasses import asdict, dataclass

from kptkit.errors import InputError


@dataclass(frozen=True)
class WindowCounts:
    """How many windows a picture gives at most."""

    negatives_per_image: int = 50
    """Windows without a face per picture; half of them near faces, if there are any."""
    negatives_per_face: int = 10
    """Additional windows without a face for each usable face; half of them near faces."""
    positives_per_face: int = 10
    """Windows that show each usable face."""
    parts_per_face: int = 10
    """Windows that show part of each usable face."""

    def __post_init__(self) -> None:
        for name, count in asdict(self).items():
            if count < 0:
                raise InputError(f"{name}: {count}; expected 0 or more")


@dataclass(frozen=True)
class LandmarkConfig:
    """How many landmark crops there are, and how they vary."""

    landmarks_per_face: int = 20
    """Landmark crops of each face that has landmarks."""
    rotation_degrees: float = 5.0
    """A third of the landmark crops is rotated clockwise by this angle, a third
    counter-clockwise."""
    smallest_landmark_face: float = 16.0
    """Faces whose longer side is shorter, in pixels, give no landmark crops."""

    def __post_init__(self) -> None:
        if self.landmarks_per_face < 0:
            raise InputError(f"landmarks_per_face: {self.landmarks_per_face}; expected 0 or more")
        if not abs(self.rotation_degrees) <= 180:
            raise InputError(f"rotation_degrees: {self.rotation_degrees}; expected -180 to 180")


@dataclass(frozen=True)
class PnetMiningConfig:
    """Which crops each picture gives."""

    min_face_size: float = 12.0
    """Faces whose longer side is shorter than this, in pixels, give no crops, and background crops
    keep away from them."""
    windows: WindowCounts = WindowCounts()
    landmarks: LandmarkConfig = LandmarkConfig()


@dataclass(frozen=True)
class HardMiningConfig:
    """Which crops each picture gives."""

    min_face_size: float = 20.0
    """Smallest face that the cascade looks for, in pixels. Smaller windows are dropped; faces
    smaller than this give no crops, and background crops keep away from them."""
    negatives_per_image: int = 60
    """Hard negatives per picture: the cascade's highest-scoring windows without a face."""
    positives_per_face: int = 10
    """Random windows on each face, in addition to those the cascade finds; 0 adds none."""
    parts_per_face: int = 10
    """Random windows on part of each face, in addition to those found; 0 adds none."""
    landmarks: LandmarkConfig = LandmarkConfig()
