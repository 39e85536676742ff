"""Training crops of P-Net, R-Net and O-Net, and how pictures are mined for them part by part."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum

import numpy as np

from kptkit import images
from kptkit.errors import InputError
from kptkit.samples import FaceSamples

# A crop's id is its picture's number times this, plus its index among the picture's crops.
IDS_PER_IMAGE = 2**20

# Each part gives one shard of each kind. Enough parts to occupy many processes and to lose little
# work when killed, but not hundreds of small files.
_MOST_PARTS = 32
_SMALLEST_PART = 16  # pictures


class CropKind(IntEnum):
    """What a crop is used for.

    POSITIVE and NEGATIVE train the classification, POSITIVE and PART the box, LANDMARK the
    landmarks.
    """

    POSITIVE = 1
    NEGATIVE = 0
    PART = -1
    LANDMARK = -2

    @property
    def label(self) -> str:
        """The kind's name in file names and manifests."""
        return self.name.lower()


@dataclass(frozen=True)
class Crops:
    """N crops of one size.

    Attributes:
        kinds: (N,) int8, `CropKind`.
        images: (N, S, S, 3) uint8 RGB.
        boxes: (N, 4) float32 offsets of the crop's face, see
            `kptkit.geometry.face_windows.box_offsets`; NaN if the crop has no face.
        landmarks: (N, 10) float32, see `kptkit.geometry.face_windows.landmark_offsets`; NaN if the
            crop has no face or the face no landmarks.

    Raises:
        InputError: more than `IDS_PER_IMAGE` crops.
    """

    kinds: np.ndarray
    images: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray

    def __post_init__(self) -> None:
        if len(self.kinds) > IDS_PER_IMAGE:
            raise InputError(
                f"{len(self.kinds)} crops of one picture; expected at most {IDS_PER_IMAGE}; ask "
                "for fewer per face"
            )

    def __len__(self) -> int:
        return len(self.kinds)

    def select(self, indices: np.ndarray) -> "Crops":
        """The crops at `indices`, or where a mask is true."""
        return Crops(*(getattr(self, column.name)[indices] for column in fields(self)))


def no_crops(size: int) -> Crops:
    """An empty `Crops` of side `size`."""
    return Crops(
        np.zeros(0, np.int8),
        np.zeros((0, size, size, 3), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros((0, 10), np.float32),
    )


def concatenate(crops: Sequence[Crops]) -> Crops:
    """Several `Crops` as one. There must be at least one; any may be empty."""
    columns = [column.name for column in fields(Crops)]
    return Crops(*(np.concatenate([getattr(group, name) for group in crops]) for name in columns))


@dataclass(frozen=True)
class ImageCrops:
    """The crops of one picture.

    Attributes:
        path: of the picture.
        number: index of the picture in the whole data set.
        crops: None if the picture cannot be used or is too small.
        skipped: why it cannot be read, in a few words; otherwise empty.
        notes: counts by description, such as faces too small to learn from.
    """

    path: str
    number: int
    crops: Crops | None
    skipped: str = ""
    notes: dict[str, int] = field(default_factory=dict)


# From a picture (H, W, 3) uint8 RGB, its faces and a random generator to its crops and notes (see
# `ImageCrops`).
MineImage = Callable[[np.ndarray, FaceSamples, np.random.Generator], tuple[Crops, dict[str, int]]]


@dataclass(frozen=True)
class FacePart:
    """Consecutive pictures that are mined together, into one shard of each kind.

    Attributes:
        first_number: index of the first picture in the whole data set.
        samples: the pictures and their faces.
    """

    first_number: int
    samples: FaceSamples

    def __len__(self) -> int:
        return len(self.samples.image_paths)


def split_into_parts(sets: Sequence[FaceSamples]) -> list[FacePart]:
    """Splits data sets into parts; the split depends only on how many pictures each set has."""
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
    """Yields the crops of each picture of a part, in order.

    The crops depend only on the picture, its faces, its number and the seed.

    Args:
        smallest_side: pictures with a side shorter than this, in pixels, give no crops.
    """
    for place, path in enumerate(part.samples.image_paths):
        number = part.first_number + place
        faces = part.samples.select_images(np.array([place]))
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
