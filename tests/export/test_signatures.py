"""The bounds of a request's pictures, which hold for the sum of them, and what merging may add."""

import zlib

import numpy as np
import pytest
import tensorflow as tf

from kptkit.export import signatures
from kptkit.export.signatures import MAX_PICTURES, MAX_REQUEST_PIXELS, checked_pictures
from kptkit.images.refusals import DEFLATE_BITS_PER_BYTE, MAX_PIXELS

# The batch of TF Serving's configuration, see `kptkit.export.server_files`.
MERGED = 8


def png_of_size(width, height):
    """A black and white PNG with enough bytes for its size, but no pixels that could be decoded."""
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    chunks = (
        (b"IHDR", sides + b"\1\0\0\0\0"),
        (b"IDAT", bytes(width * height // DEFLATE_BITS_PER_BYTE + 1)),
        (b"IEND", b""),
    )
    parts = [
        len(content).to_bytes(4, "big")
        + kind
        + content
        + zlib.crc32(kind + content).to_bytes(4, "big")
        for kind, content in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_merged_pictures_never_exceed_what_each_may_have():
    assert MERGED * MAX_PIXELS == MAX_REQUEST_PIXELS
    assert MERGED <= MAX_PICTURES


@pytest.mark.parametrize(
    ("sizes_wh", "fits"),
    [
        ([(1, 1)], True),
        ([(10_000, 5_000)] * 8, True),
        ([(10_000, 5_000)] * 8 + [(1, 1)], False),
        ([(5_000, 5_000)] * 16, True),
        ([(5_000, 5_000)] * 16 + [(2, 1)], False),
        ([(2_500, 1_250)] * 128, True),
        ([(2_500, 1_251)] * 128, False),
    ],
)
def test_the_pixels_of_all_files_are_bounded_by_their_headers(sizes_wh, fits):
    files = tf.constant([png_of_size(*size_wh) for size_wh in sizes_wh])
    check = tf.function(checked_pictures)
    if fits:
        assert check(files)[0].shape == (len(sizes_wh),)
        return
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 400,000,000 pixels in a r"):
        check(files)


@pytest.mark.parametrize(
    ("shape", "image_hw", "message"),
    [
        ((1, 1, 1), [(1, 1)], None),
        ((1, 10, 10), [(10, 10)], None),
        ((1, 10, 11), [(10, 11)], "more than .* in a picture"),
        ((1, 10, 11), [(10, 10)], None),
        # Merged, and padded to the sides of both.
        ((2, 50, 50), [(50, 2), (2, 50)], None),
        ((8, 10, 10), [(10, 10)] * 8, None),
        ((9, 10, 10), [(10, 10)] * 8 + [(1, 1)], "in a request"),
        ((2, 10, 10), [(10, 10), (0, 10)], "no pixels"),
        ((2, 10, 10), [(10, 10), (10, 11)], "fewer than image_hw"),
        ((1, 10, 10), [(-10, -10)], "no pixels"),
        # A product of 2 ** 62 - 2 ** 32 + 1, and one that would be 1 in 32 bits.
        ((1, 10, 10), [(2**31 - 1, 2**31 - 1)], "fewer than image_hw"),
        ((1, 10, 10), [(-(2**31), -(2**31))], "no pixels"),
    ],
)
def test_the_pixels_of_pictures_are_bounded_by_what_is_no_padding(
    monkeypatch, shape, image_hw, message
):
    monkeypatch.setattr(signatures, "MAX_PIXELS", 100)
    monkeypatch.setattr(signatures, "MAX_REQUEST_PIXELS", 800)
    arguments = tf.zeros((*shape, 3), tf.uint8), tf.constant(np.int32(image_hw))
    check = tf.function(checked_pictures)
    if message is None:
        assert check(*arguments)[0].shape == (*shape, 3)
        return
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        check(*arguments)
