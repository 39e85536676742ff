"""Resampling by area inside a graph: every pixel of the result is the mean of what it covers.

This is OpenCV's INTER_AREA in both directions, before rounding to whole grey levels: pixels that
are covered in part count in part. Shrinking averages many pixels, so that no detail is skipped;
enlarging averages few, so that edges stay as sharp as they were.
"""

import tensorflow as tf

# Crops that are cut side by side: more than one keeps all cores busy.
_AT_ONCE = 4


def area_resize(image: tf.Tensor, size_hw: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """A picture (H, W, C) of any numeric type as (h, w, C) float32."""
    return tf.image.resize(image, size_hw, tf.image.ResizeMethod.AREA)


def area_crops(image: tf.Tensor, windows: tf.Tensor, size: int) -> tf.Tensor:
    """Windows of a picture, resized; what a window shows outside the picture is 0.

    Each is cut out with its surroundings, so memory for one window of the largest area is needed.

    Args:
        image: (H, W, 3) uint8.
        windows: (N, 4) int32, x1 y1 x2 y2 in whole pixels of the image; they may leave it.

    Returns:
        (N, size, size, 3) float32.
    """
    size_wh = tf.shape(image)[1::-1]

    def crop(window: tf.Tensor) -> tf.Tensor:
        low = tf.clip_by_value(window[:2], 0, size_wh)
        high = tf.clip_by_value(window[2:], low, size_wh)
        inside = image[low[1] : high[1], low[0] : high[0]]
        outside = tf.stack([low - window[:2], window[2:] - high], axis=1)
        padding = tf.concat([outside[::-1], [[0, 0]]], axis=0)
        return area_resize(tf.pad(inside, padding), (size, size))

    crops = tf.TensorSpec((size, size, image.shape[2]), tf.float32)
    return tf.map_fn(crop, windows, fn_output_signature=crops, parallel_iterations=_AT_ONCE)
