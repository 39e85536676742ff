"""R-Net's and O-Net's crops of one picture: what the cascade so far takes for faces.

Windows that show none are the hard negatives (Zhang et al. 2016, section II-C). A cascade finds few
windows around each face of a small set, so random ones around the faces are added, as P-Net gets
them; landmark crops are P-Net's too, but may leave the picture, as what a cascade finds may.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from kptkit.data.mining.crops import (
    CropKind,
    Crops,
    FacePart,
    ImageCrops,
    MineImage,
    concatenate,
    mine_part,
)
from kptkit.data.mining.landmarks import LandmarkConfig, landmark_crops
from kptkit.data.mining.windows import (
    WindowCounts,
    crops_of_windows,
    face_windows,
    first_of_each,
    label_windows,
    usable_faces,
)
from kptkit.samples import FaceSamples

# From a picture (H, W, 3) uint8 RGB to the squares of whole pixels (N, 4) that it takes for faces,
# the surest first. Called from several threads.
Detector = Callable[[np.ndarray], np.ndarray]

# The name under which the windows of all pictures are counted.
DETECTIONS = "detections"

# No smaller picture has a window that P-Net sees.
SMALLEST_SIDE = 12


@dataclass(frozen=True)
class HardMiningConfig:
    """What is cut out of every picture."""

    min_face_size: float = 20.0
    """The cascade looks for faces from this side on, in pixels; smaller windows are dropped, and
    smaller faces are neither learned nor background."""
    negatives_per_image: int = 60
    """Windows without a face of every picture, those that the cascade is surest of."""
    positives_per_face: int = 10
    """Random windows around every face, beside those found; 0: none."""
    parts_per_face: int = 10
    """The same of windows that show a part of it."""
    landmarks: LandmarkConfig = LandmarkConfig()


def hard_crops(
    image: np.ndarray,
    faces: FaceSamples,
    rng: np.random.Generator,
    detector: Detector,
    config: HardMiningConfig,
    size: int,
) -> tuple[Crops, dict[str, int]]:
    """The crops of a picture, and notes: `kptkit.data.mining.crops.MineImage`.

    Only on a picture whose faces are all listed the cascade is run; every picture gives landmark
    crops of the faces that have landmarks.

    Args:
        image: (H, W, 3) uint8.
        faces: those of this picture.
        size: side of the crops in pixels.
    """
    size_wh = (image.shape[1], image.shape[0])
    with_points = landmark_crops(image, faces, rng, config.landmarks, size, inside=False)
    if not faces.complete:
        return with_points, {}
    faces, notes = usable_faces(faces, size_wh, config.min_face_size)
    found = detector(image)
    found = found[found[:, 2] - found[:, 0] >= config.min_face_size].astype(np.int64)
    kinds, owners = label_windows(found, faces.boxes_xyxy, faces.ignored)
    kept = first_of_each(np.where(kinds == CropKind.NEGATIVE, 0, -1), config.negatives_per_image)
    kept |= owners >= 0
    around = WindowCounts(
        positives_per_face=config.positives_per_face, parts_per_face=config.parts_per_face
    )
    random = face_windows(rng, faces, size_wh, around)
    windows, kinds, owners = (
        np.concatenate([hard[kept], easy])
        for hard, easy in zip((found, kinds, owners), random, strict=True)
    )
    crops = crops_of_windows(image, windows, kinds, owners, faces, size)
    return concatenate([crops, with_points]), notes | {DETECTIONS: len(found)}


def mine_in_threads(
    part: FacePart, mine_image: MineImage, seed: int, pool: Executor
) -> Iterator[ImageCrops]:
    """The crops of every picture of a part, in order, several pictures being worked on at once.

    For detectors that cannot be handed to other processes; the crops are those of `mine_part`.
    """
    pictures = [
        FacePart(part.first_number + place, part.samples.select_images(np.array([place])))
        for place in range(len(part))
    ]
    mine = partial(mine_part, mine_image=mine_image, smallest_side=SMALLEST_SIDE, seed=seed)
    for found in pool.map(lambda picture: list(mine(picture)), pictures):
        yield from found
