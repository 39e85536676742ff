"""Bytes, numbers and checks inside a TensorFlow graph: what reading a file's header is made of."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kptkit.images.refusals import BROKEN, MAX_PIXELS, TOO_FEW_BYTES, TOO_MANY_PIXELS


class CheckedFile(NamedTuple):
    """A picture file whose header was read and checked; scalar tensors if nothing else is said."""

    size_wh: tf.Tensor
    """Width and height as stored, (2,) int64."""
    exif: tf.Tensor
    """The EXIF block, a string; empty where there is none."""
    decodable: tf.Tensor
    """The bytes that a decoder is given, a string that depends on all the checks."""


def require(condition: tf.Tensor, message: str, tensor: tf.Tensor) -> tf.Tensor:
    """`tensor`, once the graph has checked `condition` (bool): else InvalidArgumentError.

    What `tensor` depends on is checked before, so that of several faults the first is named.
    """
    with tf.control_dependencies([tensor]):
        check = tf.debugging.Assert(condition, [message])
    with tf.control_dependencies([check]):
        return tf.identity(tensor)


def accept(condition: tf.Tensor, words: str, data: tf.Tensor) -> tf.Tensor:
    """`data`, a file's bytes, unless `condition` (bool) is false: they are refused in `words`."""
    return require(condition, f"image_bytes: {words}", data)


def after(data: tf.Tensor, *tensors: tf.Tensor) -> list[tf.Tensor]:
    """`tensors`, once the checks of `data` have passed: what is computed from them cannot fail."""
    with tf.control_dependencies([data]):
        return [tf.identity(tensor) for tensor in tensors]


def octets(data: tf.Tensor, start: tf.Tensor | int, count: int) -> tf.Tensor:
    """`count` bytes of a string from `start` on, as numbers (count,) int64; zeros behind its end.

    No read goes beyond the end: the message of that error would quote the whole file.
    """
    start = tf.minimum(tf.cast(start, tf.int64), end_of(data))
    part = tf.strings.join([tf.strings.substr(data, start, count), b"\0" * count])
    part = tf.io.decode_raw(tf.strings.substr(part, 0, count), tf.uint8)
    return tf.cast(tf.ensure_shape(part, (count,)), tf.int64)


def number(numbers: tf.Tensor, little_endian: tf.Tensor | bool = False) -> tf.Tensor:
    """Bytes (..., n) int64 read as whole numbers (...) int64."""
    powers = 256 ** np.arange(numbers.shape[-1])
    return tf.reduce_sum(numbers * tf.where(little_endian, powers, powers[::-1]), axis=-1)


def end_of(data: tf.Tensor) -> tf.Tensor:
    """The length of a string, int64."""
    return tf.cast(tf.strings.length(data), tf.int64)


def part(data: tf.Tensor, start: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
    """data[start:stop] of a string, within its end."""
    start = tf.minimum(start, end_of(data))
    return tf.strings.substr(data, start, tf.maximum(stop - start, 0))


def bounded(
    data: tf.Tensor, size_wh: tf.Tensor, per_byte: tf.Tensor | float, free: int = 0
) -> tf.Tensor:
    """`data`, once its size (2,) int64 passes `refusals.check_pixels`."""
    sides = tf.cast(size_wh, tf.float64)  # a product of two 32-bit numbers may overflow int64
    pixels, file_bytes = tf.reduce_prod(sides), tf.cast(end_of(data), tf.float64)
    data = accept(tf.reduce_all(sides >= 1), BROKEN, data)
    data = accept(pixels <= MAX_PIXELS, TOO_MANY_PIXELS, data)
    most = tf.maximum(tf.cast(per_byte, tf.float64) * file_bytes, free)
    return accept(pixels <= most, TOO_FEW_BYTES, data)
