"""MTCNN's geometry: regression targets relative to a window, and the windows around boxes.

Boxes and windows are given by their edges x1 y1 x2 y2 in image pixels, so 0 0 W H is the whole
picture. Landmarks are points, with (0, 0) at the centre of the top-left pixel. The two frames
differ by half a pixel: a landmark on the left edge of a window has x = x1 - 0.5. The five landmarks
are eyes, nose, mouth corners; of each pair the one further left in the image comes first.

The arithmetic is written once, over an array namespace `xp` (``numpy`` for mining, ``keras.ops``
inside graphs), for floats of any leading dimensions.
"""

from typing import Any

import numpy as np

Array = Any  # an array of the namespace `xp`: NumPy array or backend tensor

# How mirroring changes the ten landmark offsets x1 y1 .. x5 y5: the eyes swap places, and so do the
# mouth corners; each x becomes 1 - x.
_MIRRORED_ORDER = np.array([2, 3, 0, 1, 4, 5, 8, 9, 6, 7])
_MIRRORED_SIGN = np.array([-1, 1] * 5, np.float32)
_MIRRORED_SHIFT = np.array([1, 0] * 5, np.float32)


def box_offsets(box_xyxy: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """Edges of boxes (..., 4) relative to those of windows (..., 4), in units of their sides."""
    return (box_xyxy - window_xyxy) / _sides(window_xyxy, xp)


def apply_box_offsets(offsets: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """Boxes (..., 4) in image pixels from offsets (..., 4); the inverse of `box_offsets`."""
    return window_xyxy + offsets * _sides(window_xyxy, xp)


def landmark_offsets(landmarks: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """Landmarks relative to a window: 0 on its left or upper edge, 1 on its right or lower edge.

    Args:
        landmarks: (..., 5, 2) in image pixels.
        window_xyxy: (..., 4) in image pixels.

    Returns:
        (..., 10): x1 y1 .. x5 y5.
    """
    corner, side = window_xyxy[..., None, :2], _sides(window_xyxy, xp)[..., None, :2]
    offsets = (landmarks + 0.5 - corner) / side
    return xp.reshape(offsets, (*xp.shape(offsets)[:-2], 10))


def apply_landmark_offsets(offsets: Array, window_xyxy: Array, xp: Any = np) -> Array:
    """Landmarks (..., 5, 2) in image pixels from offsets (..., 10): inverts `landmark_offsets`."""
    corner, side = window_xyxy[..., None, :2], _sides(window_xyxy, xp)[..., None, :2]
    offsets = xp.reshape(offsets, (*xp.shape(offsets)[:-1], 5, 2))
    return offsets * side + corner - 0.5


def mirror_box_offsets(offsets: Array, xp: Any = np) -> Array:
    """Box offsets (..., 4) after the window is mirrored left to right."""
    x1, y1, x2, y2 = (offsets[..., i] for i in range(4))
    return xp.stack([-x2, y1, -x1, y2], axis=-1)


def mirror_landmark_offsets(offsets: Array, xp: Any = np) -> Array:
    """Landmark offsets (..., 10) after the window is mirrored left to right.

    They are reordered, so that the eye and mouth corner on the left come first again.
    """
    swapped = xp.take(offsets, _MIRRORED_ORDER, axis=-1)
    return swapped * _MIRRORED_SIGN + _MIRRORED_SHIFT


def square(box_xyxy: Array, xp: Any = np) -> Array:
    """The windows (..., 4) around boxes that R-Net and O-Net look at, in whole pixels.

    They are squares with the centre and the longer side of the box, at least one pixel wide. As in
    the published detectors, both corners are rounded down to whole pixels, so one side may be a
    pixel longer than the other. Half a pixel decides whether faces of 10 pixels are found: with
    another rounding, one in fifty would differ.
    """
    low, high = box_xyxy[..., :2], box_xyxy[..., 2:]
    width, height = high[..., :1] - low[..., :1], high[..., 1:] - low[..., 1:]
    centre, half = (low + high) * 0.5, xp.maximum(width, height) * 0.5
    corner = xp.floor(centre - half)
    return xp.concatenate([corner, xp.maximum(xp.floor(centre + half), corner + 1)], axis=-1)


def _sides(window_xyxy: Array, xp: Any) -> Array:
    """Width, height, width, height of windows: (..., 4)."""
    side = window_xyxy[..., 2:] - window_xyxy[..., :2]
    return xp.concatenate([side, side], axis=-1)
