"""Pictures as callers pass them, one or several; all estimators, detectors and clients ask here.

One picture is an array or tensor (H, W, 3) of uint8 in the order RGB (grey and alpha as in
`codec.as_image`), a path, the bytes of a file, a file that is open for reading bytes, or a picture
of PIL, whose package is not imported for it. Several pictures are a list or any other iterable of
these, or one array or tensor (N, H, W, 3).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from kptkit.errors import InputError
from kptkit.images.codec import (
    MAX_FILE_BYTES,
    as_image,
    decode_image,
    read_bytes,
    turned_upright,
)
from kptkit.images.headers import EXIF_ORIENTATION, ImageError
from kptkit.wording import printable


class OpenFile(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


class ArrayLike(Protocol):
    """A tensor of TensorFlow, PyTorch or JAX."""

    def __array__(self) -> np.ndarray: ...


class PilPicture(Protocol):
    """A picture of PIL."""

    mode: str

    def getexif(self) -> Any: ...


Picture = (
    np.ndarray | bytes | bytearray | memoryview | str | os.PathLike | OpenFile | ArrayLike
) | PilPicture
# The type of the pictures in a list, which may be narrower: a `list[Path]` is no `list[Picture]`.
AnyPicture = TypeVar("AnyPicture", bound=Picture)
Pictures = list[AnyPicture] | tuple[AnyPicture, ...] | Iterator[AnyPicture]
Result = TypeVar("Result")

# Longer than any path of a system.
_LONGEST_PATH = 4096
_MISSING = object()

# What PIL converts pictures of other modes to; P to RGBA, because to RGB it would warn.
_PIL_MODES = {
    "1": "L",
    "LA": "L",
    "P": "RGBA",
    "PA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
}

_HINTS = {
    "NoneType": "; OpenCV's imread gives None for files that it cannot read",
    "dict": "; pass the value that holds it",
    "Series": "; of a row, pass the value that holds it",
    "DataFrame": "; pass the column of its paths",
    "list": "; lists cannot be nested",
    "tuple": "; lists cannot be nested",
}

_EXPECTED = (
    "expected a picture: an array (H, W, 3) of uint8, RGB; a path; the bytes of a file or an open "
    "file; or a picture of PIL"
)


def upright_image(image: Picture) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB, contiguous; an array is not copied.

    The EXIF orientation of files and of PIL's pictures is applied.

    Raises:
        ImageError: the picture cannot be used; the message names the path or what was passed.
    """
    name, content = named_content(image)
    if isinstance(content, np.ndarray):
        return content
    try:
        return decode_image(content, "exif")
    except ImageError as error:
        raise ImageError(f"{name}: {error}", error.reason) from None


def named_content(image: Picture) -> tuple[str, bytes | np.ndarray]:
    """A picture's name for messages, and the bytes of its file or its pixels (H, W, 3) uint8.

    Raises:
        ImageError: this is no picture; bytes are not looked into.
    """
    if isinstance(image, (str, os.PathLike)):
        return printable(image), _bytes_of_path(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return "image", _bounded(bytes(image))
    if _is_of_pil(image):
        return "image", as_image(_pixels_of_pil(image))
    if hasattr(image, "read"):
        return _name_of_file(image), _bytes_of_file(image)
    array = image if isinstance(image, np.ndarray) else _array(image)
    if array.shape == () and array.dtype.kind in "OU":  # of `tf.io.read_file`, for one
        return named_content(array.item())
    return "image", as_image(np.asarray(array))


def one_or_each(
    images: Any,
    use: Callable[[Any, Any], Result],
    values: Any = None,
    name: str = "",
) -> Result | list[Result]:
    """What `use(image, value)` gives for a picture, or a list of that for every one of several.

    Several pictures are taken one by one.

    Args:
        values: of one picture its value; of several one for each, or None: None for each.
        name: of `values`, for messages.

    Raises:
        InputError: there is not one value for each picture, or `use` raises it; of several
            pictures, the message has the picture's index.
    """
    several = pictures_in(images)
    if several is None:
        return use(images, values)
    if values is not None and not isinstance(values, Iterable):
        raise InputError(f"{name}: {type(values).__name__} for several images; expected a list")
    rest = None if values is None else iter(values)
    results: list[Result] = []
    for index, image in enumerate(several):
        value = None if rest is None else next(rest, _MISSING)
        if value is _MISSING:
            raise InputError(f"{name}: {index} for more images than that; expected one each")
        try:
            results.append(use(image, value))
        except ImageError as error:
            raise ImageError(f"images[{index}]: {error}", error.reason) from None
        except InputError as error:
            raise InputError(f"images[{index}]: {error}") from None
    if rest is not None and next(rest, _MISSING) is not _MISSING:
        raise InputError(f"{name}: more than the {len(results)} images; expected one each")
    return results


def pictures_in(images: Any) -> Iterable[Any] | None:
    """The pictures in a list, an iterable or an array (N, H, W, 3); None if this is one picture."""
    one = (str, os.PathLike, bytes, bytearray, memoryview, Mapping)
    if isinstance(images, one) or hasattr(images, "read") or _is_of_pil(images):
        return None
    shape = getattr(images, "shape", None)
    if shape is None:
        return images if isinstance(images, Iterable) else None
    array = images
    # A column of paths, of NumPy or pandas.
    if len(shape) == 1 and getattr(images, "dtype", None) is not None:
        array = np.asarray(images)
        return array.tolist() if array.dtype.kind in "OUT" else None
    return array if len(shape) == 4 else None


def _bytes_of_path(path: str | os.PathLike) -> bytes:
    text = os.fsdecode(path)
    if "://" in text or text.startswith("data:"):
        raise ImageError(
            f"{printable(text[:60])}: an address, which is not fetched; pass the bytes that it "
            "answers, or a path",
            "not an image",
        )
    if not text or len(text) > _LONGEST_PATH:
        raise ImageError(
            f"image: a text of {len(text):,} characters is no path; {_EXPECTED} (base64: decode "
            "it first)",
            "not an image",
        )
    if Path(text).is_dir():
        raise ImageError(
            f"{printable(text)}: not a regular file but a folder; pass a list of the paths in it",
            "not a regular file",
        )
    return read_bytes(path)


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"image: more than {MAX_FILE_BYTES:,} bytes", "too large")
    return data


