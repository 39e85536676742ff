"""Reads and writes picture files: bytes in, RGB uint8 out.

Mining, training and prediction all read pictures here, so that each accepts and refuses the same
files. The formats are JPEG, PNG, GIF, BMP, WebP, TIFF and AVIF; of an animation the first frame is
read. Grey, palette, CMYK, 16-bit and transparent pictures become three channels of 8 bits; alpha is
dropped.

The orientation ``stored`` is the order of the pixels in the file, which most annotations refer to;
``exif`` turns the picture upright, as viewers do. A TIFF is upright in both.

OpenCV is given bytes, never a path: one that is not valid UTF-8 kills the process inside cv2.
"""

import os
import stat
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from kptkit.errors import InputError
from kptkit.files import publish_file
from kptkit.images.headers import check_file
from kptkit.images.refusals import MAX_FILE_BYTES, TOO_MANY_BYTES, ImageError, broken_image
from kptkit.wording import printable

Orientation = Literal["stored", "exif"]


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of a regular file of at most `MAX_FILE_BYTES`.

    Folders, pipes, sockets and devices are refused without being opened.

    Raises:
        ImageError: the message names the path.
    """
    name = printable(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{name}: not a regular file", "not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise ImageError(f"{name}: {status.st_size:,} bytes, {TOO_MANY_BYTES}", "too large")
        with open(path, "rb") as file:
            return file.read(status.st_size)
    except ImageError:
        raise
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        raise ImageError(f"{name}: no such file; check the path", "missing") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror}", "unreadable") from None


def read_image(path: str | os.PathLike, orientation: Orientation = "stored") -> np.ndarray:
    """A picture from a file: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the file or its content cannot be used; the message names the path.
    """
    data = read_bytes(path)
    try:
        return decode_image(data, orientation)
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}", error.reason) from None


def decode_image(data: bytes, orientation: Orientation = "stored") -> np.ndarray:
    """A picture from the bytes of a file: (H, W, 3) uint8 RGB, contiguous.

    Raises:
        ImageError: the bytes are not a picture, or one that is broken, truncated or too large.
    """
    if orientation not in ("stored", "exif"):
        raise InputError(f"orientation: {orientation!r}, expected 'stored' or 'exif'")
    checked = check_file(data)
    width, height = checked.header.size_wh
    try:
        image = cv2.imdecode(
            np.frombuffer(checked.decodable, np.uint8),
            cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION,
        )
    except cv2.error:
        image = None
    if image is None or image.shape != (height, width, 3):
        raise broken_image()
    return turned_upright(image, checked.header.orientation) if orientation == "exif" else image


def as_image(array: np.ndarray) -> np.ndarray:
    """An array as a picture (H, W, 3) uint8, contiguous; the result may share its memory.

    Args:
        array: uint8: (H, W, 3) in the order RGB; (H, W, 4), whose alpha is dropped; or grey (H, W)
            or (H, W, 1), which is repeated over three channels.

    Raises:
        ImageError: the array is none of these; the message says what was passed.
    """
    expected = "expected a NumPy array (H, W, 3) of uint8, RGB"
    if not isinstance(array, np.ndarray):
        raise ImageError(f"image: {type(array).__name__}, {expected}", "not an image")
    found = f"image: {array.dtype} array of shape {array.shape}, {expected}"
    if array.dtype != np.uint8:
        raise ImageError(f"{found}; {_conversion(array)}", "not an image")
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        first = pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4)
        hint = "; move its channels to the end: transpose to (1, 2, 0)" if first else ""
        raise ImageError(f"{found}{hint}", "not an image")
    if pixels.size == 0:
        raise ImageError(f"{found}, at least one pixel", "empty")
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def _conversion(array: np.ndarray) -> str:
    """What makes an array uint8."""
    if array.dtype.kind == "b":
        return "of a mask: image.astype(np.uint8) * 255"
    if array.dtype.kind == "f" and array.size and np.nanmax(array, initial=0) <= 1:
        return "from 0..1: (image * 255).round().astype(np.uint8)"
    if array.dtype.kind == "f":
        return "from 0..255: image.round().clip(0, 255).astype(np.uint8)"
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return "of 16 bits: (image >> 8).astype(np.uint8)"
    if array.dtype.kind in "iu":
        return "from 0..255: image.astype(np.uint8)"
    return "scale the values to 0..255 and convert"


def encode_jpeg(image_rgb: np.ndarray, quality: int = 95) -> bytes:
    """The bytes of a JPEG file; `image_rgb` as for `as_image`, `quality` 1 to 100."""
    return _encode(image_rgb, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image_rgb: np.ndarray) -> bytes:
    """The bytes of a PNG file; `image_rgb` as for `as_image`."""
    return _encode(image_rgb, ".png", [])


def write_image(path: str | os.PathLike, image_rgb: np.ndarray) -> None:
    """Writes a picture as PNG or JPEG, by the suffix of `path`; the file appears when it is whole.

    Args:
        path: ends in .png, .jpg or .jpeg; folders are made as needed.
        image_rgb: as for `as_image`.

    Raises:
        InputError: another suffix.
    """
    path = Path(path)
    if path.suffix.lower() == ".png":
        data = encode_png(image_rgb)
    elif path.suffix.lower() in (".jpg", ".jpeg"):
        data = encode_jpeg(image_rgb)
    else:
        raise InputError(f"{printable(path)}: the name must end in .png, .jpg or .jpeg")
    with publish_file(path) as unfinished:
        unfinished.write_bytes(data)


def _encode(image_rgb: np.ndarray, suffix: str, settings: list[int]) -> bytes:
    image_bgr = cv2.cvtColor(as_image(image_rgb), cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(suffix, image_bgr, settings)
    if not encoded:
        raise ImageError(f"image: {image_bgr.shape} cannot be written as {suffix}", "too large")
    return data.tobytes()


def turned_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """A stored picture (H, W, 3) turned as EXIF's 1 to 8 say; 5 to 8 swap its sides."""
    if orientation >= 5:
        image = cv2.transpose(image)
    # cv2.flip: 1 mirrors left to right, 0 top to bottom, -1 both; five times faster than NumPy.
    mirror = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if mirror is None else cv2.flip(image, mirror)
