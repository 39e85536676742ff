"""Crops of faces and of what is none: what miners make and P-Net, R-Net and O-Net learn from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum

import numpy as np

from kptkit import images
from kptkit.errors import InputError
from kptkit.samples import FaceSamples

# A crop's id is its picture's number times this, plus its place among the picture's crops.
IDS_PER_IMAGE = 2**20

# A folder of crops has as many shards of each kind as it has parts: enough to occupy many
# processes and to lose little by a kill, few enough not to litter.
_MOST_PARTS = 32
_SMALLEST_PART = 16


class CropKind(IntEnum):
    """What a crop teaches: whether it is a face, and where its face's box and landmarks are."""

    POSITIVE = 1
    NEGATIVE = 0
    PART = -1
    LANDMARK = -2

    @property
    def label(self) -> str:
        """Its name in files."""
        return self.name.lower()


@dataclass(frozen=True)
class Crops:
    """N crops.

    Attributes:
        kinds: (N,) int8, `CropKind`.
        images: (N, S, S, 3) uint8 RGB.
        boxes: (N, 4) float32, `kptkit.geometry.face_windows.box_offsets` of the crop's face; NaN where
            there is none.
        landmarks: (N, 10) float32, `kptkit.geometry.face_windows.landmark_offsets`; NaN where there are
            none.
    """

    kinds: np.ndarray
    images: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray

    def __post_init__(self) -> None:
        if len(self.kinds) > IDS_PER_IMAGE:
            raise InputError(
                f"{len(self.kinds)} crops of one picture; expected at most {IDS_PER_IMAGE}; ask "
                "for fewer of each face"
            )

    def __len__(self) -> int:
        return len(self.kinds)

    def select(self, indices: np.ndarray) -> "Crops":
        """The crops at `indices`, or where a mask is true."""
        return Crops(*(getattr(self, column.name)[indices] for column in fields(self)))


def no_crops(size: int) -> Crops:
    """Crops of `size` pixels, none of them."""
    return Crops(
        np.zeros(0, np.int8),
        np.zeros((0, size, size, 3), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros((0, 10), np.float32),
    )


def concatenate(crops: Sequence[Crops]) -> Crops:
    """All crops in one; at least one group of them, which may be empty."""
    columns = [column.name for column in fields(Crops)]
    return Crops(*(np.concatenate([getattr(group, name) for group in crops]) for name in columns))


@dataclass(frozen=True)
class ImageCrops:
    """What was cut out of one picture.

    Attributes:
        path: the picture.
        number: which picture of the whole set it is.
        crops: none where the picture cannot be used.
        skipped: why it cannot be used, a few words; else empty.
        notes: what happened how often, such as faces too small to learn from.
    """

    path: str
    number: int
    crops: Crops | None
    skipped: str = ""
    notes: dict[str, int] = field(default_factory=dict)


# The crops of a picture (H, W, 3), with the samples of that picture alone, and notes.
MineImage = Callable[[np.ndarray, FaceSamples, np.random.Generator], tuple[Crops, dict[str, int]]]


@dataclass(frozen=True)
class FacePart:
    """Pictures that are mined together, into one shard of each kind.

    Attributes:
        first_number: which picture of the whole set the first of `samples` is.
    """

    first_number: int
    samples: FaceSamples

    def __len__(self) -> int:
        return len(self.samples.image_paths)


def divide(sets: Sequence[FaceSamples]) -> list[FacePart]:
    """The parts of all sets together, which depend on the numbers of their pictures alone."""
    total = sum(len(samples.image_paths) for samples in sets)
    size = max(_SMALLEST_PART, -(-total // _MOST_PARTS))
    parts, number = [], 0
    for samples in sets:
        count = len(samples.image_paths)
        for first in range(0, count, size):
            places = np.arange(first, min(first + size, count))
            parts.append(FacePart(number + first, samples.select_images(places)))
        number += count
    return parts


def mine_part(
    part: FacePart, mine_image: MineImage, smallest_side: int, seed: int
) -> Iterator[ImageCrops]:
    """The crops of every picture of a part, which depend on the picture, its number and the seed.

    Args:
        smallest_side: pictures that are lower or narrower, in pixels, give no crops.
    """
    for place, path in enumerate(part.samples.image_paths):
        number = part.first_number + place
        faces = part.samples.select_images([place])
        try:
            image = images.read_image(path, faces.orientation)
        except images.ImageError as error:
            yield ImageCrops(path, number, None, error.reason)
            continue
        if min(image.shape[:2]) < smallest_side:
            yield ImageCrops(path, number, None, notes={f"pictures under {smallest_side} px": 1})
            continue
        crops, notes = mine_image(image, faces, np.random.default_rng((seed, number)))
        yield ImageCrops(path, number, crops, notes=notes)
