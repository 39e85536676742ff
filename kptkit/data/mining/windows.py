"""Draws windows in a picture and labels them by MTCNN's rules (Zhang et al. 2016).

A window belongs to the face that it overlaps most. With an IoU of at least 0.65 it is positive,
from 0.4 it is a part, and below 0.3 with every face it is negative; between 0.3 and 0.4 it is
unused. Ignored faces get no crops, and no negative may lie on them: a window is unused if an
ignored face covers at least 0.3 of it or contains its centre.

Windows are squares of whole pixels, (N, 4) int64 x1 y1 x2 y2. Every search is bounded, so that no
picture can make it run forever; it returns fewer windows where it does not find enough.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kptkit.data.mining.crop_pixels import cut_windows
from kptkit.data.mining.crops import CropKind, Crops
from kptkit.data.mining.settings import WindowCounts
from kptkit.geometry import boxes
from kptkit.geometry.face_windows import box_offsets, landmark_offsets
from kptkit.samples import FaceSamples

NEGATIVE_IOU, PART_IOU, POSITIVE_IOU = 0.3, 0.4, 0.65

# The kind of a window that must not become a crop.
UNUSED = -128

# The kind of a window by its largest IoU: one kind per interval between these steps.
_IOU_STEPS = (NEGATIVE_IOU, PART_IOU, POSITIVE_IOU)
_KINDS = np.array([CropKind.NEGATIVE, UNUSED, CropKind.PART, CropKind.POSITIVE], np.int8)

# Pairs of windows and faces compared at once, so that intermediate arrays stay in the CPU cache.
_MOST_PAIRS = 100_000

# How often windows are drawn until there are enough. Around faces only one window in five shows
# enough of its face, so several are drawn for each window wanted.
_ROUNDS = 5
_FACE_ROUNDS, _FACE_TRIES = 2, 4

# How windows around a face vary: their side relative to the face's sides, and the shift of their
# centre in units of the face's sides.
_SIDE_FACTORS = (0.8, 1.25)
_SHIFT = 0.2


def usable_faces(
    faces: FaceSamples, size_wh: tuple[int, int], min_face_size: float
) -> tuple[FaceSamples, dict[str, int]]:
    """Prepares the faces of one picture for mining; also returns counts of what was changed.

    Boxes are clipped to the picture and dropped if they lie outside. Faces whose longer side is
    shorter than `min_face_size` pixels become ignored.
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
    """Labels windows by their overlap with the faces of their picture.

    Args:
        windows_xyxy: (N, 4).
        boxes_xyxy: (M, 4), all faces of the picture.
        ignored: (M,) bool.

    Returns:
        kinds (N,) int8: `CropKind`, or `UNUSED`; faces (N,) int64: index of the face that each
        window overlaps most, -1 for negative and unused windows.
    """
    kinds = np.full(len(windows_xyxy), CropKind.NEGATIVE, np.int8)
    faces = np.full(len(windows_xyxy), -1)
    if not len(boxes_xyxy):
        return kinds, faces
    avoided = boxes_xyxy[ignored]
    for own in _blocks(len(windows_xyxy), len(boxes_xyxy)):
        windows = windows_xyxy[own].astype(np.float32)
        overlap = boxes.iou(windows, boxes_xyxy)
        nearest = overlap.argmax(axis=1)
        largest = overlap[np.arange(len(overlap)), nearest]
        found = _KINDS[np.digitize(largest, _IOU_STEPS)]
        found[ignored[nearest] & (largest >= PART_IOU)] = UNUSED
        if len(avoided):
            found[(largest < NEGATIVE_IOU) & _lies_on_ignored(windows, avoided)] = UNUSED
        kinds[own] = found
        faces[own] = np.where((found != UNUSED) & (largest >= PART_IOU), nearest, -1)
    return kinds, faces


