"""Landmark crops: faces with their five landmarks, shifted, scaled, rotated and mirrored.

As in AITTSMD/MTCNN-Tensorflow, each window overlaps its face by an IoU of at least 0.65 and shows
all five landmarks. A third of the crops is rotated one way, a third the other way, and half of all
are mirrored.
"""

from typing import NamedTuple

import numpy as np

from kptkit.data.mining.crop_pixels import cut_windows
from kptkit.data.mining.crops import CropKind, Crops, no_crops
from kptkit.data.mining.settings import LandmarkConfig
from kptkit.data.mining.windows import POSITIVE_IOU, first_of_each, windows_around, windows_inside
from kptkit.geometry import affine, boxes
from kptkit.geometry.face_windows import (
    box_offsets,
    landmark_offsets,
    mirror_box_offsets,
    mirror_landmark_offsets,
)
from kptkit.samples import FaceSamples

# Windows drawn for each crop wanted; about one in five shows enough of the face.
_TRIES = 16


class _Views(NamedTuple):
    """N windows, each in the picture rotated about the centre of the window's face."""

    windows_xyxy: np.ndarray  # (N, 4) int64, in pixels of the rotated picture
    faces: np.ndarray  # (N,) int64, index of the window's face
    turns: np.ndarray  # (N,) -1, 0 or 1, the factor of the rotation angle
    landmarks: np.ndarray  # (N, 5, 2) float32, in pixels of the rotated picture
    mirrored: np.ndarray  # (N,) bool


def landmark_crops(
    image: np.ndarray,
    faces: FaceSamples,
    rng: np.random.Generator,
    config: LandmarkConfig,
    size: int,
    inside: bool,
) -> Crops:
    """The landmark crops of one picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        faces: those of this picture; faces that are ignored or lack a landmark give no crops.
        size: side of the crops in pixels.
        inside: whether windows must lie inside the picture; if not, the outside is black.
    """
    sides = (faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).max(axis=1, initial=0)
    usable = np.isfinite(faces.landmarks).all(axis=(1, 2)) & ~faces.ignored
    faces = faces.select(np.flatnonzero(usable & (sides >= config.smallest_landmark_face)))
    if not len(faces):
        return no_crops(size)
    views = _choose_views(image, faces, rng, config, inside)
    windows = views.windows_xyxy.astype(np.float32)
    boxes_xyxy = faces.boxes_xyxy[views.faces]  # rotation about its centre keeps a box's place
    offsets, landmarks = (
        box_offsets(boxes_xyxy, windows),
        landmark_offsets(views.landmarks, windows),
    )
    pixels = _cut(image, faces.boxes_xyxy, views, config.rotation_degrees, size)
    mirrored = views.mirrored
    pixels[mirrored] = pixels[mirrored, :, ::-1]
    offsets[mirrored] = mirror_box_offsets(offsets[mirrored])
    landmarks[mirrored] = mirror_landmark_offsets(landmarks[mirrored])
    kinds = np.full(len(windows), CropKind.LANDMARK, np.int8)
    return Crops(kinds, pixels, offsets.astype(np.float32), landmarks.astype(np.float32))


def _choose_views(
    image: np.ndarray,
    faces: FaceSamples,
    rng: np.random.Generator,
    config: LandmarkConfig,
    inside: bool,
) -> _Views:
    """Draws windows around each face and keeps the first legal ones."""
    owners = np.repeat(np.arange(len(faces)), _TRIES * config.landmarks_per_face)
    windows = windows_around(rng, faces.boxes_xyxy[owners])
    turns = rng.integers(-1, 2, len(owners))
    landmarks = np.empty((len(owners), 5, 2), np.float32)
    for turn in (-1, 0, 1):
        turned = _turned(faces, turn * config.rotation_degrees)
        landmarks[turns == turn] = turned[owners[turns == turn]]
    offsets = landmark_offsets(landmarks, windows.astype(np.float32))
    legal = boxes.iou_of_pairs(windows, faces.boxes_xyxy[owners]) >= POSITIVE_IOU
    legal &= ((offsets > 0) & (offsets < 1)).all(axis=1)
    if inside:
        legal &= windows_inside(windows, (image.shape[1], image.shape[0]))
    kept = first_of_each(np.where(legal, owners, -1), config.landmarks_per_face)
    mirrored = rng.random(len(owners)) < 0.5
    return _Views(windows[kept], owners[kept], turns[kept], landmarks[kept], mirrored[kept])


def _turned(faces: FaceSamples, degrees: float) -> np.ndarray:
    """The landmarks (M, 5, 2) of each face in the picture rotated about that face's centre."""
    return affine.transform_points(_turn_matrix(faces.boxes_xyxy, degrees), faces.landmarks)


def _turn_matrix(box_xyxy: np.ndarray, degrees: float) -> np.ndarray:
    """Counter-clockwise rotations (..., 2, 3) of a picture about the centres of boxes (..., 4)."""
    # Box coordinates start at the edge of a pixel, point coordinates at its centre.
    centre = (box_xyxy[..., :2] + box_xyxy[..., 2:]) / 2 - 0.5
    matrix = affine.crop_matrix(centre, np.ones_like(centre), (1, 1), degrees)
    matrix[..., 2] += centre - 0.5
    return matrix


def _cut(
    image: np.ndarray, boxes_xyxy: np.ndarray, views: _Views, degrees: float, size: int
) -> np.ndarray:
    """The pixels (N, size, size, 3) of views, not yet mirrored."""
    pixels = np.empty((len(views.faces), size, size, 3), np.uint8)
    upright = views.turns == 0
    pixels[upright] = cut_windows(image, views.windows_xyxy[upright], size)
    for face in np.unique(views.faces):
        for turn in (-1, 1):
            own = (views.faces == face) & (views.turns == turn)
            if own.any():
                # Rotate only the part of the picture that these windows show.
                windows = views.windows_xyxy[own]
                corner, end = windows[:, :2].min(axis=0), windows[:, 2:].max(axis=0)
                matrix = _turn_matrix(boxes_xyxy[face], turn * degrees)
                matrix[:, 2] -= corner
                patch = affine.warp(image, matrix, tuple((end - corner).tolist()))
                pixels[own] = cut_windows(patch, windows - np.tile(corner, 2), size)
    return pixels
