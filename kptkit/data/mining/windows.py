"""Which windows of a picture become crops, and what they teach: MTCNN's rules (Zhang et al. 2016).

A window's overlap (IoU) with the faces of its picture decides: below 0.3 with every one it shows no
face, from 0.65 on it shows one, from 0.4 on a part of one. The face it overlaps most is its face.
Faces that are to be ignored are neither taught nor background: no crop is assigned to them, and
none is background that they cover by 0.3 or whose centre lies in them.

Windows are squares of whole pixels, (N, 4) int64 x1 y1 x2 y2. Every search has a bound, so no
picture can hang it: where it does not find as many windows as were wanted, there are fewer.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from kptkit.data.mining.crop_pixels import cut_crops
from kptkit.data.mining.crops import CropKind, Crops
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.geometry.face_windows import box_offsets, landmark_offsets
from kptkit.samples import FaceSamples

NEGATIVE_IOU, PART_IOU, POSITIVE_IOU = 0.3, 0.4, 0.65

# The kind of a window that teaches nothing.
UNUSED = -128

# What windows are between these overlaps.
_IOU_STEPS = (NEGATIVE_IOU, PART_IOU, POSITIVE_IOU)
_KINDS = np.array([CropKind.NEGATIVE, UNUSED, CropKind.PART, CropKind.POSITIVE], np.int8)

# Windows times faces that are compared at once: what stays in a processor's cache.
_MOST_PAIRS = 100_000

# How often windows are drawn for those that are still wanted; around faces, where one in five shows
# enough of its face, several for each one at once.
_ROUNDS = 5
_FACE_ROUNDS, _FACE_TRIES = 2, 4

# How far a window around a face strays: its side over the face's, its centre in faces' sides.
_SIDE_FACTORS = (0.8, 1.25)
_SHIFT = 0.2


@dataclass(frozen=True)
class WindowCounts:
    """How many windows a picture gives at most."""

    negatives_per_image: int = 50
    """Background of every picture, half of it near faces where there are any."""
    negatives_per_face: int = 10
    """More of it for every face that is learned, half of it near faces."""
    positives_per_face: int = 10
    parts_per_face: int = 10

    def __post_init__(self) -> None:
        for name, count in asdict(self).items():
            if count < 0:
                raise InputError(f"{name}: {count}; expected 0 or more")


def usable_faces(
    faces: FaceSamples, size_wh: tuple[int, int], min_face_size: float
) -> tuple[FaceSamples, dict[str, int]]:
    """The faces of one picture as they can be mined, and notes of what was changed.

    Boxes are cut to the picture; those that lie outside are left out; faces whose longer side is
    below `min_face_size` pixels are ignored.
    """
    clipped = boxes.clip(faces.boxes_xyxy, size_wh).astype(np.float32)
    kept = boxes.area(clipped) > 0
    cut = kept & (clipped != faces.boxes_xyxy).any(axis=1)
    sides = (clipped[:, 2:] - clipped[:, :2]).max(axis=1, initial=0)
    small = kept & ~faces.ignored & (sides < min_face_size)
    notes = {
        "faces": int(kept.sum()),
        "faces flagged as invalid": int((faces.ignored & kept).sum()),
        "faces too small": int(small.sum()),
        "boxes cut to their picture": int(cut.sum()),
        "boxes outside their picture": int((~kept).sum()),
    }
    faces = replace(faces, boxes_xyxy=clipped, ignored=faces.ignored | small)
    return faces.select(np.flatnonzero(kept)), notes


def label_windows(
    windows_xyxy: np.ndarray, boxes_xyxy: np.ndarray, ignored: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What windows teach, by their overlap with all faces (M, 4) of their picture.

    Returns:
        kinds (N,) int8: `CropKind`, or `UNUSED`; faces (N,) int64: the face that each overlaps
        most, -1 for negatives and unused ones.
    """
    kinds = np.full(len(windows_xyxy), CropKind.NEGATIVE, np.int8)
    faces = np.full(len(windows_xyxy), -1)
    if not len(boxes_xyxy):
        return kinds, faces
    unsure = boxes_xyxy[ignored]
    for own in _blocks(len(windows_xyxy), len(boxes_xyxy)):
        windows = windows_xyxy[own].astype(np.float32)
        overlap = boxes.iou(windows, boxes_xyxy)
        nearest = overlap.argmax(axis=1)
        largest = overlap[np.arange(len(overlap)), nearest]
        found = _KINDS[np.digitize(largest, _IOU_STEPS)]
        found[ignored[nearest] & (largest >= PART_IOU)] = UNUSED
        if len(unsure):
            found[(largest < NEGATIVE_IOU) & _is_unsure(windows, unsure)] = UNUSED
        kinds[own] = found
        faces[own] = np.where((found != UNUSED) & (largest >= PART_IOU), nearest, -1)
    return kinds, faces


