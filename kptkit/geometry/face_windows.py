"""Faces and windows: the numbers that MTCNN's networks predict, and the squares they look at.

Boxes and windows are edges x1 y1 x2 y2 in image pixels: 0 0 W H is the whole picture. Landmarks are
points, and the centre of the top-left pixel is (0, 0): half a pixel lies between the two frames, so
a landmark on a window's left edge has x = corner - 0.5. The order of the five is image left first:
eye, eye, nose, mouth corner, mouth corner.

The arithmetic is written once, over an array namespace `xp` (``numpy`` for mining, ``keras.ops``
inside graphs), for floats of any leading dimensions.
"""

from typing import Any

import numpy as np

Array = Any  # a NumPy array or a backend tensor, as `xp` says

# The ten numbers x1 y1 .. x5 y5 of a mirrored face, from those of the face: eyes and mouth corners
# change places, and each x becomes 1 - x.
_MIRRORED_ORDER = np.array([2, 3, 0, 1, 4, 5, 8, 9, 6, 7])
_MIRRORED_SIGN = np.array([-1, 1] * 5, np.float32)
_MIRRORED_SHIFT = np.array([1, 0] * 5, np.float32)


def box_offsets(box_xyxy: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """How far a box's corners are from its window's, in sides of the window: both (..., 4)."""
    return (box_xyxy - window_xyxy) / _sides(window_xyxy, xp)


def apply_box_offsets(offsets: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """The boxes (..., 4) in image pixels that offsets (..., 4) tell: undoes `box_offsets`."""
    return window_xyxy + offsets * _sides(window_xyxy, xp)


def landmark_offsets(landmarks: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """Where landmarks lie in a window: 0 on its left or upper edge, 1 on the other.

    Args:
        landmarks: (..., 5, 2) in image pixels.
        window_xyxy: (..., 4).

    Returns:
        (..., 10): x1 y1 .. x5 y5.
    """
    corner, side = window_xyxy[..., None, :2], _sides(window_xyxy, xp)[..., None, :2]
    offsets = (landmarks + 0.5 - corner) / side
    return xp.reshape(offsets, (*xp.shape(offsets)[:-2], 10))


def apply_landmark_offsets(offsets: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """Landmarks (..., 5, 2) in image pixels from offsets (..., 10): undoes `landmark_offsets`."""
    corner, side = window_xyxy[..., None, :2], _sides(window_xyxy, xp)[..., None, :2]
    offsets = xp.reshape(offsets, (*xp.shape(offsets)[:-1], 5, 2))
    return offsets * side + corner - 0.5


def mirror_box_offsets(offsets: Array, xp: Any = np) -> Array:
    """Box offsets (..., 4) in the window mirrored left to right."""
    x1, y1, x2, y2 = (offsets[..., i] for i in range(4))
    return xp.stack([-x2, y1, -x1, y2], axis=-1)


def mirror_landmark_offsets(offsets: Array, xp: Any = np) -> Array:
    """Landmark offsets (..., 10) in the window mirrored left to right, image left first again."""
    swapped = xp.take(offsets, _MIRRORED_ORDER, axis=-1)
    return swapped * _MIRRORED_SIGN + _MIRRORED_SHIFT


def square(box_xyxy: Array, xp: Any = np) -> Array:
    """The windows (..., 4) of whole pixels, at least one, that R and O look at around boxes.

    They are squares with the box's centre and its longer side, whose corners are cut down to whole
    pixels, as the published detectors have it; so one side may be a pixel longer than the other.
    Faces of 10 pixels come and go with half a pixel: cut otherwise, one in fifty would differ.
    """
    low, high = box_xyxy[..., :2], box_xyxy[..., 2:]
    width, height = high[..., :1] - low[..., :1], high[..., 1:] - low[..., 1:]
    centre, half = (low + high) * 0.5, xp.maximum(width, height) * 0.5
    corner = xp.floor(centre - half)
    return xp.concatenate([corner, xp.maximum(xp.floor(centre + half), corner + 1)], axis=-1)


def _sides(window_xyxy: Array, xp: Any) -> Array:
    """Width and height, twice over: (..., 4)."""
    side = window_xyxy[..., 2:] - window_xyxy[..., :2]
    return xp.concatenate([side, side], axis=-1)
