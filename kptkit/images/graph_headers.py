"""The checks of `headers` inside a TensorFlow graph: the same files, refused in the same words.

Those of JPEG are in `graph_jpeg`.

TensorFlow's decoders are given nothing that was not checked here. Checks that fail raise
InvalidArgumentError.
"""

from typing import NamedTuple

import tensorflow as tf

from kptkit.images.bmp_header import (
    MASKED,
    MAX_BYTES,
    OS2_BYTES,
    READ,
    RGB_MASKS,
    RLE,
    SERVED,
    WINDOWS_BYTES,
)
from kptkit.images.graph_bytes import (
    CheckedFile,
    accept,
    after,
    bounded,
    end_of,
    number,
    octets,
    part,
)
from kptkit.images.headers import EXIF_ORIENTATION, PNG_CHANNELS, PNG_END, WEBP_ANIMATION
from kptkit.images.jpeg_header import EXIF_PREFIX
from kptkit.images.refusals import (
    ANIMATED_WEBP,
    BROKEN,
    DEFLATE_BITS_PER_BYTE,
    FREE_PIXELS,
    MAX_SEGMENTS,
    MIN_FILE_BYTES,
    NOT_SERVED,
    PIXELS_PER_BYTE,
)


def check_png(data: tf.Tensor, only_size: bool = False) -> CheckedFile:
    """See `headers`; with `only_size`, what follows the header is not looked at."""
    head = octets(data, 16, 10)
    size_wh = number(tf.reshape(head[:8], (2, 4)))
    depth, colour = head[8], head[9]
    channels = tf.constant([PNG_CHANNELS.get(colour, 0) for colour in range(256)], tf.int64)
    bits = depth * tf.gather(channels, colour)
    sound = (bits > 0) & tf.reduce_any(depth == (1, 2, 4, 8, 16))
    data = accept(sound, BROKEN, data)
    per_byte = DEFLATE_BITS_PER_BYTE / tf.maximum(bits, 1)
    data = bounded(data, size_wh, per_byte)
    (size_wh,) = after(data, size_wh)
    if only_size:
        return CheckedFile(size_wh, tf.constant(b""), data)

    def chunk(
        position: tf.Tensor, exif: tf.Tensor, palette: tf.Tensor, pixels: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        length = number(octets(data, position, 4))
        kind = tf.strings.substr(data, position + 4, 4)
        stop = position + 12 + length
        here = tf.stack([position, stop])
        is_pixels = (kind == b"IDAT") & ((pixels[1] == 0) | (pixels[1] == position))
        joined = tf.stack([tf.where(pixels[1] == 0, position, pixels[0]), stop])
        is_palette = (kind == b"PLTE") & (palette[1] == 0) & (pixels[1] == 0)
        return (
            stop,
            tf.where((kind == b"eXIf") & (exif[1] == 0), here, exif),
            tf.where(is_palette, here, palette),
            tf.where(is_pixels, joined, pixels),
            (kind == b"IEND") & (stop <= end_of(data)),
        )

    nowhere = tf.zeros(2, tf.int64)
    _, exif, palette, pixels, has_end = tf.while_loop(
        lambda position, *state: ~state[-1] & (position + 8 <= end_of(data)),
        chunk,
        (tf.constant(8, tf.int64), nowhere, nowhere, nowhere, tf.constant(False)),
        maximum_iterations=MAX_SEGMENTS,
    )
    data = accept(has_end, BROKEN, data)
    parts = [tf.strings.substr(data, 0, 33), part(data, *tf.unstack(palette))]
    still = tf.strings.join([*parts, part(data, *tf.unstack(pixels)), PNG_END])
    return CheckedFile(size_wh, part(data, exif[0] + 8, exif[1] - 4), still)


class BmpLayout(NamedTuple):
    """Where the pixels of a BMP are; scalar tensors int64 if nothing else is said."""

    file: CheckedFile
    bits: tf.Tensor
    """Of a pixel: 1, 4, 8, 24 or 32."""
    palette: tf.Tensor
    """The bytes of the palette, a string."""
    colour_bytes: tf.Tensor
    """Of a colour in the palette: 3 or 4."""
    rows: tf.Tensor
    """Where the first row starts."""
    row_bytes: tf.Tensor
    upwards: tf.Tensor
    """Whether the first row is the lowest one, bool."""


def check_bmp(data: tf.Tensor) -> BmpLayout:
    """See `bmp_header.read_bmp`."""
    head = octets(data, 0, 66)

    def field(start: int, size: int) -> tf.Tensor:
        return number(head[start : start + size], little_endian=True)

    rows, header_bytes = field(10, 4), field(14, 4)
    is_os2 = header_bytes == OS2_BYTES
    known = is_os2 | ((header_bytes >= WINDOWS_BYTES) & (header_bytes <= MAX_BYTES))
    data = accept(known & ((end_of(data) >= 50) | is_os2), BROKEN, data)
    windows_wh = tf.stack([field(18, 4), field(22, 4)])
    windows_wh -= windows_wh // 2**31 * 2**32  # signed
    size_wh = tf.where(is_os2, tf.stack([field(18, 2), field(20, 2)]), windows_wh)
    upwards, size_wh = size_wh[1] > 0, tf.stack([size_wh[0], tf.abs(size_wh[1])])
    bits = tf.where(is_os2, field(24, 2), field(28, 2))
    zero = tf.constant(0, tf.int64)
    kind = tf.stack([bits, tf.where(is_os2, zero, field(30, 4))])
    colours = tf.where(is_os2, zero, field(46, 4))

    def one_of(kinds: set[tuple[int, int]]) -> tf.Tensor:
        return tf.reduce_any(tf.reduce_all(kind == tf.constant(sorted(kinds), tf.int64), axis=1))

    data = accept(one_of(READ), BROKEN, data)
    per_byte = tf.where(one_of(RLE), tf.constant(128, tf.float64), 8 / tf.maximum(bits, 1))
    data = bounded(data, size_wh, per_byte)
    has_palette = bits <= 8
    every = tf.where(has_palette, 2 ** tf.minimum(bits, 8), 0)
    count = tf.where(has_palette & ~is_os2 & (colours > 0), colours, every)
    colour_bytes = tf.where(is_os2, tf.constant(3, tf.int64), 4)
    palette = 14 + header_bytes
    fits = (count <= 256) & (palette + count * colour_bytes <= end_of(data))
    data = accept(fits, BROKEN, data)
    masks = tf.reduce_all(tf.stack([field(54, 4), field(58, 4), field(62, 4)]) == RGB_MASKS)
    served = one_of(SERVED) | (one_of({MASKED}) & masks)
    data = accept(served, NOT_SERVED, data)
    row_bytes = (size_wh[0] * bits + 31) // 32 * 4
    data = accept(rows + row_bytes * size_wh[1] <= end_of(data), BROKEN, data)
    colours_of = part(data, palette, palette + count * colour_bytes)
    size_wh, *rest = after(data, size_wh, bits, colours_of, colour_bytes, rows, row_bytes, upwards)
    return BmpLayout(CheckedFile(size_wh, tf.constant(b""), data), *rest)


def check_webp(data: tf.Tensor) -> CheckedFile:
    """See `headers`."""

    def chunk(
        position: tf.Tensor, image: tf.Tensor, exif: tf.Tensor, animated: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        length = number(octets(data, position + 4, 4), little_endian=True)
        kind = tf.strings.substr(data, position, 4)
        here = tf.stack([position, position + 8 + length])
        is_image = (kind == b"VP8 ") | (kind == b"VP8L")
        return (
            here[1] + length % 2,
            tf.where(is_image & (image[1] == 0), here, image),
            tf.where((kind == b"EXIF") & (exif[1] == 0), here, exif),
            animated | (kind == b"ANIM") | (kind == b"ANMF"),
        )

    head = octets(data, 12, 18)
    extended = head[3] == ord("X")
    animated = extended & (head[8] // WEBP_ANIMATION % 2 == 1)
    nowhere = tf.zeros(2, tf.int64)
    position, image, exif, animated = tf.while_loop(
        lambda position, *_: position + 8 <= end_of(data),
        chunk,
        (tf.constant(12, tf.int64), nowhere, nowhere, animated),
        maximum_iterations=MAX_SEGMENTS,
    )
    data = accept(position + 8 > end_of(data), BROKEN, data)
    data = accept(~animated, ANIMATED_WEBP, data)
    data = accept((image[1] > 0) & (image[1] <= end_of(data)), BROKEN, data)
    canvas_wh = number(tf.reshape(head[12:], (2, 3)), little_endian=True) + 1
    start = octets(data, image[0], 18)
    enough = image[1] - image[0] >= 13 + 5 * tf.cast(start[3] != ord("L"), tf.int64)
    # 14 bits each. Lossless: minus one, behind a signature byte. Lossy: under 2 bits of scale.
    bits = number(start[9:13], little_endian=True)
    lossless = tf.stack([bits % 2**14, bits // 2**14 % 2**14]) + 1
    lossy = number(tf.reshape(start[14:], (2, 2)), little_endian=True) % 2**14
    size_wh = tf.where(start[3] == ord("L"), lossless, lossy)
    same = ~extended | tf.reduce_all(size_wh == canvas_wh)
    data = accept(enough & same, BROKEN, data)
    data = bounded(data, size_wh, PIXELS_PER_BYTE, FREE_PIXELS)
    (size_wh,) = after(data, size_wh)
    still = _still_webp(part(data, *tf.unstack(image)))
    return CheckedFile(size_wh, part(data, exif[0] + 8, exif[1]), still)


def _still_webp(chunk: tf.Tensor) -> tf.Tensor:
    """A WebP of one chunk (a string), as `headers` makes it."""
    chunk = tf.strings.join([chunk, tf.where(end_of(chunk) % 2 == 1, b"\0", b"")])
    size = (4 + end_of(chunk)) // 256 ** tf.range(4, dtype=tf.int64) % 256
    size = tf.strings.reduce_join(tf.gather([bytes([value]) for value in range(256)], size))
    return tf.strings.join([b"RIFF", size, b"WEBP", chunk, b"\0" * MIN_FILE_BYTES])


def orientation(exif: tf.Tensor) -> tf.Tensor:
    """EXIF's 1 to 8 from an EXIF block (a scalar string), 1 where it says nothing valid."""
    prefix = len(EXIF_PREFIX)
    prefixed = tf.strings.substr(exif, 0, prefix) == EXIF_PREFIX
    exif = tf.strings.substr(exif, tf.where(prefixed, prefix, 0), tf.strings.length(exif))
    byte_order = tf.strings.substr(exif, 0, 4)
    little_endian = byte_order == b"II*\0"
    start = number(octets(exif, 4, 4), little_endian)
    entries = number(octets(exif, start, 2), little_endian)
    table_end = start + 2 + 12 * entries
    valid = (little_endian | (byte_order == b"MM\0*")) & (table_end <= end_of(exif))
    table = part(exif, start + 2, tf.where(valid, table_end, start + 2))
    table = tf.reshape(tf.cast(tf.io.decode_raw(table, tf.uint8), tf.int64), (-1, 12))
    tags, kinds = number(table[:, :2], little_endian), number(table[:, 2:4], little_endian)
    counts = number(table[:, 4:8], little_endian)
    short, long = number(table[:, 8:10], little_endian), number(table[:, 8:], little_endian)
    values = tf.where(kinds == 3, short, tf.where(kinds == 4, long, 0))
    values = tf.where(counts == 1, values, 0)
    # Of a repeated tag the first counts.
    value = tf.concat([values[tags == EXIF_ORIENTATION], [1]], axis=0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)
