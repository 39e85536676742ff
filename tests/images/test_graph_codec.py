"""Decoding in a graph: bit for bit what `kptkit.images` gives, and the same files refused."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kptkit import images
from kptkit.images import refusals
from kptkit.images.graph_codec import declared_pixels, decode_upright
from kptkit.images.headers import MAX_SEGMENTS

RNG = np.random.default_rng(0)
PICTURE = cv2.resize(RNG.integers(0, 256, (5, 7, 3), np.uint8), (53, 37))
GRAY = PICTURE[..., 0]
TRANSPARENT = np.dstack([PICTURE, GRAY])
LOSSY, LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 80), (cv2.IMWRITE_WEBP_QUALITY, 101)
decode = tf.function(decode_upright, input_signature=[tf.TensorSpec((), tf.string)])


def encoded(suffix, picture=PICTURE, *settings):
    return cv2.imencode(suffix, picture, settings)[1].tobytes()


def patched(data, position, new):
    return data[:position] + new + data[position + len(new) :]


def tiff(order, entries, gap=0):
    """A TIFF directory of (tag, kind, count, value) as EXIF holds it."""
    data = b"II*\0" if order == "<" else b"MM\0*"
    data += struct.pack(order + "I", 8 + gap) + b"\0" * gap
    data += struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        data += struct.pack(order + "HHI", tag, kind, count)
        data += (
            struct.pack(order + "I", value) if kind == 4 else struct.pack(order + "HH", value, 0)
        )
    return data + b"\0" * 4


def with_exif(suffix, exif):
    """A picture file of `PICTURE` that carries an EXIF block."""
    data = encoded(suffix, PICTURE, *(LOSSLESS if suffix == ".webp" else ()))
    if suffix == ".jpg":
        segment = b"Exif\0\0" + exif
        # Another APP1, a fill byte and a marker without content stand before it.
        before = b"\xff\xe1\0\x08http\0\0" + b"\xff" + b"\xff\xd0"
        segment = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
        return data[:2] + before + segment + data[2:]
    if suffix == ".png":
        chunk = b"eXIf" + exif
        chunk = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return data[:33] + chunk + data[33:]
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + struct.pack("<HBHB", 52, 0, 36, 0)
    chunks += data[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


@pytest.mark.parametrize(
    "data",
    [
        encoded(".jpg"),
        encoded(".jpg", GRAY),
        encoded(".jpg", PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".jpg") + b"what a phone appends\xff\xda" * 9,
        encoded(".jpg")[:-2] + b"\xff\xe2\0\4ab\xff\xd1\xff\xff\xd9",
        encoded(".png"),
        encoded(".png", GRAY),
        encoded(".png", TRANSPARENT),
        encoded(".png", PICTURE.astype(np.uint16) * 257),
        encoded(".bmp"),
        encoded(".bmp", GRAY),
        encoded(".bmp", TRANSPARENT),
        encoded(".bmp") + b"trailing",
        patched(encoded(".bmp"), 22, struct.pack("<i", -37)),
        encoded(".webp", PICTURE, *LOSSY),
        encoded(".webp", PICTURE, *LOSSLESS),
        encoded(".webp", TRANSPARENT),
    ],
)
def test_pixels_are_those_of_images(data):
    np.testing.assert_array_equal(decode(data), images.decode_image(data))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(10))
def test_orientation_is_applied(suffix, orientation):
    order = "<>"[orientation % 2]
    data = with_exif(suffix, tiff(order, [(0x10F, 2, 3, 7), (0x112, 3, 1, orientation)]))
    expected = images.decode_image(data, "exif")
    assert expected.shape == ((53, 37, 3) if 5 <= orientation <= 8 else (37, 53, 3))
    np.testing.assert_array_equal(decode(data), expected)


def with_segments(suffix, count):
    """A picture file of so many segments or chunks, whose EXIF block says 6 and comes last."""
    data = with_exif(suffix, tiff(">", [(0x112, 3, 1, 6)]))
    if suffix == ".jpg":
        # All but the start, and the marker without content.
        own = sum(data.count(b"\xff" + bytes([marker])) for marker in range(0xC0, 0xF0)) - 2
        return data[:2] + b"\xff\xfe\0\2" * (count - own) + data[2:]
    text = struct.pack(">I", 3) + b"tEXta\0b" + struct.pack(">I", zlib.crc32(b"tEXta\0b"))
    own = sum(data.count(kind) for kind in (b"IHDR", b"IDAT", b"eXIf", b"IEND"))
    return data[:33] + text * (count - own) + data[33:]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_limit_of_segments_is_that_of_images(suffix):
    data = with_segments(suffix, MAX_SEGMENTS)
    expected = images.decode_image(data, "exif")
    assert expected.shape == (53, 37, 3)
    np.testing.assert_array_equal(decode(data), expected)
    data = with_segments(suffix, MAX_SEGMENTS + 1)
    with pytest.raises(images.ImageError, match="broken"):
        images.decode_image(data, "exif")
    with pytest.raises(tf.errors.InvalidArgumentError, match="truncated, broken"):
        decode(data)


@pytest.mark.parametrize("count", [1, 4094, 4095, 4096, 30_000])
@pytest.mark.parametrize("junk", [b"\0", b"\xff", b"\xff\0"])
def test_bytes_between_segments_are_no_segments(count, junk):
    data = with_exif(".jpg", tiff("<", [(0x112, 3, 1, 6)]))
    data = data[:12] + junk * count + data[12:]  # behind the first segment
    np.testing.assert_array_equal(decode(data), images.decode_image(data, "exif"))


entries = st.tuples(
    st.sampled_from([0x10F, 0x111, 0x112]),
    st.sampled_from([2, 3, 4]),
    st.sampled_from([1, 1, 1, 2]),
    st.integers(0, 10),
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from("<>"),
    st.lists(entries, max_size=3),
    st.integers(0, 5),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=2),
)
def test_orientation_of_damaged_blocks(order, entries, gap, damage):
    block = bytearray(tiff(order, entries, gap))
    for place, value in damage:
        block[place % len(block)] = value
    data = with_exif(".jpg", bytes(block))
    np.testing.assert_array_equal(decode(data), images.decode_image(data, "exif"))


def jpeg_of_size(width, height):
    data = encoded(".jpg")
    return patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def many_scans(count):
    data = encoded(".jpg", PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * (count - data.count(b"\xff\xda")) + data[-2:]


def png_of_size(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return patched(encoded(".png"), 12, header + struct.pack(">I", zlib.crc32(header)))


ANIMATED = b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0" + b"\2" + bytes(60)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "NO_BYTES"),
        (b"\xff\xd8\xff", "BROKEN"),
        (b"<html>" * 100, "NO_PICTURE"),
        (bytes(100), "NO_PICTURE"),
        (b"RIFF" + bytes(100), "NO_PICTURE"),
        (b"RIFFabcdWEBPVP8Z" + bytes(100), "NO_PICTURE"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "NO_PICTURE"),
        (b"\xff\xd8\xff" + bytes(100), "BROKEN"),
        (b"BM" + bytes(100), "BROKEN"),
        (encoded(".jpg")[:-2], "BROKEN"),
        (encoded(".png")[:-20], "BROKEN"),
        (encoded(".webp")[:-20], "BROKEN"),
        (encoded(".bmp")[:-20], "BROKEN"),
        (patched(encoded(".bmp"), 28, b"\x0c"), "BROKEN"),
        (encoded(".jpg")[:-2] + b"\xff\x02\xff\xd9", "BROKEN"),
        (jpeg_of_size(0, 20), "BROKEN"),
        (png_of_size(0, 20), "BROKEN"),
        (jpeg_of_size(10000, 5001), "TOO_MANY_PIXELS"),
        (jpeg_of_size(65000, 65000), "TOO_MANY_PIXELS"),
        (png_of_size(10000, 5001), "TOO_MANY_PIXELS"),
        (png_of_size(2**31 - 1, 2**31 - 1), "TOO_MANY_PIXELS"),
        (png_of_size(2**32 - 1, 1), "TOO_MANY_PIXELS"),
        (patched(encoded(".bmp"), 18, struct.pack("<ii", 10000, -5001)), "TOO_MANY_PIXELS"),
        (patched(encoded(".bmp"), 18, struct.pack("<ii", 1, -(2**31))), "TOO_MANY_PIXELS"),
        (patched(encoded(".webp", PICTURE, *LOSSY), 26, b"\xff\x3f" * 2), "TOO_MANY_PIXELS"),
        (patched(encoded(".webp", PICTURE, *LOSSLESS), 21, b"\xff" * 4), "TOO_MANY_PIXELS"),
        (patched(with_exif(".webp", b""), 24, b"\xff" * 6), "BROKEN"),
        (jpeg_of_size(10000, 5000), "TOO_FEW_BYTES"),
        (png_of_size(10000, 5000), "TOO_FEW_BYTES"),
        (patched(encoded(".bmp"), 18, struct.pack("<ii", 10000, -5000)), "TOO_FEW_BYTES"),
        (patched(encoded(".webp", PICTURE, *LOSSY), 26, struct.pack("<HH", 7000, 7000)), "TOO_FEW"),
        (ANIMATED, "ANIMATED_WEBP"),
        (with_exif(".webp", b"") + b"ANMF" + bytes(4), "ANIMATED_WEBP"),
        (many_scans(101), "TOO_MANY_SCANS"),
    ],
)
def test_refusals_and_their_words_are_those_of_headers(data, words):
    text = next(text for name, text in vars(refusals).items() if name.startswith(words))
    with pytest.raises(images.ImageError) as error:
        images.decode_image(data)
    assert text in str(error.value)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        decode(data)
    assert f"[image_bytes: {text}]" in str(error.value)


def test_a_hundred_scans_are_read():
    np.testing.assert_array_equal(decode(many_scans(100)), images.decode_image(many_scans(100)))


def palette_bmp(bits, colours=0, os2=False, upwards=True):
    """A BMP (23 wide, 11 high) of random indices into a random palette."""
    rng = np.random.default_rng(bits)
    row = (23 * bits + 31) // 32 * 4
    pixels = rng.integers(0, 256, 11 * row, np.uint8)
    palette = rng.integers(0, 256, (colours or 2**bits) * (3 if os2 else 4), np.uint8)
    height = 11 if upwards else -11
    head = struct.pack("<IHHHH", 12, 23, 11, 1, bits)
    if not os2:
        head = struct.pack("<IiiHHIIiiII", 40, 23, height, 1, bits, 0, 0, 0, 0, colours, 0)
    start = 14 + len(head) + palette.nbytes
    file = b"BM" + struct.pack("<IHHI", 0, 0, 0, start) + head + palette.tobytes()
    rows = pixels.reshape(11, row)[:: -1 if upwards else 1]
    table = np.zeros((256, 3), np.uint8)
    table[: colours or 2**bits] = palette.reshape(-1, 3 if os2 else 4)[:, 2::-1]
    indices = np.unpackbits(rows, axis=1).reshape(11, -1, bits) @ (1 << np.arange(bits)[::-1])
    return file + pixels.tobytes(), table[indices[:, :23]]


@pytest.mark.parametrize(
    "kind",
    [
        {"bits": 1},
        {"bits": 4},
        {"bits": 8},
        {"bits": 1, "os2": True},
        {"bits": 4, "os2": True},
        {"bits": 8, "os2": True},
        {"bits": 4, "upwards": False},
        {"bits": 8, "upwards": False},
        {"bits": 4, "colours": 5},
        {"bits": 8, "colours": 200},
        {"bits": 1, "colours": 256},
    ],
)
@pytest.mark.parametrize("trailing", [b"", b"more"])
def test_palettes_of_bmps_are_looked_up(kind, trailing):
    data, expected = palette_bmp(**kind)
    np.testing.assert_array_equal(decode(data + trailing), expected)
    np.testing.assert_array_equal(images.decode_image(data + trailing), expected)


count = tf.function(declared_pixels, input_signature=[tf.TensorSpec((), tf.string)])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("size_wh", [(1, 1), (53, 37)])
def test_pixels_are_counted_without_decoding(suffix, size_wh):
    data = encoded(suffix, cv2.resize(PICTURE, size_wh))
    assert int(count(data)) == size_wh[0] * size_wh[1]


def test_counting_decodes_nothing_and_keeps_the_bounds():
    start = struct.pack(">HH", 1000, 4000).join([b"\xff\xd8\xff\xc0\0\x11\x08", b"\3" + bytes(9)])
    assert int(count(start + bytes(8000))) == 4_000_000  # no scan follows
    for data in (png_of_size(10000, 5001), png_of_size(0, 1), b"GIF89a" + bytes(100), b""):
        with pytest.raises(tf.errors.InvalidArgumentError, match="image_bytes"):
            count(data)


def test_only_fenced_operations_see_foreign_bytes():
    """The table of SECURITY.md names them all."""
    graph = decode.get_concrete_function().graph.as_graph_def()
    parts = [graph.node, *(function.node_def for function in graph.library.function)]
    prefixes = ("Decode", "Extract", "Parse", "String", "Substr", "Unicode", "Regex")
    found = {node.op for part in parts for node in part if node.op.startswith(prefixes)}
    expected = {"DecodeImage", "DecodeJpeg", "DecodePng", "DecodeRaw"}
    assert found == expected | {"Substr", "StringJoin", "StringLength"}
