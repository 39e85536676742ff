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
    # Arithmetic on all windows at once, y before x: in the loops every operation counts.
    image_hw = tf.shape(image)[:2]
    low, high = windows[:, 1::-1], windows[:, :1:-1]
    start = tf.clip_by_value(low, 0, image_hw)
    length = tf.clip_by_value(high, 0, image_hw) - start
    before = tf.clip_by_value(-low, 0, high - low)
    after = tf.clip_by_value(high - image_hw, 0, high - low)
    ones = tf.ones_like(length[:, :1])
    cuts = (
        tf.pad(start, [[0, 0], [1, 1]]),
        tf.concat([ones, length, ones * image.shape[2]], axis=1),
        tf.pad(tf.stack([before, after], axis=2), [[0, 0], [1, 1], [0, 0]]),
    )
    # Few windows leave the picture, and padding is half of a window's time.
    leaves = tf.reduce_any(before + after > 0, axis=1)
    crops = tf.TensorArray(
        tf.float32, tf.shape(windows)[0], element_shape=(1, size, size, image.shape[2])
    )
    inside, outside = (tf.cast(tf.where(which)[:, 0], tf.int32) for which in (~leaves, leaves))
    crops = _write_crops(crops, image, inside, cuts[:2], size)
    return _write_crops(crops, image, outside, cuts, size).concat()


def _write_crops(
    crops: tf.TensorArray,
    image: tf.Tensor,
    which: tf.Tensor,
    cuts: tuple[tf.Tensor, ...],
    size: int,
) -> tf.TensorArray:
    """Fills in the crops at `which` (M,); of each the start, length (N, 4) and, if any, padding."""

    def crop(index: tf.Tensor, crops: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        row = which[index]
        start, length, *padding = (cut[row] for cut in cuts)
        pixels = tf.slice(image[None], start, length)
        if padding:
            pixels = tf.pad(pixels, padding[0])
        resized = tf.raw_ops.ResizeArea(images=pixels, size=(size, size))
        return index + 1, crops.write(row, resized)

    # One after the other: handing such short work to another core costs more than it saves.
    _, crops = tf.while_loop(
        lambda index, _: index < tf.size(which),
        crop,
        (tf.constant(0), crops),
        parallel_iterations=1,
    )
    return crops
