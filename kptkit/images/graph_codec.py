"""Decodes picture files inside a TensorFlow graph, for exported models.

The bytes of a JPEG, PNG, BMP or WebP become the upright RGB picture that
`codec.decode_image(data, "exif")` gives, equal to the bit; headers are checked before anything is
decoded. Rows of a BMP are taken apart here. GIF, TIFF, AVIF and what else `codec` alone reads is
refused.

Bytes that cannot be decoded raise TensorFlow's InvalidArgumentError.
"""

from collections.abc import Callable, Mapping
from functools import partial

import tensorflow as tf

from kptkit.images.graph_bytes import CheckedFile, accept, end_of, require
from kptkit.images.graph_headers import (
    BmpLayout,
    check_bmp,
    check_png,
    check_webp,
    orientation,
)
from kptkit.images.graph_jpeg import check_jpeg
from kptkit.images.refusals import (
    BROKEN,
    MAX_FILE_BYTES,
    MIN_FILE_BYTES,
    NO_BYTES,
    NO_PICTURE,
    NOT_SERVED,
    TOO_MANY_BYTES,
)

__all__ = ["declared_pixels", "decode_upright", "require"]

# By which bytes at which positions the formats are known, any of several.
_Signature = tuple[tuple[int, tuple[bytes, ...]], ...]
_JPEG: _Signature = ((0, (b"\xff\xd8\xff",)),)
_PNG: _Signature = ((0, (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",)),)
_BMP: _Signature = ((0, (b"BM",)),)
_WEBP: _Signature = ((0, (b"RIFF",)), (8, (b"WEBPVP8 ", b"WEBPVP8L", b"WEBPVP8X")))
_NOT_SERVED: tuple[_Signature, ...] = (
    ((0, (b"GIF87a", b"GIF89a")),),
    ((0, (b"II*\0", b"MM\0*")),),
    ((4, (b"ftypavif",)),),
)


def decode_upright(data: tf.Tensor) -> tf.Tensor:
    """The upright picture (H, W, 3) uint8 RGB of a file's bytes (a scalar string).

    Raises:
        InvalidArgumentError: the bytes cannot be decoded.
    """
    decoders = {_JPEG: _decode_jpeg, _PNG: _decode_png, _BMP: _decode_bmp, _WEBP: _decode_webp}
    return _by_format(data, decoders, tf.zeros((0, 0, 3), tf.uint8))


def declared_pixels(data: tf.Tensor) -> tf.Tensor:
    """Width times height (scalar int64) that the header of a file's bytes (a scalar string) states.

    Nothing is decoded. The bounds of a single picture are checked; what follows its size is not.

    Raises:
        InvalidArgumentError: no picture of a known format, no pixels, or too many.
    """
    checks: dict[_Signature, Callable[[tf.Tensor], CheckedFile]] = {
        _JPEG: partial(check_jpeg, only_frame=True),
        _PNG: partial(check_png, only_size=True),
        _BMP: lambda data: check_bmp(data).file,
        _WEBP: check_webp,
    }

    def pixels(check: Callable[[tf.Tensor], CheckedFile], data: tf.Tensor) -> tf.Tensor:
        size_wh, _, decodable = check(data)
        with tf.control_dependencies([decodable]):
            return tf.reduce_prod(size_wh)

    counts = {signature: partial(pixels, check) for signature, check in checks.items()}
    return _by_format(data, counts, tf.constant(0, tf.int64))


def _by_format(
    data: tf.Tensor,
    functions: Mapping[_Signature, Callable[[tf.Tensor], tf.Tensor]],
    nothing: tf.Tensor,
) -> tf.Tensor:
    """What the function of a file's format makes of its bytes, by signature."""
    data = accept(end_of(data) > 0, NO_BYTES, data)
    data = accept(end_of(data) <= MAX_FILE_BYTES, TOO_MANY_BYTES, data)
    head = tf.strings.join([tf.strings.substr(data, 0, 16), b"\0" * 16])

    def has(signature: _Signature) -> tf.Tensor:
        return tf.reduce_all(
            [
                tf.reduce_any(tf.strings.substr(head, position, len(texts[0])) == texts)
                for position, texts in signature
            ]
        )

    def refused() -> tf.Tensor:
        known = tf.reduce_any([has(signature) for signature in _NOT_SERVED])
        none = accept(~known, NOT_SERVED, tf.constant(b""))
        with tf.control_dependencies([accept(tf.strings.length(none) > 0, NO_PICTURE, none)]):
            return tf.identity(nothing)

    def apply(function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        return function(accept(end_of(data) >= MIN_FILE_BYTES, BROKEN, data))

    branches = [(has(key), partial(apply, function)) for key, function in functions.items()]
    return tf.case(branches, default=refused)


def _decode_jpeg(data: tf.Tensor) -> tf.Tensor:
    _, exif, data = check_jpeg(data)
    return _turned(tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"), exif)


def _decode_png(data: tf.Tensor) -> tf.Tensor:
    _, exif, data = check_png(data)
    return _turned(tf.io.decode_png(data, channels=3), exif)


def _decode_webp(data: tf.Tensor) -> tf.Tensor:
    _, exif, data = check_webp(data)
    # A picture with an alpha channel cannot be decoded to three channels: the fourth is cut off.
    image = tf.io.decode_image(data, expand_animations=False)[..., :3]
    return _turned(tf.ensure_shape(image, (None, None, 3)), exif)


def _decode_bmp(data: tf.Tensor) -> tf.Tensor:
    layout = check_bmp(data)
    width, height = tf.unstack(layout.file.size_wh)
    rows = tf.strings.substr(layout.file.decodable, layout.rows, height * layout.row_bytes)
    rows = tf.reshape(tf.io.decode_raw(rows, tf.uint8), (height, layout.row_bytes))

    def coloured() -> tf.Tensor:
        pixels = tf.reshape(rows[:, : width * layout.bits // 8], (height, width, layout.bits // 8))
        return pixels[..., 2::-1]

    image = tf.cond(layout.bits <= 8, lambda: _from_palette(rows, layout), coloured)
    image = tf.cond(layout.upwards, lambda: image[::-1], lambda: image)
    return tf.ensure_shape(image, (None, None, 3))


def _from_palette(rows: tf.Tensor, layout: BmpLayout) -> tf.Tensor:
    """The pixels (H, W, 3) uint8 of rows (H, n) uint8 of indices, the leftmost in the high bits."""
    bits = tf.cast(layout.bits, tf.uint8)
    shifts = tf.range(8 // layout.bits - 1, -1, -1)
    shifts = tf.cast(shifts, tf.uint8) * bits
    indices = tf.bitwise.right_shift(rows[..., None], shifts)
    indices = tf.bitwise.bitwise_and(indices, tf.cast(2**layout.bits - 1, tf.uint8))
    indices = tf.reshape(indices, (tf.shape(rows)[0], -1))[:, : layout.file.size_wh[0]]
    colours = tf.reshape(tf.io.decode_raw(layout.palette, tf.uint8), (-1, layout.colour_bytes))
    # Indices beyond a short palette are black.
    colours = tf.concat([colours[:, 2::-1], tf.zeros((256, 3), tf.uint8)], axis=0)
    return tf.gather(colours, tf.cast(indices, tf.int32))


def _turned(image: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
    """A stored picture (H, W, 3), turned upright as its EXIF block (a scalar string) says."""
    turn = orientation(exif)

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(turn == values)

    # 5 to 8 swap the sides; then rows or columns are reversed.
    image = tf.cond(turn >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)
