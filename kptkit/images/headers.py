"""What the first bytes of a picture say: its format, its size and how to turn it upright.

The size is known, and checked, before anything is decoded, so a small file that would unfold to
gigabytes costs nothing. The list at the end of this file names the formats that kptkit reads.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kptkit.errors import InputError

MAX_PIXELS = 50_000_000

# Forged files hold millions of empty segments, scans that each cost a pass over all the pixels, or
# texts that unfold to 8 MB each. Honest ones stay far below these numbers.
_MAX_SEGMENTS = 100_000
_MAX_JPEG_SCANS = 100
_MAX_PNG_TEXTS = 8

# How a reader fails on a header that is cut short or nonsense.
_NONSENSE = (struct.error, IndexError, KeyError, StopIteration)

_EXIF_ORIENTATION = 0x112


class ImageError(InputError):
    """A picture that cannot be used.

    `reason` is short and stable, fit for counting: missing, unreadable, not a regular file, empty,
    too large, not an image, broken.
    """

    # The default lets a worker process hand the error over: pickle passes the message alone.
    def __init__(self, message: str, reason: str = "broken"):
        super().__init__(message)
        self.reason = reason


def broken_image() -> ImageError:
    """The verdict on a picture whose header or pixels do not decode."""
    return ImageError("truncated, broken or of a rare kind; save it anew as JPEG or PNG", "broken")


def image_size_wh(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, in stored orientation, read from the header of a file's bytes.

    Raises:
        ImageError: no picture of a known format, a broken header, or more than `MAX_PIXELS`.
    """
    try:
        width, height = _format(data).size_wh(data)
    except _NONSENSE:
        raise broken_image() from None
    if width < 1 or height < 1:
        raise broken_image()
    _check_pixels(width, height)
    return width, height


def exif_orientation(data: bytes) -> int:
    """How the stored picture has to be turned: EXIF's 1..8, and 1 where nothing valid is said.

    Raises:
        ImageError: no picture of a known format.
    """
    try:
        value = _format(data).orientation(data)
    except _NONSENSE:
        return 1
    return value if value in range(1, 9) else 1


