"""Which picture files are refused: the limits, and the words for each refusal.

`headers` checks them in Python and `graph_headers` inside a graph, each before a decoder sees a
byte, so that predictor, trainer, client and served model refuse the same files in the same words.
"""

from kptkit.errors import InputError

MAX_FILE_BYTES = 64 * 2**20
# Every header can be read from so many bytes.
MIN_FILE_BYTES = 32

MAX_PIXELS = 50_000_000

# How many pixels a byte of a file can hold at most. A file that claims more is forged or cut short,
# and decoders fill what is missing: 2.5 kB that claim 50 megapixels cost 4 s and 0.4 GB.
#
# JPEG: of every block of 8 x 8 pixels of the finest component, the first scan holds at least one
# bit: 64 * 8 = 512. Encoders reach for one colour, at 4:2:0, 64 with the standard tables (32 bits
# for 256 pixels), 171 with their own (12 bits) and 341 progressively (6 bits).
JPEG_PIXELS_PER_BYTE = 512
# PNG: deflate writes at most 258 bytes for 2 bits, 1032 for one byte.
DEFLATE_BITS_PER_BYTE = 1032 * 8
# The others. GIF and lossy WebP reach 1365 and 597 pixels a byte for one colour; lossless WebP and
# AVIF need no more bytes for a larger picture of one colour, so that no arithmetic bounds them:
# what costs little is free, beyond it they are held to deflate's ratio for 8 bits.
PIXELS_PER_BYTE = 1032
FREE_PIXELS = 4_000_000

# Forged files hold millions of empty segments, or scans that each cost a pass over all the pixels.
# Honest files stay below these limits: a segment of a JPEG holds up to 64 KB, and a chunk of a PNG
# by libpng 8 KB, so that the largest files, of 64 MB, have some 8,200; encoders write at most 20
# scans.
MAX_SEGMENTS = 10_000
MAX_JPEG_SCANS = 100
MAX_SCANNED_PIXELS = 20 * MAX_PIXELS

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF", "AVIF")

# The words. Messages begin with the name of the picture, and may say before them what was found.
NO_BYTES = "empty (0 bytes); fetch the file anew"
NO_PICTURE = f"not an image; expected one of {', '.join(FORMATS)}"
BROKEN = "truncated, broken or of a rare kind; save it anew as JPEG or PNG"
TOO_MANY_BYTES = f"at most {MAX_FILE_BYTES:,} bytes are read; save the picture smaller"
TOO_MANY_PIXELS = f"at most {MAX_PIXELS:,} pixels are decoded; make it smaller"
TOO_FEW_BYTES = "too few bytes for so many pixels; save it anew as JPEG or PNG"
TOO_MANY_SCANS = f"a JPEG of more than {MAX_JPEG_SCANS} scans, or of many scans of many pixels"
ANIMATED_WEBP = "an animated WebP; save one frame of it as JPEG or PNG"
# Only graphs say this: what OpenCV reads and TensorFlow reads otherwise or not at all.
NOT_SERVED = (
    "a GIF, TIFF, AVIF, CMYK JPEG, or BMP of 16 bits or run lengths, which exported models do not "
    "read; save it anew as JPEG or PNG, as kptkit.serving.Client does"
)


class ImageError(InputError):
    """A picture that cannot be used.

    `reason` is one of a few fixed words, by which errors are counted: missing, unreadable, not a
    regular file, empty, too large, not an image, animated, broken.
    """

    # Pickle rebuilds the error from its message alone, so `reason` needs a default.
    def __init__(self, message: str, reason: str = "broken"):
        super().__init__(message)
        self.reason = reason


def broken_image() -> ImageError:
    """The error of a picture whose header or pixels do not decode."""
    return ImageError(BROKEN, "broken")


def check_pixels(width: int, height: int, file_bytes: int, per_byte: float, free: int = 0) -> None:
    """Refuses a size in pixels that is zero, too large, or more than a file of its bytes can hold.

    Raises:
        ImageError: see `MAX_PIXELS`, `JPEG_PIXELS_PER_BYTE` and the following.
    """
    if min(width, height) < 1:
        raise broken_image()
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} pixels, {TOO_MANY_PIXELS}", "too large")
    if width * height > max(per_byte * file_bytes, free):
        found = f"{width} x {height} pixels in {file_bytes:,} bytes"
        raise ImageError(f"{found}: {TOO_FEW_BYTES}", "broken")
