"""Pictures inside a graph: `kptkit.images` in TensorFlow's ops, for programs that leave the house.

The bytes of a JPEG, PNG, BMP or WebP become the upright RGB picture that
`images.decode_image(data, "exif")` gives, equal to the bit. A file's size in pixels is read from
its header, and bounded, before anything is decoded. GIF is refused: TensorFlow makes room for the
largest of its frames, which no header tells.

Whatever is wrong with the bytes is TensorFlow's InvalidArgumentError.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kptkit.images.codec import MAX_FILE_BYTES
from kptkit.images.headers import MAX_PIXELS

# Room for every header: no read below leaves the string, since that error would quote all of it.
_MIN_FILE_BYTES = 32

# A forged file may hold millions of empty segments, or scans that each cost a pass over all pixels.
_MAX_SEGMENTS = 10_000
_MAX_SCANNED_PIXELS = 100 * MAX_PIXELS

_EXIF_ORIENTATION = 0x112
_JPEG_SCAN, _JPEG_APP1 = 0xDA, 0xE1

# From the position of a segment to the next one's, and to the start and the size of the EXIF block,
# where this segment holds it; else the size is 0.
SegmentReader = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def require(condition: tf.Tensor, message: str, tensor: tf.Tensor) -> tf.Tensor:
    """`tensor`, which a graph only gets where `condition` holds: else InvalidArgumentError."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(tensor)


def decode_upright(data: tf.Tensor) -> tf.Tensor:
    """The picture (H, W, 3) uint8 of a file's bytes (a scalar string), turned as EXIF says."""
    size = tf.strings.length(data)
    message = f"image_bytes: a file of less than {_MIN_FILE_BYTES} or over {MAX_FILE_BYTES:,} bytes"
    data = require((size >= _MIN_FILE_BYTES) & (size <= MAX_FILE_BYTES), message, data)

    def starts(signature: bytes) -> tf.Tensor:
        return tf.strings.substr(data, 0, len(signature)) == signature

    def refused() -> tf.Tensor:
        message = "image_bytes: not a picture; expected the bytes of a JPEG, PNG, BMP or WebP"
        return require(tf.constant(False), message, tf.zeros((0, 0, 3), tf.uint8))

    return tf.case(
        [
            (starts(b"\xff\xd8\xff"), lambda: _decode_jpeg(data)),
            (starts(b"\x89PNG\r\n\x1a\n"), lambda: _decode_png(data)),
            (starts(b"BM"), lambda: _decode_bmp(data)),
            (starts(b"RIFF"), lambda: _decode_webp(data)),
        ],
        default=refused,
    )


