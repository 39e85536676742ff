"""Mutants of 26 kinds of pictures, through header, predictor, tf.data's decoder and served graph.

Right is: one verdict by all, in the same words where a header is refused, the same pixels by all
that decode, no crash, no hang. What differs by design stands in SECURITY.md's table: GIF, TIFF,
AVIF, CMYK and rare BMPs are read by the predictor alone, and graphs refuse them as `NOT_SERVED`.
"""

import functools
import io
import random
import struct
import time

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image

from kptkit import images
from kptkit.data.records.sources import decode_jpeg_box
from kptkit.images import refusals
from kptkit.images.graph_codec import declared_pixels, decode_upright
from kptkit.images.headers import check_file

_WORDS = {name: text for name, text in vars(refusals).items() if isinstance(text, str)}


def _saved(picture: Image.Image, form: str, **settings) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **settings)
    return file.getvalue()


def _ycck(cmyk: bytes) -> bytes:
    """A CMYK JPEG whose Adobe marker says that its colours are YCCK."""
    at = cmyk.index(b"Adobe")
    return cmyk[: at + 11] + b"\2" + cmyk[at + 12 :]


def _rle8(width: int, height: int) -> bytes:
    """A BMP of run lengths: stripes."""
    row = b"".join(bytes([4, index]) for index in range(width // 4)) + b"\0\0"
    pixels = row * height + b"\0\1"
    palette = bytes(range(256)) * 4
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + palette + pixels


def _bmp16(width: int, height: int) -> bytes:
    """A BMP of 5 bits for each colour."""
    pixels = bytes(index * 7 % 256 for index in range(width * height * 2))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + head + pixels


def _os2(width: int, height: int) -> bytes:
    """A BMP with OS/2's header, of 4 bits."""
    pixels = bytes(index * 37 % 256 for index in range((width * 4 + 31) // 32 * 4 * height))
    palette = bytes(index * 5 % 256 for index in range(48))
    head = struct.pack("<IHHHH", 12, width, height, 1, 4)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 12 + 48) + head + palette + pixels


@functools.cache
def kinds() -> dict[str, bytes]:
    """A small picture of every kind."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    pixels = cv2.resize(noise, (56, 40), interpolation=cv2.INTER_CUBIC)
    rgb = Image.fromarray(pixels)
    other = Image.fromarray(255 - pixels)
    gray, cmyk, palette = rgb.convert("L"), rgb.convert("CMYK"), rgb.quantize(64)
    alpha = rgb.copy()
    alpha.putalpha(gray)
    turned = Image.Exif()
    turned[0x112] = 6
    more = {"save_all": True, "append_images": [other], "duration": 50}
    restarts = [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    deep = np.uint16(pixels[..., ::-1]) * 257
    return {
        "jpeg": _saved(rgb, "JPEG", quality=90),
        "jpeg progressive": _saved(rgb, "JPEG", progressive=True),
        "jpeg grey": _saved(gray, "JPEG"),
        "jpeg cmyk": _saved(cmyk, "JPEG"),
        "jpeg ycck": _ycck(_saved(cmyk, "JPEG")),
        "jpeg exif": _saved(rgb, "JPEG", exif=turned.tobytes()),
        "jpeg restarts": cv2.imencode(".jpg", pixels, restarts)[1].tobytes(),
        "jpeg 4:4:4": _saved(rgb, "JPEG", subsampling=0, optimize=True),
        "png": _saved(rgb, "PNG"),
        "png 1 bit": _saved(rgb.convert("1"), "PNG"),
        "png palette": _saved(palette, "PNG", transparency=3),
        "png grey": _saved(gray, "PNG"),
        "png grey alpha": _saved(alpha.convert("LA"), "PNG"),
        "png alpha": _saved(alpha, "PNG", exif=turned.tobytes()),
        "png 16 bits": cv2.imencode(".png", deep)[1].tobytes(),
        "png animated": _saved(rgb, "PNG", **more),
        "gif": _saved(rgb, "GIF"),
        "gif animated": _saved(rgb, "GIF", **more),
        "bmp": _saved(rgb, "BMP"),
        "bmp palette": _saved(palette, "BMP"),
        "bmp 1 bit": _saved(rgb.convert("1"), "BMP"),
        "bmp 32 bits": cv2.imencode(".bmp", np.dstack([pixels, pixels[..., :1]]))[1].tobytes(),
        "bmp os/2": _os2(54, 40),
        "bmp 16 bits": _bmp16(56, 40),
        "bmp run lengths": _rle8(56, 40),
        "webp": _saved(rgb, "WEBP", exif=turned.tobytes()),
        "webp lossless": _saved(rgb, "WEBP", lossless=True),
        "webp alpha": _saved(alpha, "WEBP"),
        "webp animated": _saved(rgb, "WEBP", **more),
        "tiff": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "avif": _saved(rgb, "AVIF"),
    }


def mutant(data: bytes, rng: random.Random) -> bytes:
    """A file with one to four changes; one in twenty is left as it is, one in twenty cut."""
    content = bytearray(data)
    fate = rng.random()
    if fate < 0.05:
        return data
    if fate < 0.1:
        return data[: rng.randrange(len(data))] + bytes(rng.choice([0, 0, 100]))
    for _ in range(rng.choice([1, 1, 2, 4])):
        # Headers are where the decisions fall.
        reach = len(content) if rng.random() < 0.6 else min(len(content), 700)
        at, length = rng.randrange(reach), rng.choice([1, 1, 2, 4, 8])
        kind = rng.randrange(7)
        if kind == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            content[at] = rng.choice([0, 255, rng.randrange(256)])
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            content[at:at] = rng.randbytes(length)
        elif kind == 4:
            content[at : at + length] = bytes(length)
        elif kind == 5:
            content[at:at] = content[at : at + rng.choice([8, 64, 512])]
        else:
            number = rng.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1])
            content[at : at + 4] = struct.pack(rng.choice("<>") + "I", number)
        if not content:
            break
    return bytes(content)


@functools.cache
def _graphs():
    string = [tf.TensorSpec((), tf.string)]
    made = [tf.function(f, input_signature=string) for f in (decode_upright, declared_pixels)]
    for graph in made:  # traced, and TensorFlow started, before any time is taken
        graph(kinds()["jpeg"])
    return made


def _answer(function, data: bytes):
    """The result, and of an error what was said."""
    try:
        return function(data), ""
    except (images.ImageError, tf.errors.InvalidArgumentError) as error:
        return None, str(error)


def _words(text: str) -> str:
    """The name of the refusal that is said, "" of one by a decoder."""
    text = text.split("assertion failed:")[-1]
    return next((name for name, words in _WORDS.items() if words in text), "")


def attempt(seed: int) -> str:
    """One mutant, through everything that reads pictures: "" or what was wrong."""
    rng = random.Random(seed)
    name = rng.choice(list(kinds()))
    data = mutant(kinds()[name], rng)
    _graphs()
    # Of the processor, so that other work on the machine is no fault; hangs are the framework's.
    start = time.process_time()
    found = _disagreement(name, data, rng)
    took = time.process_time() - start
    if took > 2:
        found = found or f"took {took:.1f} s"
    return found and f"{name}: {found}"


def _disagreement(name: str, data: bytes, rng: random.Random) -> str:
    decode, count = _graphs()
    checked, refused = _answer(check_file, data)
    picture, error = _answer(lambda data: images.decode_image(data, "exif"), data)
    served, served_error = _answer(lambda data: decode(data).numpy(), data)
    if refused:
        if error != refused:
            return f"the header says {refused!r}, the predictor {error!r}"
        # Graphs look no further than the signature of formats that they do not read.
        unread = name.startswith(("gif", "tiff", "avif")) and _words(served_error) == "NOT_SERVED"
        if _words(served_error) != _words(refused) and not unread:
            return f"the header says {refused!r}, the graph {served_error[-200:]!r}"
        return ""
    if not checked.served:
        return "" if _words(served_error) == "NOT_SERVED" else f"served: {served_error[-200:]!r}"
    if (picture is None) != (served is None):
        return f"the predictor says {error!r}, the graph {served_error[-200:]!r}"
    width, height = checked.header.size_wh
    if rng.random() < 0.2:
        declared, error = _answer(lambda data: int(count(data)), data)
        if declared != width * height:
            return f"{declared} pixels are declared ({error[-200:]}), {width} x {height}"
    if picture is None:
        return "" if _words(served_error) == "" else f"the graph alone refuses: {served_error!r}"
    if picture.shape != served.shape or (picture != served).any():
        return "other pixels"
    return _disagreement_on_a_box(data, rng) if checked.parts_alike else ""


def _disagreement_on_a_box(data: bytes, rng: random.Random) -> str:
    """Of a JPEG, tf.data decodes a part."""
    stored = images.decode_image(data)
    height, width = stored.shape[:2]
    left, top = rng.randrange(width), rng.randrange(height)
    right, bottom = rng.randint(left + 1, width), rng.randint(top + 1, height)
    part = decode_jpeg_box(data, (left, top, right, bottom), (width, height), "stored")
    if part is not None and (part != stored[top:bottom, left:right]).any():
        return "a part has other pixels"
    return ""
