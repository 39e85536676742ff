"""Boxes as arrays (..., 4) of float pixels, x1 y1 x2 y2, without -1 terms."""

import numpy as np
import numpy.typing as npt

from kptkit.errors import InputError

# In pixels: no picture is larger, and no part of one that anybody looks at smaller.
_LARGEST, _LEAST_SIDE = 1_000_000, 1e-3


def from_xywh(box_xywh: np.ndarray) -> np.ndarray:
    """Corner boxes (N, 4) float64 from COCO's left, top, width, height (N, 4)."""
    box_xywh = np.asarray(box_xywh, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([box_xywh[:, :2], box_xywh[:, :2] + box_xywh[:, 2:]], axis=1)


def to_xywh(box_xyxy: np.ndarray) -> np.ndarray:
    """COCO's left, top, width, height (N, 4) float64 from corner boxes (N, 4)."""
    box_xyxy = np.asarray(box_xyxy, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([box_xyxy[:, :2], box_xyxy[:, 2:] - box_xyxy[:, :2]], axis=1)


def area(box_xyxy: np.ndarray) -> np.ndarray:
    """Areas (...,) in square pixels; 0 for inverted boxes."""
    box_xyxy = np.asarray(box_xyxy)
    sides = np.maximum(box_xyxy[..., 2:] - box_xyxy[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def intersection(box_a_xyxy: np.ndarray, box_b_xyxy: np.ndarray) -> np.ndarray:
    """The areas (...,) of the intersections of boxes (..., 4), in square pixels."""
    a, b = np.asarray(box_a_xyxy), np.asarray(box_b_xyxy)
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def iou_of_pairs(box_a_xyxy: np.ndarray, box_b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union (...,) of boxes (..., 4); 0 for empty boxes."""
    overlap = intersection(box_a_xyxy, box_b_xyxy)
    union = area(box_a_xyxy) + area(box_b_xyxy) - overlap
    ratio = np.zeros(np.shape(overlap), np.result_type(overlap, np.float32))
    return np.divide(overlap, union, out=ratio, where=union > 0)


def iou(boxes_a_xyxy: np.ndarray, boxes_b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of every box with every other: (N, 4) and (M, 4) to (N, M)."""
    return iou_of_pairs(np.reshape(boxes_a_xyxy, (-1, 1, 4)), np.reshape(boxes_b_xyxy, (1, -1, 4)))


def clip(box_xyxy: np.ndarray, size_wh: tuple[float, float]) -> np.ndarray:
    """Clips boxes (..., 4) to a picture of `size_wh` pixels."""
    width, height = size_wh
    return np.clip(box_xyxy, 0, [width, height, width, height])


def checked(box_xyxy: npt.ArrayLike) -> np.ndarray:
    """Checks boxes that a user passed, as an array or lists; returns them as (N, 4) float32.

    Raises:
        InputError: they are no numbers, the shape is not (N, 4), or a box is empty, inverted, not
            finite, or so large or small that float32 cannot map it to a crop and back.
    """
    try:
        if np.asarray(box_xyxy).dtype.kind in "SUbc":
            raise TypeError
        boxes = np.asarray(box_xyxy, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"boxes: {box_xyxy!r:.60}, expected numbers (N, 4), x1 y1 x2 y2") from None
    if boxes.size == 0:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes: shape {boxes.shape}, expected (N, 4) as x1 y1 x2 y2")
    for index, box in enumerate(boxes):
        if not (np.abs(box) <= _LARGEST).all() or not (box[2:] - box[:2] >= _LEAST_SIDE).all():
            raise InputError(
                f"boxes[{index}]: {box.tolist()}, expected finite x1 < x2 and y1 < y2 in pixels, "
                f"up to {_LARGEST:,}"
            )
    return boxes
