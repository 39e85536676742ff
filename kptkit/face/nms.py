"""Greedy non-maximum suppression inside a graph: the best box stays, what overlaps it goes.

An overlap is a share of the union of two boxes, or of the smaller one. The latter also removes a
box inside another, whatever their sizes.
"""

import tensorflow as tf


def suppress_by_union(
    boxes: tf.Tensor, scores: tf.Tensor, threshold: float, most: int
) -> tf.Tensor:
    """Indices (M,) int32 of the boxes that stay, best first; overlap is intersection over union.

    Args:
        boxes: (N, 4) x1 y1 x2 y2.
        scores: (N,).
        threshold: a box goes when it overlaps a better one that stays by more than this.
        most: only so many of the best boxes are looked at, which bounds the time.
    """
    best = best_first(scores, most)
    kept = tf.image.non_max_suppression(
        tf.gather(boxes, best), tf.gather(scores, best), tf.size(best), threshold
    )
    return tf.gather(best, kept)


def suppress_by_smaller(
    boxes: tf.Tensor, scores: tf.Tensor, threshold: float, most: int
) -> tf.Tensor:
    """As `suppress_by_union`, but overlap is intersection over the area of the smaller box.

    Every pair is compared, so memory grows with the square of `most`.
    """
    best = best_first(scores, most)
    kept = tf.image.non_max_suppression_overlaps(
        _shares_of_smaller(tf.gather(boxes, best)),
        tf.gather(scores, best),
        tf.size(best),
        threshold,
    )
    return tf.gather(best, kept)


def best_first(scores: tf.Tensor, most: int) -> tf.Tensor:
    """Indices int32 of the scores (N,), the highest first, at most so many."""
    return tf.math.top_k(scores, tf.minimum(tf.size(scores), most)).indices


def _shares_of_smaller(boxes: tf.Tensor) -> tf.Tensor:
    """Intersection over the smaller area of every pair: (N, 4) to (N, N); 0 for empty boxes."""
    low, high = boxes[:, :2], boxes[:, 2:]
    sides = tf.maximum(tf.minimum(high[:, None], high) - tf.maximum(low[:, None], low), 0.0)
    areas = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)
    return tf.math.divide_no_nan(tf.reduce_prod(sides, axis=2), tf.minimum(areas[:, None], areas))
