"""Greedy non-maximum suppression inside a graph.

The overlap of two boxes is their intersection over their union (`iou_nms`), or over the area of the
smaller one (`min_area_nms`), which also removes a small box inside a large one.
"""

import tensorflow as tf


def iou_nms(boxes: tf.Tensor, scores: tf.Tensor, threshold: float, max_boxes: int) -> tf.Tensor:
    """Non-maximum suppression by intersection over union.

    Args:
        boxes: (N, 4) x1 y1 x2 y2.
        scores: (N,).
        threshold: a box is dropped if its overlap with a kept box of a higher score is above it.
        max_boxes: only so many boxes of the highest scores are considered, which bounds the time.

    Returns:
        Indices (M,) int32 of the kept boxes, best first.
    """
    best = best_first(scores, max_boxes)
    kept = tf.image.non_max_suppression(
        tf.gather(boxes, best), tf.gather(scores, best), tf.size(best), threshold
    )
    return tf.gather(best, kept)


def min_area_nms(
    boxes: tf.Tensor, scores: tf.Tensor, threshold: float, max_boxes: int
) -> tf.Tensor:
    """As `iou_nms`, but by intersection over the area of the smaller box.

    All pairs are compared at once, so memory grows with the square of `max_boxes`.
    """
    best = best_first(scores, max_boxes)
    kept = tf.image.non_max_suppression_overlaps(
        _shares_of_smaller(tf.gather(boxes, best)),
        tf.gather(scores, best),
        tf.size(best),
        threshold,
    )
    return tf.gather(best, kept)


def best_first(scores: tf.Tensor, max_boxes: int) -> tf.Tensor:
    """Indices (M,) int32 of the highest scores (N,), at most `max_boxes`, the highest first."""
    return tf.math.top_k(scores, tf.minimum(tf.size(scores), max_boxes)).indices


def _shares_of_smaller(boxes: tf.Tensor) -> tf.Tensor:
    """Intersection over the smaller area of all pairs: (N, 4) to (N, N); 0 for empty boxes."""
    low, high = boxes[:, :2], boxes[:, 2:]
    sides = tf.maximum(tf.minimum(high[:, None], high) - tf.maximum(low[:, None], low), 0.0)
    areas = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)
    return tf.math.divide_no_nan(tf.reduce_prod(sides, axis=2), tf.minimum(areas[:, None], areas))