def _blocks(num_windows: int, num_faces: int) -> list[slice]:
    """Slices of the windows, each small enough to be compared with all faces at once."""
    step = max(1, _MOST_PAIRS // num_faces)
    return [slice(first, first + step) for first in range(0, num_windows, step)]


def _lies_on_ignored(windows: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """Which windows (N,) cannot be negatives because of ignored faces (M, 4)."""
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
    """Negative windows (N, 4) of a picture: half of them near faces, half anywhere.

    Args:
        faces: those of this picture.
        size_wh: of the picture.
        smallest: shortest side of a window, in pixels.
    """
    learned = faces.boxes_xyxy[~faces.ignored]
    wanted = counts.negatives_per_image + counts.negatives_per_face * len(learned)
    near = wanted // 2 if len(learned) else 0

    def legal(windows: np.ndarray) -> np.ndarray:
        return label_windows(windows, faces.boxes_xyxy, faces.ignored)[0] == CropKind.NEGATIVE

    def draw_near(count: int) -> np.ndarray:
        return windows_near(rng, learned[rng.integers(len(learned), size=count)], size_wh, smallest)

    def draw_anywhere(count: int) -> np.ndarray:
        return windows_anywhere(rng, count, size_wh, smallest)

    near_faces = draw_legal_windows(near, draw_near, legal)
    anywhere = draw_legal_windows(wanted - near, draw_anywhere, legal)
    return np.concatenate([near_faces, anywhere])


def face_windows(
    rng: np.random.Generator, faces: FaceSamples, size_wh: tuple[int, int], counts: WindowCounts
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positive and part windows inside a picture, some of each for every face not ignored.

    Returns:
        windows (N, 4) int64, with kinds (N,) and faces (N,) as in `label_windows`.
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
        drawn = drawn[windows_inside(drawn, size_wh)]
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
    """Windows (count, 4) anywhere in a picture; sides from `smallest` to its shorter side."""
    side = _random_sides(rng, count, smallest, min(size_wh))
    corner = rng.integers(0, np.array(size_wh) - side[:, None] + 1)
    return _squares(corner, side)


def windows_near(
    rng: np.random.Generator, boxes_xyxy: np.ndarray, size_wh: tuple[int, int], smallest: int
) -> np.ndarray:
    """One window for each box (N, 4): it touches the box, lies in the picture, has any size."""
    side = _random_sides(rng, len(boxes_xyxy), smallest, min(size_wh))[:, None]
    low, high = np.floor(boxes_xyxy[:, :2]) - side + 1, np.ceil(boxes_xyxy[:, 2:])
    corner = rng.integers(low.astype(np.int64), np.maximum(high, low + 1).astype(np.int64))
    return _squares(np.clip(corner, 0, np.array(size_wh) - side), side[:, 0])


def windows_around(rng: np.random.Generator, boxes_xyxy: np.ndarray) -> np.ndarray:
    """One window for each box (N, 4), of similar size and place; it may leave the picture."""
    sides = np.asarray(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], np.float64)
    low = np.maximum(np.floor(_SIDE_FACTORS[0] * sides.min(axis=1)), 1)
    high = np.maximum(np.ceil(_SIDE_FACTORS[1] * sides.max(axis=1)), low)
    side = rng.integers(low.astype(np.int64), high.astype(np.int64) + 1)
    shift = rng.uniform(-_SHIFT, _SHIFT, (len(sides), 2)) * sides
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 + shift
    return _squares(np.rint(centre - side[:, None] / 2).astype(np.int64), side)


def _random_sides(rng: np.random.Generator, count: int, smallest: int, largest: int) -> np.ndarray:
    """Whole numbers (count,) from `smallest` to `largest`, log-uniformly distributed."""
    ratio = (largest + 1) / smallest
    return np.minimum(smallest * ratio ** rng.random(count), largest).astype(np.int64)


def _squares(corner: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Windows (N, 4) from their top-left corners (N, 2) and sides (N,)."""
    return np.concatenate([corner, corner + side[:, None]], axis=1)


def windows_inside(windows_xyxy: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Which windows (N,) bool lie completely in a picture."""
    return np.all((windows_xyxy[:, :2] >= 0) & (windows_xyxy[:, 2:] <= size_wh), axis=1)


def draw_legal_windows(
    wanted: int, draw: Callable[[int], np.ndarray], legal: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The first `wanted` legal windows (N, 4), or fewer if `_ROUNDS` draws do not give enough.

    Args:
        draw: draws a given number of windows.
        legal: says which windows (N,) bool may be used.
    """
    found = np.zeros((0, 4), np.int64)
    for _ in range(_ROUNDS):
        missing = wanted - len(found)
        if not missing:
            break
        windows = draw(missing + missing // 4 + 4)
        found = np.concatenate([found, windows[legal(windows)][:missing]])
    return found


def first_of_each(groups: np.ndarray, limit: int) -> np.ndarray:
    """A mask (N,) bool of the first `limit` members of each group.

    Args:
        groups: (N,) the group of each member; -1 for no group.
    """
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
        image: (H, W, 3) uint8 RGB.
        kinds: (N,) `CropKind`, without `UNUSED`.
        owners: (N,) index into `faces` of each window's face, -1 for negatives.
        faces: those of this picture.
        size: side of the crops in pixels.
    """
    shows = owners >= 0
    windows = windows_xyxy.astype(np.float32)
    offsets = np.full((len(windows), 4), np.nan, np.float32)
    offsets[shows] = box_offsets(faces.boxes_xyxy[owners[shows]], windows[shows])
    landmarks = np.full((len(windows), 10), np.nan, np.float32)
    landmarks[shows] = landmark_offsets(faces.landmarks[owners[shows]], windows[shows])
    pixels = cut_windows(image, windows_xyxy, size)
    return Crops(kinds.astype(np.int8), pixels, offsets, landmarks)