def _bytes_of_file(file: Any) -> bytes:
    """What is left to read of an open file."""
    name = _name_of_file(file)
    try:
        data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ImageError(f"{name}: cannot be read: {error}", "unreadable") from None
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ImageError(f"{name}: reads {type(data).__name__}; open it for bytes, as 'rb'")
    if not data and getattr(file, "tell", lambda: 0)():
        raise ImageError(f"{name}: was read to its end; call seek(0) first", "empty")
    return _bounded(bytes(data))


def _name_of_file(file: Any) -> str:
    name = getattr(file, "name", None)
    return printable(name) if isinstance(name, str) and name else "image: an open file"


def _array(image: Any) -> np.ndarray:
    """The array of a tensor."""
    kind = type(image).__name__
    hint = _HINTS.get(kind, "")
    if not hasattr(image, "__array__"):
        raise ImageError(f"image: {kind}, {_EXPECTED}{hint}", "not an image")
    if hasattr(image, "detach") and hasattr(image, "cpu"):  # PyTorch gives no array otherwise
        image = image.detach().cpu()
    try:
        array = np.asarray(image)
    except Exception as error:  # whatever a tensor of some package raises
        line = str(error).strip().splitlines()[:1]
        raise ImageError(
            f"image: {kind} gives no array ({''.join(line)[:120]}); expected pixels, "
            "not a symbol of a graph",
            "not an image",
        ) from None
    if array.shape != () and (array.dtype.kind not in "buif" or array.ndim not in (2, 3)):
        raise ImageError(
            f"image: {kind} of {array.dtype} and shape {array.shape}, {_EXPECTED}{hint}",
            "not an image",
        )
    return array


def _is_of_pil(image: Any) -> bool:
    return any(
        (kind.__module__, kind.__name__) == ("PIL.Image", "Image") for kind in type(image).__mro__
    )


def _pixels_of_pil(image: Any) -> np.ndarray:
    """The pixels of a picture of PIL, upright, as `codec.decode_image` reads them from a file.

    Grey of 16 bits loses its lower 8. CMYK is converted by PIL, some levels from what OpenCV gives.
    """
    try:
        image.load()  # first: a TIFF is turned upright by it
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
        if image.mode in ("L", "RGB", "RGBA", "RGBX"):
            pixels = np.asarray(image)
        elif image.mode.startswith("I;16"):
            pixels = (np.asarray(image) >> 8).astype(np.uint8)
        elif image.mode in _PIL_MODES:
            pixels = np.asarray(image.convert(_PIL_MODES[image.mode]))
        else:
            raise ImageError(
                f"image: a picture of PIL of mode {image.mode}, whose numbers may have any range; "
                "scale them to 0..255 and convert it to L or RGB",
                "not an image",
            )
    except (OSError, ValueError, SyntaxError, AttributeError, EOFError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"image: PIL cannot read it: {error}", "broken") from None
    return turned_upright(pixels, orientation if orientation in range(1, 9) else 1)
