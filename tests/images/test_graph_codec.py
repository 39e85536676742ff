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
        encoded(".png"),
        encoded(".png", GRAY),
        encoded(".png", TRANSPARENT),
        encoded(".png", PICTURE.astype(np.uint16) * 257),
        encoded(".bmp"),
        encoded(".bmp", GRAY),
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
    with pytest.raises(tf.errors.InvalidArgumentError, match="with more than 10,000"):
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


def png_of_size(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return patched(encoded(".png"), 12, header + struct.pack(">I", zlib.crc32(header)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a file of less than"),
        (b"\xff\xd8\xff", "a file of less than"),
        (b"<html>" * 100, "not a picture"),
        (b"GIF89a" + b"\1\0" * 100, "not a picture"),
        (bytes(100), "not a picture"),
        (b"\xff\xd8\xff" + bytes(100), "Invalid JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no pixels"),
        (b"BM" + bytes(100), "no pixels"),
        (b"RIFF" + bytes(100), "no pixels"),
        (b"RIFF" + b"\1" * 100, "Unknown image file format"),
        (encoded(".jpg")[:-2], "Invalid JPEG"),
        (encoded(".png")[:-20], "PNG"),
        (encoded(".webp")[:-20], "WebP"),
        (encoded(".bmp")[:-20], "bmp"),
        (jpeg_of_size(0, 20), "Invalid JPEG"),
        (jpeg_of_size(10000, 5001), "50,000,000"),
        (jpeg_of_size(65000, 65000), "50,000,000"),
        (png_of_size(10000, 5001), "50,000,000"),
        (png_of_size(2**31 - 1, 2**31 - 1), "50,000,000"),
        (png_of_size(2**32 - 1, 1), "50,000,000"),
        (patched(encoded(".bmp"), 18, struct.pack("<ii", 10000, -5001)), "50,000,000"),
        (patched(encoded(".bmp"), 18, struct.pack("<ii", 1, -(2**31))), "50,000,000"),
        (patched(encoded(".webp", PICTURE, *LOSSY), 26, b"\xff\x3f" * 2), "50,000,000"),
        (patched(encoded(".webp", PICTURE, *LOSSLESS), 21, b"\xff" * 4), "50,000,000"),
        (patched(with_exif(".webp", b""), 24, b"\xff" * 6), "50,000,000"),
        (encoded(".jpg", np.zeros((2000, 2000, 3), np.uint8)) + b"\xff\xda" * 1300, "scans"),
    ],
)
def test_the_rest_is_refused(data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(data)


count = tf.function(declared_pixels, input_signature=[tf.TensorSpec((), tf.string)])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("size_wh", [(1, 1), (53, 37)])
def test_pixels_are_counted_without_decoding(suffix, size_wh):
    data = encoded(suffix, cv2.resize(PICTURE, size_wh))
    assert int(count(data)) == size_wh[0] * size_wh[1]


def test_counting_decodes_nothing_and_keeps_the_bounds():
    assert int(count(png_of_size(4000, 1000))) == 4_000_000
    for data in (png_of_size(10000, 5001), png_of_size(0, 1), b"GIF89a" + bytes(100), b""):
        with pytest.raises(tf.errors.InvalidArgumentError, match="image_bytes"):
            count(data)
