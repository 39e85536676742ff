"""Decodes picture files inside a TensorFlow graph, for exported models.

The bytes of a JPEG, PNG, BMP or WebP become the upright RGB picture that
`codec.decode_image(data, "exif")` gives, equal to the bit. The size in pixels is read from the
file's header, and bounded, before anything is decoded. GIF is refused: TensorFlow allocates the
largest of its frames, whose size no header states.

Bytes that cannot be decoded raise TensorFlow's InvalidArgumentError.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kptkit.images.codec import MAX_FILE_BYTES
from kptkit.images.headers import (
    EXIF_ORIENTATION,
    EXIF_PREFIX,
    JPEG_APP1,
    JPEG_SCAN,
    JPEG_WITHOUT_CONTENT,
    MAX_JPEG_SCANS,
    MAX_PIXELS,
    MAX_SEGMENTS,
)

# Long enough for every header. No read below goes beyond the end of the string: the message of that
# error would quote the whole file.
_MIN_FILE_BYTES = 32

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF")

_MAX_SCANNED_PIXELS = MAX_JPEG_SCANS * MAX_PIXELS

# The bytes that are searched at a time for the next marker of a JPEG.
_SEARCH_BYTES = 4096


class _Segment(NamedTuple):
    """One segment of a JPEG or chunk of a PNG or WebP; scalar tensors, positions as int64."""

    next: tf.Tensor
    """Position of the next one."""
    is_exif: tf.Tensor
    """Whether it holds an EXIF block, which is at `start` and has `size` bytes."""
    start: tf.Tensor
    size: tf.Tensor
    is_last: tf.Tensor
    """Whether the search for an EXIF block ends here."""


def require(condition: tf.Tensor, message: str, tensor: tf.Tensor) -> tf.Tensor:
    """`tensor`, once the graph has checked `condition` (bool): else InvalidArgumentError."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(tensor)


def decode_upright(data: tf.Tensor) -> tf.Tensor:
    """The upright picture (H, W, 3) uint8 RGB of a file's bytes (a scalar string).

    Raises:
        InvalidArgumentError: the bytes cannot be decoded.
    """
    decoders = (_decode_jpeg, _decode_png, _decode_bmp, _decode_webp)
    return _by_format(data, decoders, tf.zeros((0, 0, 3), tf.uint8))


