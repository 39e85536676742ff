"""The header of a JPEG, and the order of its segments up to its end.

libjpeg draws what it has when segments are damaged, and its callers differ on whether that is an
error: OpenCV keeps a picture that TensorFlow refuses, where damage in the pixels looks like a
marker. So the markers of the whole file are checked here, and by the same tables in a graph.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from kptkit.images.refusals import (
    JPEG_PIXELS_PER_BYTE,
    MAX_JPEG_SCANS,
    MAX_SCANNED_PIXELS,
    MAX_SEGMENTS,
    TOO_MANY_SCANS,
    ImageError,
    broken_image,
    check_pixels,
)

# Markers, each preceded by a byte 0xFF. Of the frames, these hold 8-bit pixels in Huffman codes,
# and the last several scans for the same pixels.
FRAMES = (0xC0, 0xC1, 0xC2)
PROGRESSIVE = 0xC2
SCAN = 0xDA
END = 0xD9
APP1 = 0xE1
EXIF_PREFIX = b"Exif\0\0"

# What comes next: at first a frame, then a scan, then another one or the end. A scan with all
# components of a frame that is not progressive is the only one.
BEFORE_FRAME, BEFORE_SCAN, BETWEEN_SCANS, BEHIND_SCANS = range(4)
_NOTES = {*range(0xE0, 0xF0), 0xFE}
_TABLES = {0xC4, 0xDB, 0xDD}
# The markers that may follow, by what comes next.
ALLOWED = (
    _NOTES | _TABLES | {*FRAMES},
    _NOTES | _TABLES | {SCAN},
    _NOTES | _TABLES | {SCAN, END},
    _NOTES | {END},
)

# Behind 0xFF no marker follows that decoders pass over: a zero (a byte of the pixels), another
# 0xFF (filling), 0x01 and the restarts (without content). Other bytes between segments are skipped.
PASSED_OVER = (0x00, 0x01, *range(0xD0, 0xD8), 0xFF)
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")


class JpegHeader(NamedTuple):
    """What the segments of a JPEG say."""

    size_wh: tuple[int, int]
    components: int
    """1 (grey), 3 (colours) or 4 (CMYK)."""
    single_scan: bool
    """Whether every pixel is in one scan."""
    exif: bytes
    """The first EXIF block, b"" where there is none."""


def read_jpeg(data: bytes) -> JpegHeader:
    """The header of a JPEG whose segments are in order.

    Raises:
        ImageError: they are not, or it has too many pixels or scans.
        struct.error, IndexError: it is cut short.
    """
    state, scans, exif = BEFORE_FRAME, 0, b""
    width = height = components = frame = 0
    for marker, start, stop in _segments(data):
        if marker not in ALLOWED[state]:
            raise broken_image()
        if marker in FRAMES:
            state, frame = BEFORE_SCAN, marker
            bits, height, width, components = struct.unpack_from(">BHHB", data, start)
            if bits != 8 or components not in (1, 3, 4):
                raise broken_image()
            check_pixels(width, height, len(data), JPEG_PIXELS_PER_BYTE)
        elif marker == SCAN:
            scans += 1
            if state == BEFORE_SCAN:
                several = frame == PROGRESSIVE or data[start] < components
                state = BETWEEN_SCANS if several else BEHIND_SCANS
        elif marker == APP1 and scans == 0 and not exif and data.startswith(EXIF_PREFIX, start):
            exif = data[start:stop]
    if scans > MAX_JPEG_SCANS or scans * width * height > MAX_SCANNED_PIXELS:
        raise ImageError(f"{TOO_MANY_SCANS}; save it anew", "too large")
    return JpegHeader((width, height), components, state == BEHIND_SCANS, exif)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The segments up to the end of the picture: marker, start and end of the content."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        match = _MARKER.search(data, position)
        if match is None:
            break
        marker, position = match[1][0], match.end()
        if marker == END:
            yield marker, position, position
            return
        (length,) = struct.unpack_from(">H", data, position)
        if length < 2:
            break
        yield marker, position + 2, position + length
        position += length
    raise broken_image()
