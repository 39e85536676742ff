"""Resampling by area inside a graph: every pixel of the result is the mean of what it covers.

This is OpenCV's INTER_AREA in both directions, before rounding to whole grey levels: pixels that
are covered in part count in part. Shrinking averages many pixels, so that no detail is skipped;
enlarging averages few, so that edges stay as sharp as they were.
"""

import tensorflow as tf


def area_resize(image: tf.Tensor, size_hw: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """A picture (H, W, C) of any numeric type as (h, w, C) float32; from float32 it is fastest."""
    return tf.image.resize(image, size_hw, tf.image.ResizeMethod.AREA)


def area_crops(image: tf.Tensor, windows: tf.Tensor, size: int) -> tf.Tensor:
    """Windows of a picture, resized; what a window shows outside the picture is 0.

    Each is cut out with its surroundings, so memory for one window of the largest area is needed.

    Args:
        image: (H, W, 3) of any numeric type; float32 is the fastest.
        windows: (N, 4) int32, x1 y1 x2 y2 in whole pixels of the image; they may leave it.

    Returns:
        (N, size, size, 3) float32.
    """
    # Arithmetic on all windows at once, y before x: in the loop every operation counts.
    image_hw = tf.shape(image)[:2]
    low, high = windows[:, 1::-1], windows[:, :1:-1]
    start = tf.clip_by_value(low, 0, image_hw)
    length = tf.clip_by_value(high, 0, image_hw) - start
    before = tf.clip_by_value(-low, 0, high - low)
    after = tf.clip_by_value(high - image_hw, 0, high - low)
    cuts = (
        tf.pad(start, [[0, 0], [0, 1]]),
        tf.pad(length, [[0, 0], [0, 1]], constant_values=image.shape[2]),
        tf.pad(tf.stack([before, after], axis=2), [[0, 0], [0, 1], [0, 0]]),
    )

    def crop(cut: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        start, length, padding = cut
        return area_resize(tf.pad(tf.slice(image, start, length), padding), (size, size))

    crops = tf.TensorSpec((size, size, image.shape[2]), tf.float32)
    # One after the other: handing such short work to another core costs more than it saves.
    return tf.map_fn(crop, cuts, fn_output_signature=crops, parallel_iterations=1)
