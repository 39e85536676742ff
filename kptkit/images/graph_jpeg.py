"""The checks of `jpeg_header` inside a graph: the same files, refused in the same words."""

import numpy as np
import tensorflow as tf

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
    BROKEN,
    JPEG_PIXELS_PER_BYTE,
    MAX_JPEG_SCANS,
    MAX_SCANNED_PIXELS,
    MAX_SEGMENTS,
    NOT_SERVED,
    TOO_MANY_SCANS,
)

# The bytes that are searched at a time for the next marker of a JPEG.
_SEARCH_BYTES = 32768

_ALLOWED = np.array([[marker in markers for marker in range(256)] for markers in ALLOWED])
_PASSED_OVER = np.isin(np.arange(256), PASSED_OVER)
_FRAMES = np.isin(np.arange(256), FRAMES)


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
    data = bounded(data, size_wh, JPEG_PIXELS_PER_BYTE)
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