def declared_pixels(data: tf.Tensor) -> tf.Tensor:
    """Width times height (scalar int64) that the header of a file's bytes (a scalar string) states.

    Nothing is decoded; the bounds of a single picture are checked as by `decode_upright`.

    Raises:
        InvalidArgumentError: no picture of a known format, no pixels, or too many.
    """

    def pixels(size: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        def counted(data: tf.Tensor) -> tf.Tensor:
            sides = size(data)
            with tf.control_dependencies([_bounded(data, sides)]):
                return tf.reduce_prod(tf.cast(sides, tf.int64))

        return counted

    sizes = (_jpeg_size, _png_size, _bmp_size, _webp_size)
    return _by_format(data, [pixels(size) for size in sizes], tf.constant(0, tf.int64))


def _by_format(
    data: tf.Tensor, functions: Sequence[Callable[[tf.Tensor], tf.Tensor]], nothing: tf.Tensor
) -> tf.Tensor:
    """What the function of a file's format, in the order of `_SIGNATURES`, makes of its bytes."""
    size = tf.strings.length(data)
    message = f"image_bytes: a file of less than {_MIN_FILE_BYTES} or over {MAX_FILE_BYTES:,} bytes"
    data = require((size >= _MIN_FILE_BYTES) & (size <= MAX_FILE_BYTES), message, data)

    def refused() -> tf.Tensor:
        message = "image_bytes: not a picture; expected the bytes of a JPEG, PNG, BMP or WebP"
        return require(tf.constant(False), message, nothing)

    branches = [
        (tf.strings.substr(data, 0, len(signature)) == signature, partial(function, data))
        for signature, function in zip(_SIGNATURES, functions, strict=True)
    ]
    return tf.case(branches, default=refused)


def _jpeg_size(data: tf.Tensor) -> tf.Tensor:
    return tf.image.extract_jpeg_shape(data)[:2]


def _decode_jpeg(data: tf.Tensor) -> tf.Tensor:
    size_hw = _jpeg_size(data)
    data = _bounded(data, size_hw)
    scans = tf.cast(tf.size(tf.strings.split(data, b"\xff\xda")), tf.int64)
    scanned = scans * tf.reduce_prod(tf.cast(size_hw, tf.int64))
    data = require(scanned <= _MAX_SCANNED_PIXELS, "image_bytes: a JPEG of too many scans", data)

    def segment(position: tf.Tensor) -> _Segment:
        position = _next_marker(data, position)
        inside = position + 10 <= _end(data)
        position = tf.where(inside, position, 0)
        head = _octets(data, position, 4)
        marker, length = head[1], _number(head[2:])
        has_content = tf.reduce_all(marker != JPEG_WITHOUT_CONTENT)
        is_exif = tf.strings.substr(data, position + 4, len(EXIF_PREFIX)) == EXIF_PREFIX
        return _Segment(
            next=tf.where(inside, position + 2 + tf.where(has_content, length, 0), _end(data)),
            is_exif=is_exif & inside & (marker == JPEG_APP1),
            start=position + 10,
            size=length - 8,
            is_last=inside & (marker == JPEG_SCAN),
        )

    exif, has_scan = _exif_block(data, 2, segment)
    message = f"image_bytes: a JPEG without a scan, or with more than {MAX_SEGMENTS:,} segments"
    data = require(has_scan, message, data)
    image = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    return _turned(image, exif)


def _png_size(data: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)


def _decode_png(data: tf.Tensor) -> tf.Tensor:
    def chunk(position: tf.Tensor) -> _Segment:
        length = _number(_octets(data, position, 4))
        kind = tf.strings.substr(data, position + 4, 4)
        return _Segment(
            next=position + 12 + length,
            is_exif=kind == b"eXIf",
            start=position + 8,
            size=length,
            is_last=(kind == b"IEND") & (position + 12 + length <= _end(data)),
        )

    data = _bounded(data, _png_size(data))
    exif, has_end = _exif_block(data, 8, chunk)
    message = f"image_bytes: a PNG without an end, or with more than {MAX_SEGMENTS:,} chunks"
    return _turned(tf.io.decode_png(require(has_end, message, data), channels=3), exif)


def _bmp_size(data: tf.Tensor) -> tf.Tensor:
    size_wh = tf.io.decode_raw(tf.strings.substr(data, 18, 8), tf.int32)
    return size_wh * [1, tf.sign(size_wh[1])]  # a negative height: rows run from top to bottom


def _decode_bmp(data: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_bmp(_bounded(data, _bmp_size(data)), channels=3)


def _webp_size(data: tf.Tensor) -> tf.Tensor:
    octets = _octets(data, 20, 10)
    # Lossless: 14 bits each, minus one, behind a signature byte. Extended: 24 bits each, minus one.
    # Lossy: 14 bits each under 2 bits of scale.
    bits = _number(octets[1:5], little_endian=True)
    lossless = tf.stack([bits % 2**14, bits // 2**14 % 2**14]) + 1
    extended = _number(tf.reshape(octets[4:], (2, 3)), little_endian=True) + 1
    lossy = _number(tf.reshape(octets[6:], (2, 2)), little_endian=True) % 2**14
    kind = tf.strings.substr(data, 12, 4)
    return tf.where(kind == b"VP8L", lossless, tf.where(kind == b"VP8X", extended, lossy))


def _decode_webp(data: tf.Tensor) -> tf.Tensor:
    def chunk(position: tf.Tensor) -> _Segment:
        length = _number(_octets(data, position + 4, 4), little_endian=True)
        is_exif = tf.strings.substr(data, position, 4) == b"EXIF"
        following = position + 8 + length + length % 2
        return _Segment(following, is_exif, position + 8, length, is_last=is_exif)

    # A picture with an alpha channel cannot be decoded to three channels: the fourth is cut off.
    image = tf.io.decode_image(_bounded(data, _webp_size(data)), expand_animations=False)[..., :3]
    exif, _ = _exif_block(data, 12, chunk)
    return _turned(tf.ensure_shape(image, (None, None, 3)), exif)


def _bounded(data: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """`data`, once the sides (2,) in its header are checked: at least 1, at most `MAX_PIXELS`."""
    sides = tf.cast(sides, tf.float64)  # a product of two 32-bit numbers may overflow int64
    fits = tf.reduce_all(sides >= 1) & (tf.reduce_prod(sides) <= MAX_PIXELS)
    return require(fits, f"image_bytes: no pixels, or more than {MAX_PIXELS:,} in a picture", data)


def _octets(data: tf.Tensor, start: tf.Tensor | int, count: int) -> tf.Tensor:
    """`count` bytes of a string from `start` on, as numbers (count,) int64."""
    octets = tf.io.decode_raw(tf.strings.substr(data, start, count), tf.uint8)
    return tf.cast(tf.ensure_shape(octets, (count,)), tf.int64)


def _number(octets: tf.Tensor, little_endian: tf.Tensor | bool = False) -> tf.Tensor:
    """Bytes (..., n) int64 read as whole numbers (...) int64."""
    powers = 256 ** np.arange(octets.shape[-1])
    return tf.reduce_sum(octets * tf.where(little_endian, powers, powers[::-1]), axis=-1)


def _end(data: tf.Tensor) -> tf.Tensor:
    """The length of a string, int64."""
    return tf.cast(tf.strings.length(data), tf.int64)


def _next_marker(data: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """The position of a JPEG's next marker, or one behind which fewer than two bytes are left."""

    def search(position: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part = tf.strings.substr(data, position, _SEARCH_BYTES)
        octets = tf.io.decode_raw(part, tf.uint8)
        # 0xFF starts a marker unless 0x00 or 0xFF follows; decoders skip other bytes before one.
        starts = (octets[:-1] == 0xFF) & (octets[1:] != 0x00) & (octets[1:] != 0xFF)
        # The last byte is searched again, as the first of the next part.
        found = tf.concat([tf.where(starts)[:, 0], [_end(part) - 1]], axis=0)
        return position + found[0], tf.reduce_any(starts)

    position, _ = tf.while_loop(
        lambda position, found: ~found & (position + 2 <= _end(data)),
        search,
        (position, tf.constant(False)),
    )
    return position


def _exif_block(
    data: tf.Tensor, first: int, segment: Callable[[tf.Tensor], _Segment]
) -> tuple[tf.Tensor, tf.Tensor]:
    """The first EXIF block of a file (a scalar string), and whether its last segment was reached.

    At most `MAX_SEGMENTS` segments are looked at. Without an EXIF block the string is empty.

    Args:
        first: position of the first segment.
        segment: what is at a position behind which at least 10 bytes are left.
    """

    def look(
        position: tf.Tensor, start: tf.Tensor, size: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        here = segment(position)
        is_first = here.is_exif & (start == 0)
        start, size = (
            tf.where(is_first, new, old) for new, old in ((here.start, start), (here.size, size))
        )
        return here.next, start, size, here.is_last

    zero = tf.constant(0, tf.int64)
    _, start, size, is_last = tf.while_loop(
        lambda position, _start, _size, is_last: ~is_last & (position + 10 <= _end(data)),
        look,
        (zero + first, zero, zero, tf.constant(False)),
        maximum_iterations=MAX_SEGMENTS,
    )
    return tf.strings.substr(data, start, tf.maximum(size, 0)), is_last


def _orientation(exif: tf.Tensor) -> tf.Tensor:
    """EXIF's 1 to 8 from an EXIF block (a scalar string), 1 where it says nothing valid."""
    prefix = len(EXIF_PREFIX)
    prefixed = tf.strings.substr(exif, 0, prefix) == EXIF_PREFIX
    exif = tf.strings.substr(exif, tf.where(prefixed, prefix, 0), tf.strings.length(exif))
    byte_order = tf.strings.substr(exif, 0, 4)
    little_endian = byte_order == b"II*\0"
    end = _end(exif)
    # Zeros behind the end: they say nothing, and no read goes beyond the string.
    octets = tf.io.decode_raw(tf.strings.join([exif, b"\0" * 8]), tf.uint8)
    octets = tf.cast(octets, tf.int64)
    start = tf.minimum(_number(tf.slice(octets, [4], [4]), little_endian), end)
    entries = _number(tf.slice(octets, [start], [2]), little_endian)
    table_end = start + 2 + 12 * entries
    valid = (little_endian | (byte_order == b"MM\0*")) & (table_end <= end)
    table = tf.reshape(octets[start + 2 : tf.where(valid, table_end, start + 2)], (-1, 12))
    tags, kinds = _number(table[:, :2], little_endian), _number(table[:, 2:4], little_endian)
    counts = _number(table[:, 4:8], little_endian)
    short, long = _number(table[:, 8:10], little_endian), _number(table[:, 8:], little_endian)
    values = tf.where(kinds == 3, short, tf.where(kinds == 4, long, 0))
    values = tf.where(counts == 1, values, 0)
    # Of a repeated tag the first counts.
    value = tf.concat([values[tags == EXIF_ORIENTATION], [1]], axis=0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _turned(image: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
    """A stored picture (H, W, 3), turned upright as its EXIF block (a scalar string) says."""
    orientation = _orientation(exif)

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == values)

    # 5 to 8 swap the sides; then rows or columns are reversed.
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)
