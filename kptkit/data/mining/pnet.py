"""P-Net's crops of one picture: random windows, as no earlier stage exists to find hard ones."""

import numpy as np

from kptkit.data.mining.crops import CropKind, Crops, concatenate
from kptkit.data.mining.landmarks import landmark_crops
from kptkit.data.mining.settings import PnetMiningConfig, WindowCounts
from kptkit.data.mining.windows import (
    background_windows,
    crops_of_windows,
    face_windows,
    usable_faces,
)
from kptkit.samples import FaceSamples

# Side of P-Net's window, in pixels.
SIZE = 12


def pnet_crops(
    image: np.ndarray, faces: FaceSamples, rng: np.random.Generator, config: PnetMiningConfig
) -> tuple[Crops, dict[str, int]]:
    """The crops and notes of one picture; a `kptkit.data.mining.crops.MineImage`.

    Every picture gives landmark crops of the faces that have landmarks. Only a picture whose faces
    are all annotated gives positives, parts and negatives.

    Args:
        image: (H, W, 3) uint8 RGB, no side shorter than 12 pixels.
        faces: those of this picture.
    """
    size_wh = (image.shape[1], image.shape[0])
    with_points = landmark_crops(image, faces, rng, config.landmarks, SIZE, inside=True)
    if not faces.complete:
        return with_points, {}
    faces, notes = usable_faces(faces, size_wh, config.min_face_size)
    background = background_windows(rng, faces, size_wh, SIZE, config.windows)
    shown, kinds, owners = face_windows(rng, faces, size_wh, config.windows)
    windows = np.concatenate([background, shown])
    kinds = np.append(np.full(len(background), CropKind.NEGATIVE, np.int8), kinds)
    owners = np.append(np.full(len(background), -1), owners)
    crops = crops_of_windows(image, windows, kinds, owners, faces, SIZE)
    return concatenate([crops, with_points]), notes | crops_not_found(crops, faces, config.windows)


def crops_not_found(crops: Crops, faces: FaceSamples, counts: WindowCounts) -> dict[str, int]:
    """How many of the wanted crops of each kind were not found in the picture."""
    learned = int((~faces.ignored).sum())
    wanted = {
        CropKind.NEGATIVE: counts.negatives_per_image + counts.negatives_per_face * learned,
        CropKind.POSITIVE: counts.positives_per_face * learned,
        CropKind.PART: counts.parts_per_face * learned,
    }
    return {
        f"{kind.label} crops not found": count - int((crops.kinds == kind).sum())
        for kind, count in wanted.items()
    }
