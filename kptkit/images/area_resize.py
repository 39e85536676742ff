"""Resizing by area inside a graph: every new pixel is the mean of the area that it covers.

The arithmetic is that of OpenCV's INTER_AREA, for shrinking and for enlarging, without its rounding
to whole grey levels: a pixel that is covered in part is weighted by that part.
"""

import tensorflow as tf


def area_resize(image: tf.Tensor, size_hw: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """Resizes a picture (H, W, C), fastest if float32, to `size_hw`: (h, w, C) float32."""
    return tf.image.resize(image, size_hw, tf.image.ResizeMethod.AREA)


def area_crops(image: tf.Tensor, windows: tf.Tensor, size: int) -> tf.Tensor:
    """Windows cut out of a picture and resized to squares; pixels outside the picture are 0.

    A window is padded before it is resized, so memory must hold the largest window.

    Args:
        image: (H, W, 3) of any numeric dtype; float32 is fastest.
        windows: (N, 4) int32, x1 y1 x2 y2 in whole image pixels; they may reach beyond the picture.
        size: side of the squares in pixels.

    Returns:
        (N, size, size, 3) float32.
    """
    # On all windows at once, y before x: every operation inside the loops below costs time.
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
    # Few windows reach beyond the picture, and padding takes half of the time of a window.
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
    """Writes the crops at indices `which` (M,).

    Args:
        cuts: start (N, 4) and length (N, 4) for `tf.slice`, and padding (N, 4, 2) where needed.
    """

    def crop(index: tf.Tensor, crops: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        row = which[index]
        start, length, *padding = (cut[row] for cut in cuts)
        pixels = tf.slice(image[None], start, length)
        if padding:
            pixels = tf.pad(pixels, padding[0])
        resized = tf.raw_ops.ResizeArea(images=pixels, size=(size, size))
        return index + 1, crops.write(row, resized)

    # One at a time: handing such short work to another core costs more than it saves.
    _, crops = tf.while_loop(
        lambda index, _: index < tf.size(which),
        crop,
        (tf.constant(0), crops),
        parallel_iterations=1,
    )
    return crops
