"""The header of a picture file: its format, its size and its EXIF orientation.

Headers are read and checked before anything is decoded, so that a small file that would decompress
to gigabytes costs nothing. `_FORMATS`, at the end of this file, lists the formats that are read.
Decoders are given as few bytes as hold the picture (`CheckedFile.decodable`): what has known faults
or differs between decoders, such as animations and texts, is checked or left out here.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kptkit.images.bmp_header import read_bmp
from kptkit.images.jpeg_header import EXIF_PREFIX, read_jpeg
from kptkit.images.refusals import (
    ANIMATED_WEBP,
    DEFLATE_BITS_PER_BYTE,
    FREE_PIXELS,
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MAX_SEGMENTS,
    MIN_FILE_BYTES,
    NO_BYTES,
    NO_PICTURE,
    PIXELS_PER_BYTE,
    TOO_MANY_BYTES,
    ImageError,
    broken_image,
    check_pixels,
)

__all__ = [
    "MAX_PIXELS",
    "CheckedFile",
    "ImageError",
    "ImageHeader",
    "broken_image",
    "check_file",
    "exif_orientation",
    "image_size_wh",
    "read_header",
]

EXIF_ORIENTATION = 0x112
# A flag of the extended header of a WebP.
WEBP_ANIMATION = 0x02

# Bits of a pixel's sample are multiplied by these, by a PNG's type of colour.
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"

# How a parser fails on a header that is cut short or malformed.
_MALFORMED = (struct.error, IndexError, KeyError, StopIteration)


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


class CheckedFile(NamedTuple):
    """A picture file whose header was read and checked."""

    header: ImageHeader
    decodable: bytes
    """The bytes that a decoder is given."""
    served: bool
    """Whether exported models read the file, and as `codec` does; else send it as a PNG."""
    parts_alike: bool = False
    """Whether this is a JPEG whose parts may be decoded alone: one scan, grey or colours. Parts of
    others differ from the whole: of damaged scans libjpeg smooths what is missing."""


def check_file(data: bytes) -> CheckedFile:
    """Reads and checks the header of a picture, from the bytes of its file.

    Raises:
        ImageError: no picture of a known format, a broken header, an animated WebP, or more pixels
            than `refusals` allows.
    """
    if not data:
        raise ImageError(NO_BYTES, "empty")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"{len(data):,} bytes, {TOO_MANY_BYTES}", "too large")
    read = next((read for signature, read in _FORMATS if signature.match(data)), None)
    if read is None:
        raise ImageError(f"{NO_PICTURE}; it starts with {data[:8]!r}", "not an image")
    if len(data) < MIN_FILE_BYTES:
        raise broken_image()
    try:
        return read(data)
    except _MALFORMED:
        raise broken_image() from None


def read_header(data: bytes) -> ImageHeader:
    """Size and orientation of a picture, from the bytes of its file; raises as `check_file`."""
    return check_file(data).header


def image_size_wh(data: bytes) -> tuple[int, int]:
    """`ImageHeader.size_wh` of a picture; raises as `check_file`."""
    return read_header(data).size_wh


def exif_orientation(data: bytes) -> int:
    """`ImageHeader.orientation` of a picture; raises as `check_file`."""
    return read_header(data).orientation


def _jpeg(data: bytes) -> CheckedFile:
    jpeg = read_jpeg(data)
    header = ImageHeader(jpeg.size_wh, _exif_orientation(jpeg.exif))
    # TensorFlow and OpenCV convert CMYK by other formulas, a level apart.
    served = jpeg.components != 4
    return CheckedFile(header, data, served, parts_alike=served and jpeg.single_scan)


# PNG: of its chunks, decoders are given the header, the palette and the pixels of the still
# picture. The rest are texts that unfold to 8 MB each, and animations, whose frames only OpenCV
# composes.
def _png(data: bytes) -> CheckedFile:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    bits = depth * PNG_CHANNELS[colour]
    if depth not in (1, 2, 4, 8, 16):
        raise broken_image()
    check_pixels(width, height, len(data), DEFLATE_BITS_PER_BYTE / bits)
    exif, palette, pixels = None, slice(0), slice(0)
    for kind, start, stop in _png_chunks(data):
        if kind == b"eXIf" and exif is None:
            exif = data[start + 8 : stop - 4]
        elif kind == b"PLTE" and not palette.stop and not pixels.stop:
            palette = slice(start, stop)
        elif kind == b"IDAT" and pixels.stop in (0, start):  # in one row
            pixels = slice(pixels.start or start, stop)
    still = data[:33] + data[palette] + data[pixels] + PNG_END
    header = ImageHeader((width, height), _exif_orientation(exif or b""))
    return CheckedFile(header, still, served=True)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks up to the end: kind, start and end of the whole chunk."""
    position = 8
    for _ in range(MAX_SEGMENTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        stop = position + 12 + length
        yield kind, position, stop
        position = stop
        if kind == b"IEND" and position <= len(data):
            return
    raise broken_image()


def _gif(data: bytes) -> CheckedFile:
    width, height = struct.unpack_from("<HH", data, 6)
    return _checked(data, ImageHeader((width, height), 1))


def _bmp(data: bytes) -> CheckedFile:
    size_wh, served = read_bmp(data)
    return CheckedFile(ImageHeader(size_wh, 1), data, served)


# WebP: decoders are given a file of the one chunk that holds the pixels. So none meets an
# animation, which TensorFlow's writes beyond its memory; alpha and EXIF have their own chunks.
def _webp(data: bytes) -> CheckedFile:
    chunks = list(_webp_chunks(data))
    kinds = [kind for kind, _, _ in chunks]
    extended = kinds[0] == b"VP8X"
    if {b"ANIM", b"ANMF"} & {*kinds} or (extended and data[20] & WEBP_ANIMATION):
        raise ImageError(ANIMATED_WEBP, "animated")
    kind, start, stop = next(chunk for chunk in chunks if chunk[0] in (b"VP8 ", b"VP8L"))
    if stop > len(data):
        raise broken_image()
    size_wh = _webp_size_wh(kind, data[start + 8 : stop])
    if extended and size_wh != _webp_canvas_wh(data):
        raise broken_image()
    exif = next((data[start + 8 : stop] for kind, start, stop in chunks if kind == b"EXIF"), b"")
    chunk = data[start:stop] + b"\0" * ((stop - start) % 2)
    still = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
    checked = _checked(data, ImageHeader(size_wh, _exif_orientation(exif)))
    return checked._replace(decodable=still + bytes(MIN_FILE_BYTES), served=True)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks up to the end of the file: kind, start and end of the whole chunk."""
    position = 12
    for _ in range(MAX_SEGMENTS):
        if position + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, position, position + 8 + length
        position += 8 + length + length % 2
    if position + 8 <= len(data):
        raise broken_image()


def _webp_canvas_wh(data: bytes) -> tuple[int, int]:
    low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)  # 24 bits each, minus one
    return low_w + (high_w << 16) + 1, low_h + (high_h << 16) + 1


def _webp_size_wh(kind: bytes, content: bytes) -> tuple[int, int]:
    if kind == b"VP8L":  # 14 bits each, minus one, behind a signature byte
        (bits,) = struct.unpack_from("<I", content, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 6)  # 14 bits each under 2 bits of scale
    return width & 0x3FFF, height & 0x3FFF


# TIFF, which is also the format of an EXIF block.
def _tiff_tags(data: bytes) -> dict[int, int]:
    """The single whole numbers of the first directory, by tag; of a repeated tag the first."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
    (start,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, start)
    stop = start + 2 + 12 * entries
    if stop > len(data):
        raise IndexError
    tags: dict[int, int] = {}
    for position in range(start + 2, stop, 12):
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


def _tiff(data: bytes) -> CheckedFile:
    tags = _tiff_tags(data)
    if 322 in tags and 323 in tags:  # a tile may be larger than its picture
        check_pixels(tags[322], tags[323], len(data), PIXELS_PER_BYTE, FREE_PIXELS)
    width, height = tags[256], tags[257]
    # Decoders always turn a TIFF upright, so its stored picture is the upright one here.
    turned = tags.get(EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    return _checked(data, ImageHeader((height, width) if turned else (width, height), 1))


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


def _avif(data: bytes) -> CheckedFile:
    properties = _avif_properties(data)
    # Tiles, alpha and thumbnails have sizes too; none is larger than the picture.
    sizes_wh = [
        struct.unpack_from(">II", content, 4) for kind, content in properties if kind == b"ispe"
    ]
    size_wh = max(sizes_wh, key=lambda size_wh: size_wh[0] * size_wh[1], default=(0, 0))
    return _checked(data, ImageHeader(size_wh, _avif_orientation(dict(properties))))


def _avif_orientation(properties: dict[bytes, bytes]) -> int:
    """EXIF's 1 to 8 from the properties `irot` and `imir`."""
    try:
        quarter_turns = properties.get(b"irot", b"\0")[0] & 3  # to the left, before the mirror
        mirror = properties[b"imir"][0] & 1 if b"imir" in properties else None
    except IndexError:  # a property without content
        return 1
    return {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}[mirror][quarter_turns]


def _checked(data: bytes, header: ImageHeader) -> CheckedFile:
    """A file without a tighter bound on its pixels, which decoders are given whole."""
    check_pixels(*header.size_wh, len(data), PIXELS_PER_BYTE, FREE_PIXELS)
    return CheckedFile(header, data, served=False)


_FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], CheckedFile]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), _png),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"RIFF....WEBPVP8[ LX]", re.S), _webp),
    (re.compile(rb"II\*\0|MM\0\*"), _tiff),
    (re.compile(rb"....ftypavif", re.S), _avif),
)
