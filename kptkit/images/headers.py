"""The header of a picture file: its format, its size and its EXIF orientation.

Headers are read and checked before anything is decoded, so that a small file that would decompress
to gigabytes costs nothing. `_FORMATS`, at the end of this file, lists the formats that are read.
The constants of JPEG and EXIF, and the limits, hold for `graph_codec` too.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kptkit.errors import InputError

MAX_PIXELS = 50_000_000

# Forged files hold millions of empty segments, scans that each cost a pass over all the pixels, or
# compressed texts of 8 MB each. Honest files stay below these limits: a segment of a JPEG holds up
# to 64 KB, and a chunk of a PNG by libpng 8 KB, so that the largest files that `codec` reads, of
# 64 MB, have some 8,200.
MAX_SEGMENTS = 10_000
MAX_JPEG_SCANS = 100
_MAX_PNG_TEXTS = 8

# JPEG markers, each preceded by a byte 0xFF.
JPEG_SCAN = 0xDA
JPEG_APP1 = 0xE1
JPEG_WITHOUT_CONTENT = (0x01, *range(0xD0, 0xD8))
EXIF_PREFIX = b"Exif\0\0"
EXIF_ORIENTATION = 0x112

# How a parser fails on a header that is cut short or malformed.
_MALFORMED = (struct.error, IndexError, KeyError, StopIteration)


class ImageError(InputError):
    """A picture that cannot be used.

    `reason` is one of a few fixed words, by which errors are counted: missing, unreadable, not a
    regular file, empty, too large, not an image, broken.
    """

    # Pickle rebuilds the error from its message alone, so `reason` needs a default.
    def __init__(self, message: str, reason: str = "broken"):
        super().__init__(message)
        self.reason = reason


def broken_image() -> ImageError:
    """The error of a picture whose header or pixels do not decode."""
    return ImageError("truncated, broken or of a rare kind; save it anew as JPEG or PNG", "broken")


class ImageHeader(NamedTuple):
    """What a picture's header says."""

    size_wh: tuple[int, int]
    """Width and height in pixels, as stored."""
    orientation: int
    """EXIF's 1 to 8: how the stored picture has to be turned; 1 where nothing valid is said."""

    @property
    def upright_wh(self) -> tuple[int, int]:
        """Width and height after turning: 5 to 8 swap them."""
        return self.size_wh[::-1] if self.orientation >= 5 else self.size_wh


def read_header(data: bytes) -> ImageHeader:
    """Size and orientation of a picture, from the bytes of its file.

    Raises:
        ImageError: no picture of a known format, a broken header, or more than `MAX_PIXELS`.
    """
    try:
        header = _format(data).read(data)
    except _MALFORMED:
        raise broken_image() from None
    if min(header.size_wh) < 1:
        raise broken_image()
    _check_pixels(*header.size_wh)
    return header


def image_size_wh(data: bytes) -> tuple[int, int]:
    """`ImageHeader.size_wh` of a picture; raises as `read_header`."""
    return read_header(data).size_wh


def exif_orientation(data: bytes) -> int:
    """`ImageHeader.orientation` of a picture; raises as `read_header`."""
    return read_header(data).orientation