def is_plain_jpeg(data: bytes) -> bool:
    """Whether these are the bytes of a JPEG of one or three channels, not CMYK.

    Args:
        data: of a picture that `image_size_wh` accepts.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return False
    frame = next(start for marker, start, _ in _jpeg_segments(data) if marker in _JPEG_FRAME)
    return data[frame + 5] in (1, 3)


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{width} x {height} pixels, at most {MAX_PIXELS:,} are decoded; make it smaller",
            "too large",
        )


# JPEG. 0xFF starts a marker unless 0x00 or 0xFF follows; decoders skip other bytes before one.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])")
_JPEG_NO_CONTENT = {0x01, *range(0xD0, 0xD8)}
_JPEG_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_JPEG_SCAN, _JPEG_APP1 = 0xDA, 0xE1


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The segments up to the pixels: marker, and where its content starts and stops."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        match = _JPEG_MARKER.search(data, position)
        if match is None:
            return
        marker, position = match[1][0], match.end()
        if marker not in _JPEG_NO_CONTENT:
            (length,) = struct.unpack_from(">H", data, position)
            yield marker, position + 2, position + length
            position += length
        if marker == _JPEG_SCAN:
            return


def _jpeg_size_wh(data: bytes) -> tuple[int, int]:
    segments = _jpeg_segments(data)
    frame, start, _ = next(segment for segment in segments if segment[0] in _JPEG_FRAME)
    height, width, components = struct.unpack_from(">xHHB", data, start)
    scan = next(start for marker, start, _ in segments if marker == _JPEG_SCAN)
    several_scans = frame in _JPEG_PROGRESSIVE or data[scan] < components
    if several_scans and data.count(b"\xff\xda", scan) > _MAX_JPEG_SCANS:
        raise ImageError(f"JPEG of more than {_MAX_JPEG_SCANS} scans; save it anew", "too large")
    # A file cut short and padded with zeros would decode, gray below the cut: it has no end marker.
    if data.rfind(b"\xff\xd9", scan) < 0:
        raise broken_image()
    return width, height


def _jpeg_orientation(data: bytes) -> int:
    for marker, start, stop in _jpeg_segments(data):
        if marker == _JPEG_APP1 and data.startswith(b"Exif\0\0", start):
            return _exif_block_orientation(data[start:stop])
    return 1


# PNG: chunks up to IEND.
def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks: kind, and where its content starts and stops."""
    position = 8
    for _ in range(_MAX_SEGMENTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        stop = position + 8 + length
        yield kind, position + 8, stop
        position = stop + 4  # behind a checksum
        if kind == b"IEND" and position <= len(data):
            return
    raise broken_image()


def _png_size_wh(data: bytes) -> tuple[int, int]:
    texts = sum(kind in (b"zTXt", b"iTXt") for kind, _, _ in _png_chunks(data))
    if texts > _MAX_PNG_TEXTS:
        raise ImageError(f"PNG of {texts} compressed texts; save it anew without them", "too large")
    return struct.unpack_from(">II", data, 16)


def _png_orientation(data: bytes) -> int:
    blocks = (data[start:stop] for kind, start, stop in _png_chunks(data) if kind == b"eXIf")
    return _exif_block_orientation(next(blocks))


# GIF and BMP: sizes at fixed places.
def _gif_size_wh(data: bytes) -> tuple[int, int]:
    return struct.unpack_from("<HH", data, 6)


def _bmp_size_wh(data: bytes) -> tuple[int, int]:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", data, 18)
    return width, abs(height)  # negative: rows run from top to bottom


def _always_upright(_: bytes) -> int:
    return 1


# WebP: the first chunk tells.
def _webp_size_wh(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":  # 24 bits each, minus one
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        return low_w + (high_w << 16) + 1, low_h + (high_h << 16) + 1
    if kind == b"VP8L":  # 14 bits each, minus one, behind a signature byte
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)  # 14 bits each under 2 bits of scale
    return width & 0x3FFF, height & 0x3FFF


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(_MAX_SEGMENTS):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            return _exif_block_orientation(data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return 1


# TIFF, which is also how EXIF is written.
def _tiff_tags(data: bytes) -> dict[int, int]:
    """The single whole numbers of the first directory, by tag; of a repeated tag the first."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
    (start,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, start)
    tags: dict[int, int] = {}
    for position in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", data, position)
        number = {3: "H", 4: "I"}.get(kind) if count == 1 else None
        value = struct.unpack_from(order + number, data, position + 8)[0] if number else 0
        tags.setdefault(tag, value)
    return tags


def _exif_block_orientation(exif: bytes) -> int:
    return _tiff_tags(exif.removeprefix(b"Exif\0\0")).get(_EXIF_ORIENTATION, 1)


def _tiff_size_wh(data: bytes) -> tuple[int, int]:
    tags = _tiff_tags(data)
    _check_pixels(tags.get(322, 0), tags.get(323, 0))  # a tile may be larger than its picture
    width, height = tags[256], tags[257]
    # Decoders turn a TIFF upright unasked, so that is its stored orientation here.
    return (height, width) if tags.get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8) else (width, height)


# AVIF: boxes within boxes. A forged file may code more pixels than its boxes say, up to libavif's
# own limit of 16384 x 16384, and memory is spent before the decoder notices.
def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of data[start:stop]: kind, and where its content starts and stops."""
    for _ in range(_MAX_SEGMENTS):
        if start >= stop:
            return
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + length if length else stop
        yield kind, start + 8, end
        start = end


def _avif_properties(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of every property of the items in the file."""
    start, stop = 0, len(data)
    for name, version_bytes in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0)):
        start, stop = next(box[1:] for box in _boxes(data, start, stop) if box[0] == name)
        start += version_bytes
    return [(kind, data[start:stop]) for kind, start, stop in _boxes(data, start, stop)]


def _avif_size_wh(data: bytes) -> tuple[int, int]:
    boxes = [content for kind, content in _avif_properties(data) if kind == b"ispe"]
    # Tiles, alpha and thumbnails have sizes too; none is larger than the picture.
    sizes_wh = [struct.unpack_from(">II", content, 4) for content in boxes]
    return max(sizes_wh, key=lambda size_wh: size_wh[0] * size_wh[1], default=(0, 0))


def _avif_orientation(data: bytes) -> int:
    properties = dict(_avif_properties(data))
    quarter_turns = properties.get(b"irot", b"\0")[0] & 3  # to the left, before the mirror
    mirror = properties[b"imir"][0] & 1 if b"imir" in properties else None
    return {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}[mirror][quarter_turns]


class _Format(NamedTuple):
    name: str
    signature: re.Pattern[bytes]
    size_wh: Callable[[bytes], tuple[int, int]]
    orientation: Callable[[bytes], int]


_FORMATS = (
    _Format("JPEG", re.compile(rb"\xff\xd8\xff"), _jpeg_size_wh, _jpeg_orientation),
    _Format("PNG", re.compile(rb"\x89PNG\r\n\x1a\n....IHDR", re.S), _png_size_wh, _png_orientation),
    _Format("GIF", re.compile(rb"GIF8[79]a"), _gif_size_wh, _always_upright),
    _Format("BMP", re.compile(rb"BM"), _bmp_size_wh, _always_upright),
    _Format("WebP", re.compile(rb"RIFF....WEBPVP8", re.S), _webp_size_wh, _webp_orientation),
    _Format("TIFF", re.compile(rb"II\*\0|MM\0\*"), _tiff_size_wh, _always_upright),
    _Format("AVIF", re.compile(rb"....ftypavif", re.S), _avif_size_wh, _avif_orientation),
)


def _format(data: bytes) -> _Format:
    """The format that the first bytes show; a file's name is not asked.

    Raises:
        ImageError: none of the known ones.
    """
    if not data:
        raise ImageError("empty (0 bytes); fetch the file anew", "empty")
    for form in _FORMATS:
        if form.signature.match(data):
            return form
    names = ", ".join(form.name for form in _FORMATS)
    raise ImageError(
        f"not an image: it starts with {data[:8]!r}; expected one of {names}", "not an image"
    )