def _decode_jpeg(data: tf.Tensor) -> tf.Tensor:
    size_hw = tf.image.extract_jpeg_shape(data)[:2]
    data = _bounded(data, size_hw)
    scans = tf.cast(tf.size(tf.strings.split(data, b"\xff\xda")), tf.int64)
    scanned = scans * tf.reduce_prod(tf.cast(size_hw, tf.int64))
    data = require(scanned <= _MAX_SCANNED_PIXELS, "image_bytes: a JPEG of too many scans", data)

    def segment(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        head = _octets(data, position, 4)
        kind, length = head[1], _number(head[2:])
        # 0xFF starts a marker unless 0x00 or 0xFF follows; decoders skip other bytes before one.
        is_marker = (head[0] == 0xFF) & (kind != 0x00) & (kind != 0xFF)
        without_content = (kind == 0x01) | ((kind >= 0xD0) & (kind <= 0xD7))
        step = tf.where(is_marker, 2 + tf.where(without_content, tf.zeros_like(length), length), 1)
        step = tf.where(is_marker & (kind == _JPEG_SCAN), _end(data), step)
        is_exif = tf.strings.substr(data, position + 4, 6) == b"Exif\0\0"
        is_exif &= is_marker & (kind == _JPEG_APP1)
        return position + step, position + 10, tf.where(is_exif, tf.maximum(length - 8, 1), 0)

    image = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    return _turned(image, _exif_block(data, 2, segment))


def _decode_png(data: tf.Tensor) -> tf.Tensor:
    size_wh = tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)

    def chunk(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        length = _number(_octets(data, position, 4))
        is_exif = tf.strings.substr(data, position + 4, 4) == b"eXIf"
        return position + 12 + length, position + 8, tf.where(is_exif, length, 0)

    image = tf.io.decode_png(_bounded(data, size_wh), channels=3)
    return _turned(image, _exif_block(data, 8, chunk))


def _decode_bmp(data: tf.Tensor) -> tf.Tensor:
    size_wh = tf.io.decode_raw(tf.strings.substr(data, 18, 8), tf.int32)
    # A negative height says that the rows run from top to bottom.
    return tf.io.decode_bmp(_bounded(data, size_wh * [1, tf.sign(size_wh[1])]), channels=3)


def _decode_webp(data: tf.Tensor) -> tf.Tensor:
    octets = _octets(data, 20, 10)
    # Lossless: 14 bits each, minus one, behind a signature byte. Extended: 24 bits each, minus one.
    # Lossy: 14 bits each under 2 bits of scale.
    bits = _number(octets[1:5], little_endian=True)
    lossless = tf.stack([bits % 2**14, bits // 2**14 % 2**14]) + 1
    extended = _number(tf.reshape(octets[4:], (2, 3)), little_endian=True) + 1
    lossy = _number(tf.reshape(octets[6:], (2, 2)), little_endian=True) % 2**14
    kind = tf.strings.substr(data, 12, 4)
    size_wh = tf.where(kind == b"VP8L", lossless, tf.where(kind == b"VP8X", extended, lossy))

    def chunk(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        length = _number(_octets(data, position + 4, 4), little_endian=True)
        is_exif = tf.strings.substr(data, position, 4) == b"EXIF"
        return position + 8 + length + length % 2, position + 8, tf.where(is_exif, length, 0)

    # Three channels cannot be asked for where there is an alpha channel.
    image = tf.io.decode_image(_bounded(data, size_wh), expand_animations=False)[..., :3]
    return _turned(tf.ensure_shape(image, (None, None, 3)), _exif_block(data, 12, chunk))


def _bounded(data: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """`data`, where the sides (2,) that its header tells make a picture of a bearable size."""
    sides = tf.cast(sides, tf.float64)  # the product of two 32-bit numbers is no 64-bit integer
    fits = tf.reduce_all(sides >= 1) & (tf.reduce_prod(sides) <= MAX_PIXELS)
    return require(fits, f"image_bytes: no pixels, or more than {MAX_PIXELS:,} in a picture", data)


def _octets(data: tf.Tensor, start: tf.Tensor | int, count: int) -> tf.Tensor:
    """`count` bytes of a string from `start`, as int64 numbers (count,)."""
    octets = tf.io.decode_raw(tf.strings.substr(data, start, count), tf.uint8)
    return tf.cast(tf.ensure_shape(octets, (count,)), tf.int64)


def _number(octets: tf.Tensor, little_endian: tf.Tensor | bool = False) -> tf.Tensor:
    """The whole numbers that bytes (..., n) write."""
    powers = 256 ** np.arange(octets.shape[-1])
    return tf.reduce_sum(octets * tf.where(little_endian, powers, powers[::-1]), axis=-1)


def _end(data: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(data), tf.int64)


def _exif_block(data: tf.Tensor, first: int, segment: SegmentReader) -> tf.Tensor:
    """The EXIF block (a scalar string) of a file, or an empty string; `first` is a position."""

    def unfinished(position: tf.Tensor, _: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return (size == 0) & (position + 10 <= _end(data))

    zero = tf.constant(0, tf.int64)
    _, start, size = tf.while_loop(
        unfinished,
        lambda position, _start, _size: segment(position),
        (zero + first, zero, zero),
        maximum_iterations=_MAX_SEGMENTS,
    )
    return tf.strings.substr(data, start, size)


def _orientation(exif: tf.Tensor) -> tf.Tensor:
    """EXIF's 1..8 from a block (a scalar string), and 1 where nothing valid is said."""
    prefixed = tf.strings.substr(exif, 0, 6) == b"Exif\0\0"
    exif = tf.strings.substr(exif, tf.where(prefixed, tf.constant(6, tf.int64), 0), _end(exif))
    byte_order = tf.strings.substr(exif, 0, 4)
    little_endian = byte_order == b"II*\0"
    end = _end(exif)
    # Zeros behind the end: what is read there says nothing.
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
    value = tf.concat([values[tags == _EXIF_ORIENTATION], [1]], axis=0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _turned(image: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
    """A stored picture turned upright: 5 to 8 swap its sides, then rows or columns run back."""
    orientation = _orientation(exif)

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == values)

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)