def is_plain_jpeg(data: bytes) -> bool:
    """Whether a picture is a JPEG of one or three channels, not CMYK.

    Args:
        data: bytes of a file that `read_header` accepts.
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
_JPEG_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The segments up to the first scan: marker, start and end of the content."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        match = _JPEG_MARKER.search(data, position)
        if match is None:
            return
        marker, position = match[1][0], match.end()
        if marker not in JPEG_WITHOUT_CONTENT:
            (length,) = struct.unpack_from(">H", data, position)
            yield marker, position + 2, position + length
            position += length
        if marker == JPEG_SCAN:
            return


def _read_jpeg(data: bytes) -> ImageHeader:
    segments = list(_jpeg_segments(data))
    frame, start, _ = next(segment for segment in segments if segment[0] in _JPEG_FRAME)
    height, width, components = struct.unpack_from(">xHHB", data, start)
    marker, scan, _ = segments[-1]
    if marker != JPEG_SCAN:
        raise broken_image()
    several_scans = frame in _JPEG_PROGRESSIVE or data[scan] < components
    if several_scans and data.count(b"\xff\xda", scan) > MAX_JPEG_SCANS:
        raise ImageError(f"JPEG of more than {MAX_JPEG_SCANS} scans; save it anew", "too large")
    # A file cut short and padded with zeros would decode, grey below the cut: no end marker.
    if data.rfind(b"\xff\xd9", scan) < 0:
        raise broken_image()
    exif = (
        data[start:stop]
        for marker, start, stop in segments
        if marker == JPEG_APP1 and data.startswith(EXIF_PREFIX, start)
    )
    return ImageHeader((width, height), _exif_orientation(next(exif, b"")))


# PNG: chunks up to IEND.
def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks: kind, start and end of the content."""
    position = 8
    for _ in range(MAX_SEGMENTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        stop = position + 8 + length
        yield kind, position + 8, stop
        position = stop + 4  # behind a checksum
        if kind == b"IEND" and position <= len(data):
            return
    raise broken_image()


def _read_png(data: bytes) -> ImageHeader:
    chunks = list(_png_chunks(data))
    texts = sum(kind in (b"zTXt", b"iTXt") for kind, _, _ in chunks)
    if texts > _MAX_PNG_TEXTS:
        raise ImageError(f"PNG of {texts} compressed texts; save it anew without them", "too large")
    exif = (data[start:stop] for kind, start, stop in chunks if kind == b"eXIf")
    return ImageHeader(struct.unpack_from(">II", data, 16), _exif_orientation(next(exif, b"")))


# GIF and BMP: sizes at fixed positions, no orientation.
def _read_gif(data: bytes) -> ImageHeader:
    return ImageHeader(struct.unpack_from("<HH", data, 6), 1)


def _read_bmp(data: bytes) -> ImageHeader:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", data, 18)
    return ImageHeader((width, abs(height)), 1)  # negative: rows run from top to bottom


# WebP: the size is in the first chunk, the EXIF block in one of its own.
def _read_webp(data: bytes) -> ImageHeader:
    return ImageHeader(_webp_size_wh(data), _exif_orientation(_webp_exif(data)))


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


def _webp_exif(data: bytes) -> bytes:
    """The content of the first EXIF chunk, b"" where there is none."""
    position = 12
    for _ in range(MAX_SEGMENTS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            return data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    return b""


# TIFF, which is also the format of an EXIF block.
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


def _exif_orientation(block: bytes) -> int:
    """EXIF's 1 to 8 from an EXIF block, 1 where it says nothing valid."""
    try:
        value = _tiff_tags(block.removeprefix(EXIF_PREFIX))[EXIF_ORIENTATION]
    except _MALFORMED:
        return 1
    return value if value in range(1, 9) else 1


def _read_tiff(data: bytes) -> ImageHeader:
    tags = _tiff_tags(data)
    _check_pixels(tags.get(322, 0), tags.get(323, 0))  # a tile may be larger than its picture
    width, height = tags[256], tags[257]
    # Decoders always turn a TIFF upright, so its stored picture is the upright one here.
    turned = tags.get(EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    return ImageHeader((height, width) if turned else (width, height), 1)


# AVIF: boxes within boxes. A forged file may encode more pixels than its boxes say, up to libavif's
# own limit of 16384 x 16384; the decoder notices only after it has allocated them.
def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of data[start:stop]: kind, start and end of the content."""
    for _ in range(MAX_SEGMENTS):
        if start >= stop:
            return
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + length if length else stop
        yield kind, start + 8, end
        start = end


def _avif_properties(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of every property of the file's items."""
    start, stop = 0, len(data)
    for name, version_bytes in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0)):
        start, stop = next(box[1:] for box in _boxes(data, start, stop) if box[0] == name)
        start += version_bytes
    return [(kind, data[start:stop]) for kind, start, stop in _boxes(data, start, stop)]


def _read_avif(data: bytes) -> ImageHeader:
    properties = _avif_properties(data)
    # Tiles, alpha and thumbnails have sizes too; none is larger than the picture.
    sizes_wh = [
        struct.unpack_from(">II", content, 4) for kind, content in properties if kind == b"ispe"
    ]
    size_wh = max(sizes_wh, key=lambda size_wh: size_wh[0] * size_wh[1], default=(0, 0))
    return ImageHeader(size_wh, _avif_orientation(dict(properties)))


def _avif_orientation(properties: dict[bytes, bytes]) -> int:
    """EXIF's 1 to 8 from the properties `irot` and `imir`."""
    try:
        quarter_turns = properties.get(b"irot", b"\0")[0] & 3  # to the left, before the mirror
        mirror = properties[b"imir"][0] & 1 if b"imir" in properties else None
    except IndexError:  # a property without content
        return 1
    return {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}[mirror][quarter_turns]


class _Format(NamedTuple):
    name: str
    signature: re.Pattern[bytes]
    read: Callable[[bytes], ImageHeader]


_FORMATS = (
    _Format("JPEG", re.compile(rb"\xff\xd8\xff"), _read_jpeg),
    _Format("PNG", re.compile(rb"\x89PNG\r\n\x1a\n....IHDR", re.S), _read_png),
    _Format("GIF", re.compile(rb"GIF8[79]a"), _read_gif),
    _Format("BMP", re.compile(rb"BM"), _read_bmp),
    _Format("WebP", re.compile(rb"RIFF....WEBPVP8", re.S), _read_webp),
    _Format("TIFF", re.compile(rb"II\*\0|MM\0\*"), _read_tiff),
    _Format("AVIF", re.compile(rb"....ftypavif", re.S), _read_avif),
)


def _format(data: bytes) -> _Format:
    """The format of a file, by its first bytes.

    Raises:
        ImageError: it is none of the known formats.
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
