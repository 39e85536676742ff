"""R-Net's and O-Net's crops of one picture: the windows that the earlier stages take for faces.

Windows without a face are hard negatives (Zhang et al. 2016, section II-C). On a small data set the
cascade finds few windows around each face, so random windows around the faces are added, as for
P-Net. Landmark crops are also drawn as for P-Net, except that they may leave the picture, as the
cascade's windows may.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
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
from kptkit.data.mining.landmarks import landmark_crops
from kptkit.data.mining.settings import HardMiningConfig, WindowCounts
from kptkit.data.mining.windows import (
    crops_of_windows,
    face_windows,
    first_of_each,
    label_windows,
    usable_faces,
)
from kptkit.samples import FaceSamples

# From a picture (H, W, 3) uint8 RGB to its candidate windows (N, 4): squares of whole pixels, by
# descending score. Called from several threads.
Detector = Callable[[np.ndarray], np.ndarray]

# The note that counts the candidate windows.
DETECTIONS = "detections"

# In pixels: P-Net's window, so a smaller picture has no candidates.
SMALLEST_SIDE = 12


def hard_crops(
    image: np.ndarray,
    faces: FaceSamples,
    rng: np.random.Generator,
    detector: Detector,
    config: HardMiningConfig,
    size: int,
) -> tuple[Crops, dict[str, int]]:
    """The crops and notes of one picture; a `kptkit.data.mining.crops.MineImage`.

    Every picture gives landmark crops of the faces that have landmarks. The cascade runs only on
    pictures whose faces are all annotated, since elsewhere a false alarm may be a face.

    Args:
        image: (H, W, 3) uint8 RGB.
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
    """Yields what `mine_part` yields, in the same order, working on several pictures at once.

    For a detector that cannot be sent to other processes.
    """
    pictures = [
        FacePart(part.first_number + place, part.samples.select_images(np.array([place])))
        for place in range(len(part))
    ]
    mine = partial(mine_part, mine_image=mine_image, smallest_side=SMALLEST_SIDE, seed=seed)
    for found in pool.map(lambda picture: list(mine(picture)), pictures):
        yield from found
