"""The checks of `headers` inside a TensorFlow graph: the same files, refused in the same words.

TensorFlow's decoders are given nothing that was not checked here. Checks that fail raise
InvalidArgumentError.
"""

from typing import NamedTuple

import numpy as np
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
from kptkit.images.graph_bytes import accept, after, end_of, number, octets, part
from kptkit.images.headers import EXIF_ORIENTATION, PNG_CHANNELS, PNG_END, WEBP_ANIMATION
from kptkit.images.jpeg_header import (
    ALLOWED,
    APP1,
    BEFORE_FRAME,
    BEFORE_SCAN,
    BEHIND_SCANS,
    BETWEEN_SCANS,
    END,
    EXIF_PREFIX,
    FRAMES,
    PASSED_OVER,
    PROGRESSIVE,
    SCAN,
)
from kptkit.images.refusals import (
    ANIMATED_WEBP,
    BROKEN,
    DEFLATE_BITS_PER_BYTE,
    FREE_PIXELS,
    JPEG_PIXELS_PER_BYTE,
    MAX_JPEG_SCANS,
    MAX_PIXELS,
    MAX_SCANNED_PIXELS,
    MAX_SEGMENTS,
    MIN_FILE_BYTES,
    NOT_SERVED,
    PIXELS_PER_BYTE,
    TOO_FEW_BYTES,
    TOO_MANY_PIXELS,
    TOO_MANY_SCANS,
)

# The bytes that are searched at a time for the next marker of a JPEG.
_SEARCH_BYTES = 32768

_ALLOWED = np.array([[marker in markers for marker in range(256)] for markers in ALLOWED])
_PASSED_OVER = np.isin(np.arange(256), PASSED_OVER)
_FRAMES = np.isin(np.arange(256), FRAMES)


class CheckedFile(NamedTuple):
    """A picture file whose header was read and checked; scalar tensors if nothing else is said."""

    size_wh: tf.Tensor
    """Width and height as stored, (2,) int64."""
    exif: tf.Tensor
    """The EXIF block, a string; empty where there is none."""
    decodable: tf.Tensor
    """The bytes that a decoder is given, a string that depends on all the checks."""


def _bounded(
    data: tf.Tensor, size_wh: tf.Tensor, per_byte: tf.Tensor | float, free: int = 0
) -> tf.Tensor:
    """`data`, once its size (2,) int64 passes `refusals.check_pixels`."""
    sides = tf.cast(size_wh, tf.float64)  # a product of two 32-bit numbers may overflow int64
    pixels, file_bytes = tf.reduce_prod(sides), tf.cast(end_of(data), tf.float64)
    data = accept(tf.reduce_all(sides >= 1), BROKEN, data)
    data = accept(pixels <= MAX_PIXELS, TOO_MANY_PIXELS, data)
    most = tf.maximum(tf.cast(per_byte, tf.float64) * file_bytes, free)
    return accept(pixels <= most, TOO_FEW_BYTES, data)


def check_jpeg(data: tf.Tensor, only_frame: bool = False) -> CheckedFile:
    """See `jpeg_header.read_jpeg`; with `only_frame`, what follows the frame is not looked at."""
    zero = tf.constant(0, tf.int64)

    def look(
        position: tf.Tensor,
        state: tf.Tensor,
        frame: tf.Tensor,
        scans: tf.Tensor,
        exif: tf.Tensor,
        _: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        position = _next_marker(data, position)
        head = octets(data, position, 10)
        marker, length = head[1], number(head[2:4])
        found = (position + 2 <= end_of(data)) & tf.gather_nd(_ALLOWED, [state, marker])
        is_frame = tf.gather(_FRAMES, marker)
        found &= ~is_frame | ((head[4] == 8) & tf.reduce_any(head[9] == (1, 3, 4)))
        frame = tf.where(found & is_frame, tf.concat([[marker], head[4:]], 0), frame)
        several = (frame[0] == PROGRESSIVE) | (head[4] < frame[6])
        is_first = (marker == SCAN) & (state == BEFORE_SCAN)
        is_exif = (marker == APP1) & (scans == 0) & (exif[0] == 0)
        is_exif &= tf.strings.substr(data, tf.minimum(position + 4, end_of(data)), 6) == EXIF_PREFIX
        behind = tf.where(several, zero + BETWEEN_SCANS, zero + BEHIND_SCANS)
        state = tf.where(is_first, behind, state)
        return (
            position + 2 + length,
            tf.where(is_frame, zero + BEFORE_SCAN, state),
            frame,
            scans + tf.cast(marker == SCAN, tf.int64),
            tf.where(is_exif, tf.stack([position + 4, position + 2 + length]), exif),
            tf.where(found & ((length >= 2) | (marker == END)), marker, zero),
        )

    def goes_on(*state: tf.Tensor) -> tf.Tensor:
        marker, frame = state[5], state[2]
        return (marker != END) & (marker != 0) & ~(only_frame & (frame[0] != 0))

    _, _, frame, scans, exif, marker = tf.while_loop(
        goes_on,
        look,
        (
            zero + 2,
            zero + BEFORE_FRAME,
            tf.zeros(7, tf.int64),  # marker, bits, height (2), width (2), components
            zero,
            tf.zeros(2, tf.int64),
            zero + APP1,
        ),
        maximum_iterations=MAX_SEGMENTS,
    )
    data = accept(frame[0] != 0, BROKEN, data)
    size_wh = tf.stack([number(frame[4:6]), number(frame[2:4])])
    data = _bounded(data, size_wh, JPEG_PIXELS_PER_BYTE)
    if not only_frame:
        data = accept(marker == END, BROKEN, data)
    scanned = scans * tf.reduce_prod(size_wh)
    few = (scans <= MAX_JPEG_SCANS) & (scanned <= MAX_SCANNED_PIXELS)
    data = accept(few, TOO_MANY_SCANS, data)
    data = accept(frame[6] != 4, NOT_SERVED, data)
    (size_wh,) = after(data, size_wh)
    return CheckedFile(size_wh, part(data, exif[0], exif[1]), data)


def _next_marker(data: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """The position of a JPEG's next marker, or one behind which fewer than two bytes are left."""

    def search(position: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        octets_of = tf.io.decode_raw(tf.strings.substr(data, position, _SEARCH_BYTES), tf.uint8)
        first = tf.where(octets_of[:-1] == 0xFF)[:, 0]
        passed_over = tf.gather(_PASSED_OVER, tf.cast(tf.gather(octets_of, first + 1), tf.int32))
        starts = tf.boolean_mask(first, ~passed_over)
        # The last byte is searched again, as the first of the next part.
        found = tf.concat([starts, [tf.size(octets_of, tf.int64) - 1]], axis=0)
        return position + found[0], tf.size(starts) > 0

    position, _ = tf.while_loop(
        lambda position, found: ~found & (position + 2 <= end_of(data)),
        search,
        (position, tf.constant(False)),
    )
    return position


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
    data = _bounded(data, size_wh, per_byte)
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
    data = _bounded(data, size_wh, per_byte)
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
    data = _bounded(data, size_wh, PIXELS_PER_BYTE, FREE_PIXELS)
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
