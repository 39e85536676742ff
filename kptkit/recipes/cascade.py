"""The settings with which a trained cascade looks for faces."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kptkit.checks import check_number
from kptkit.errors import InputError

# With 0.95 the pyramid has ten times the pixels of its first level, with 0.709 twice as many.
MAX_SCALE_FACTOR = 0.95

# The most faces that a cascade can be asked for: so many windows reach O-Net at most.
MOST_FACES = 4_000

# The shortest and the longest side up to which all faces can be looked for.
SIDES = (100, 1_000_000)


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
    """Scale of each level of the image pyramid relative to the one before, at most 0.95."""
    score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    """Scores, 0 to 1, that a window must reach in P-Net and exceed in R-Net and O-Net."""
    max_faces: int = 500
    """The most faces of a picture, the best-scored ones, 1 to 4,000; it also bounds the windows
    that R-Net and O-Net look at, to twenty and four a face (of 250 faces at least), and so the time
    and memory of a picture made of nothing but faces."""
    max_side: int = 6000
    """Pixels, at least 100; a picture with a longer side is searched as if it were made so small:
    the smallest faces to find grow in proportion. Photos of 24 megapixels stay below it."""

    def __post_init__(self) -> None:
        check_number(
            "min_face_size",
            self.min_face_size,
            "a number of at least 10: P-Net sees faces of 12 pixels, and no detail appears by "
            "enlarging more",
            low=10,
        )
        check_number(
            "scale_factor",
            self.scale_factor,
            f"a number above 0, at most {MAX_SCALE_FACTOR}: each picture costs as much as its "
            "levels have pixels, and a factor nearer to 1 finds little more",
            low=1e-9,
            high=MAX_SCALE_FACTOR,
        )
        expected = "three numbers from 0 to 1, for P-Net, R-Net and O-Net"
        given: Any = self.score_thresholds
        thresholds = tuple(given) if isinstance(given, Iterable) else ()
        if isinstance(given, str) or len(thresholds) != 3:
            raise InputError(f"score_thresholds: {given!r}, expected {expected}")
        for threshold in thresholds:
            check_number("score_thresholds", threshold, expected, 0, 1)
        many = f"a whole number from 1 to {MOST_FACES:,}"
        check_number("max_faces", self.max_faces, many, 1, MOST_FACES, whole=True)
        long = f"a whole number of pixels, {SIDES[0]} to {SIDES[1]:,}"
        check_number("max_side", self.max_side, long, *SIDES, whole=True)
        # A generator is gone once it is read, and a list could change later.
        object.__setattr__(self, "score_thresholds", thresholds)