def _blocks(num_windows: int, num_faces: int) -> list[slice]:
    """Windows in groups small enough to be compared with all faces at once."""
    step = max(1, _MOST_PAIRS // num_faces)
    return [slice(first, first + step) for first in range(0, num_windows, step)]


def _is_unsure(windows: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """Which windows (N,) ignored faces (M, 4) cover too far to be background."""
    shared = boxes.intersection(windows[:, None], boxes_xyxy)
    covered = shared >= NEGATIVE_IOU * boxes.area(windows)[:, None]
    centre = (windows[:, :2] + windows[:, 2:]) / 2
    centre_x, centre_y = centre[:, :1], centre[:, 1:]
    left, top, right, bottom = boxes_xyxy.T
    across = (left <= centre_x) & (centre_x <= right)
    down = (top <= centre_y) & (centre_y <= bottom)
    return (covered | (across & down)).any(axis=1)


def background_windows(
    rng: np.random.Generator,
    faces: FaceSamples,
    size_wh: tuple[int, int],
    smallest: int,
    counts: WindowCounts,
) -> np.ndarray:
    """Windows (N, 4) of a picture that show no face: half of them near faces, half anywhere."""
    learned = faces.boxes_xyxy[~faces.ignored]
    wanted = counts.negatives_per_image + counts.negatives_per_face * len(learned)
    near = wanted // 2 if len(learned) else 0

    def legal(windows: np.ndarray) -> np.ndarray:
        return label_windows(windows, faces.boxes_xyxy, faces.ignored)[0] == CropKind.NEGATIVE

    def draw_near(count: int) -> np.ndarray:
        return windows_near(rng, learned[rng.integers(len(learned), size=count)], size_wh, smallest)

    def draw_anywhere(count: int) -> np.ndarray:
        return windows_anywhere(rng, count, size_wh, smallest)

    found = [find(near, draw_near, legal), find(wanted - near, draw_anywhere, legal)]
    return np.concatenate(found)


def face_windows(
    rng: np.random.Generator, faces: FaceSamples, size_wh: tuple[int, int], counts: WindowCounts
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows inside a picture that show faces or parts of them, some for each face to learn.

    Returns:
        windows (N, 4), kinds (N,) and faces (N,), as `label_windows` gives them.
    """
    learned = np.flatnonzero(~faces.ignored)
    limits = {
        CropKind.POSITIVE: counts.positives_per_face,
        CropKind.PART: counts.parts_per_face,
    }
    windows, kinds, owners = np.zeros((0, 4), np.int64), np.zeros(0, np.int8), np.zeros(0, int)
    lacking = learned
    for _ in range(_FACE_ROUNDS):
        if not len(lacking):
            break
        around = np.repeat(lacking, _FACE_TRIES * sum(limits.values()))
        drawn = windows_around(rng, faces.boxes_xyxy[around])
        drawn = drawn[is_inside(drawn, size_wh)]
        labels = label_windows(drawn, faces.boxes_xyxy, faces.ignored)
        windows = np.concatenate([windows, drawn])
        kinds, owners = np.append(kinds, labels[0]), np.append(owners, labels[1])
        kept = np.zeros(len(kinds), bool)
        for kind, limit in limits.items():
            kept |= first_of_each(np.where(kinds == kind, owners, -1), limit)
        windows, kinds, owners = windows[kept], kinds[kept], owners[kept]
        found = np.bincount(owners, minlength=len(faces))[learned]
        lacking = learned[found < sum(limits.values())]
    return windows, kinds, owners


def windows_anywhere(
    rng: np.random.Generator, count: int, size_wh: tuple[int, int], smallest: int
) -> np.ndarray:
    """Windows (count, 4) inside a picture, of any size from `smallest` to its shorter side."""
    side = _random_sides(rng, count, smallest, min(size_wh))
    corner = rng.integers(0, np.array(size_wh) - side[:, None] + 1)
    return _squares(corner, side)


def windows_near(
    rng: np.random.Generator, boxes_xyxy: np.ndarray, size_wh: tuple[int, int], smallest: int
) -> np.ndarray:
    """One window for each box (N, 4), inside the picture, of any size, touching the box."""
    side = _random_sides(rng, len(boxes_xyxy), smallest, min(size_wh))[:, None]
    low, high = np.floor(boxes_xyxy[:, :2]) - side + 1, np.ceil(boxes_xyxy[:, 2:])
    corner = rng.integers(low.astype(np.int64), np.maximum(high, low + 1).astype(np.int64))
    return _squares(np.clip(corner, 0, np.array(size_wh) - side), side[:, 0])


def windows_around(rng: np.random.Generator, boxes_xyxy: np.ndarray) -> np.ndarray:
    """One window for each box (N, 4), of about its size and place; it may leave the picture."""
    sides = np.asarray(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], np.float64)
    low = np.maximum(np.floor(_SIDE_FACTORS[0] * sides.min(axis=1)), 1)
    high = np.maximum(np.ceil(_SIDE_FACTORS[1] * sides.max(axis=1)), low)
    side = rng.integers(low.astype(np.int64), high.astype(np.int64) + 1)
    shift = rng.uniform(-_SHIFT, _SHIFT, (len(sides), 2)) * sides
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 + shift
    return _squares(np.rint(centre - side[:, None] / 2).astype(np.int64), side)


def _random_sides(rng: np.random.Generator, count: int, smallest: int, largest: int) -> np.ndarray:
    """Whole sides (count,) from `smallest` to `largest`, spread evenly over the scales."""
    ratio = (largest + 1) / smallest
    return np.minimum(smallest * ratio ** rng.random(count), largest).astype(np.int64)


def _squares(corner: np.ndarray, side: np.ndarray) -> np.ndarray:
    return np.concatenate([corner, corner + side[:, None]], axis=1)


def is_inside(windows_xyxy: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Which windows (N,) lie wholly in a picture."""
    return ((windows_xyxy[:, :2] >= 0) & (windows_xyxy[:, 2:] <= size_wh)).all(axis=1)


def find(
    wanted: int, draw: Callable[[int], np.ndarray], legal: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The first `wanted` legal windows (N, 4) out of what `draw` gives, or as many as there are."""
    found = np.zeros((0, 4), np.int64)
    for _ in range(_ROUNDS):
        missing = wanted - len(found)
        if not missing:
            break
        windows = draw(missing + missing // 4 + 4)
        found = np.concatenate([found, windows[legal(windows)][:missing]])
    return found


def first_of_each(groups: np.ndarray, limit: int) -> np.ndarray:
    """A mask (N,) of the first `limit` members of each group; -1 stands for no group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    rank = np.arange(len(groups)) - np.searchsorted(ordered, ordered)
    mask = np.zeros(len(groups), bool)
    mask[order] = (rank < limit) & (ordered >= 0)
    return mask


def crops_of_windows(
    image: np.ndarray,
    windows_xyxy: np.ndarray,
    kinds: np.ndarray,
    owners: np.ndarray,
    faces: FaceSamples,
    size: int,
) -> Crops:
    """Cuts labelled windows (N, 4) out of a picture.

    Args:
        kinds: (N,), of `CropKind`, none `UNUSED`.
        owners: (N,) the face of each among `faces`, -1 where it shows none.
        size: side of the crops in pixels.
    """
    shows = owners >= 0
    windows = windows_xyxy.astype(np.float32)
    offsets = np.full((len(windows), 4), np.nan, np.float32)
    offsets[shows] = box_offsets(faces.boxes_xyxy[owners[shows]], windows[shows])
    landmarks = np.full((len(windows), 10), np.nan, np.float32)
    landmarks[shows] = landmark_offsets(faces.landmarks[owners[shows]], windows[shows])
    pixels = cut_crops(image, windows_xyxy, size)
    return Crops(kinds.astype(np.int8), pixels, offsets, landmarks)
