"""The header of a BMP: where its rows and its palette are."""

import struct
from typing import NamedTuple

from kptkit.images.refusals import broken_image, check_pixels

# The header behind the file's 14 bytes: OS/2's of 12 bytes, or Windows's, of which 36 are read.
OS2_BYTES, WINDOWS_BYTES, MAX_BYTES = 12, 36, 1024

# Ways of compression: none, run lengths of 8 and 4 bits, colours by masks.
_PLAIN, _RLE8, _RLE4, _MASKS = range(4)

# Bits of a pixel and way of compression, by the header: that codec and graph read alike, ...
SERVED = {(1, _PLAIN), (4, _PLAIN), (8, _PLAIN), (24, _PLAIN), (32, _PLAIN)}
# ... if the masks of red, green and blue are these, as in pixels without masks, ...
MASKED, RGB_MASKS = (32, _MASKS), (0xFF0000, 0xFF00, 0xFF)
# ... and that only codec reads: run lengths, and 16 bits.
RLE = {(4, _RLE4), (8, _RLE8)}
READ = SERVED | RLE | {MASKED, (16, _PLAIN), (16, _MASKS)}


class BmpHeader(NamedTuple):
    """What the header of a BMP says."""

    size_wh: tuple[int, int]
    served: bool
    """Whether graphs read its pixels."""


def read_bmp(data: bytes) -> BmpHeader:
    """The header of a BMP that holds all its rows, or is compressed.

    Raises:
        ImageError: it is broken, of a kind that OpenCV does not read, or too large.
        struct.error: it is cut short.
    """
    offset, header_bytes = struct.unpack_from("<II", data, 10)
    compression = colours = 0
    if header_bytes == OS2_BYTES:
        width, height, _, bits = struct.unpack_from("<4H", data, 18)
    elif WINDOWS_BYTES <= header_bytes <= MAX_BYTES:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        (colours,) = struct.unpack_from("<I", data, 46)
    else:
        raise broken_image()
    if (bits, compression) not in READ:
        raise broken_image()
    height = abs(height)  # negative: rows run from top to bottom
    # Of run lengths, 2 bytes hold up to 255 pixels.
    check_pixels(width, height, len(data), 128 if (bits, compression) in RLE else 8 / bits)
    served = (bits, compression) in SERVED
    if (bits, compression) == MASKED:
        served = struct.unpack_from("<3I", data, 54) == RGB_MASKS
    palette = 14 + header_bytes + palette_bytes(header_bytes, bits, colours)
    if (colours > 256 and bits <= 8) or palette > len(data):
        raise broken_image()
    if served and offset + height * row_bytes(width, bits) > len(data):
        raise broken_image()
    return BmpHeader((width, height), served)


def row_bytes(width: int, bits: int) -> int:
    """The bytes of a row of so many pixels of so many bits: filled up to a multiple of four."""
    return (width * bits + 31) // 32 * 4


def palette_bytes(header_bytes: int, bits: int, colours: int) -> int:
    """The bytes of a palette of so many colours, of which zero means all."""
    if bits > 8:
        return 0
    return 3 * 2**bits if header_bytes == OS2_BYTES else 4 * (colours or 2**bits)
