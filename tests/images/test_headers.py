"""What headers refuse, and what decoders are given: by files made for it."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from support.picture_files import chunk, png, saved, with_frame_size

from kptkit import images
from kptkit.images import headers
from kptkit.images.headers import ImageError

HEIGHT, WIDTH = 80, 120
PICTURE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
RGB = Image.fromarray(PICTURE)


JPEG = saved(RGB, "JPEG", quality=95)


def test_texts_of_a_png_are_not_unfolded():
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(7_900_000), 9))
    data = png(8, 8, *[text] * 50, rows=8)
    assert text not in headers.check_file(data).decodable
    assert images.decode_image(data).shape == (8, 8, 3)


def test_a_still_png_is_made_of_what_decoders_need():
    """The first frame of the animation is not the still picture."""
    frame = struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 1, 0, 0)
    animated = chunk(b"acTL", struct.pack(">II", 2, 0))
    data = png(8, 8, animated, chunk(b"fcTL", frame), chunk(b"tEXt", b"a\0b"), rows=8)
    assert headers.check_file(data).decodable == png(8, 8, rows=8)


OTHER = Image.fromarray(255 - PICTURE)
ANIMATED = saved(RGB, "WEBP", lossless=True, save_all=True, append_images=[OTHER], duration=50)


def still_webp(*chunks: bytes, flags: int = 0) -> bytes:
    """A WebP with an extended header and other chunks beside its picture."""
    still = saved(RGB, "WEBP", lossless=True)[12:]
    size = struct.pack("<HBHB", WIDTH - 1, 0, HEIGHT - 1, 0)
    content = b"VP8X" + struct.pack("<II", 10, flags) + size + b"".join(chunks) + still
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content


ANIMATIONS = {
    "animated": ANIMATED,
    "flag alone": still_webp(flags=2),
    "ANIM alone": still_webp(b"ANIM" + struct.pack("<I", 6) + bytes(6)),
    "ANMF alone": still_webp(b"ANMF" + struct.pack("<I", 16) + bytes(16)),
    "ANMF behind the picture": still_webp() + b"ANMF" + struct.pack("<I", 16) + bytes(16),
    "without its flag": ANIMATED[:20] + bytes([ANIMATED[20] & ~2]) + ANIMATED[21:],
    "cut behind the flag": ANIMATED[:60],
}


@pytest.mark.parametrize("name", ANIMATIONS)
def test_animated_webps_are_refused_before_they_are_decoded(name, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError, match=r"^an animated WebP; save one frame") as error:
        images.decode_image(ANIMATIONS[name])
    assert error.value.reason == "animated"


def test_decoders_see_a_webp_of_one_chunk():
    still = saved(RGB, "WEBP", lossless=True)
    for data in (still, still_webp(), still_webp(b"ICCP\3\0\0\0abc\0")):
        checked = headers.check_file(data)
        assert checked.decodable == still + bytes(32)
        np.testing.assert_array_equal(images.decode_image(data), PICTURE)


# The most pixels a byte that each format holds, of one colour, where arithmetic bounds it.
SMALL = saved(RGB.resize((8, 8)), "JPEG")
SOLID = Image.new("RGB", (8000, 6000), (200, 100, 50))


@pytest.mark.parametrize(
    "data",
    [
        saved(SOLID, "JPEG"),
        saved(SOLID, "JPEG", optimize=True),
        saved(SOLID, "JPEG", progressive=True),
        saved(SOLID.convert("L"), "JPEG", progressive=True),
        saved(SOLID, "PNG", compress_level=9),
        saved(SOLID.convert("1"), "PNG", compress_level=9),
        saved(SOLID.resize((2000, 2000)), "WEBP", lossless=True),
        saved(SOLID.resize((4000, 3000)), "WEBP", quality=10),
    ],
)
def test_honest_pictures_of_one_colour_are_read(data):
    assert images.image_size_wh(data)[0] >= 2000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            with_frame_size(JPEG, 10_000, 5_000),
            "10000 x 5000 pixels in [0-9,]+ bytes: too few bytes for",
        ),
        (with_frame_size(SMALL, 512 * len(SMALL) // 800 + 1, 800), "too few"),
        (png(10_000, 5_000), "too few bytes for so many pixels"),
        (saved(SOLID, "WEBP", lossless=True), "too few"),
        (saved(SOLID.resize((800, 600)), "BMP")[:-6000], "too few"),
    ],
)
def test_more_pixels_than_bytes_can_hold_are_refused(data, words, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError, match=words) as error:
        images.decode_image(data)
    assert error.value.reason == "broken"


def test_the_bound_of_a_jpeg_is_sharp():
    width = 512 * len(SMALL) // 800
    assert images.image_size_wh(with_frame_size(SMALL, width, 800)) == (width, 800)


def jpeg_with(*segments: bytes, at: int = -2) -> bytes:
    """A baseline JPEG with more segments, by default before its end."""
    return JPEG[:at] + b"".join(segments) + JPEG[at:]


COMMENT, TABLE = b"\xff\xfe\0\3c", JPEG[JPEG.index(b"\xff\xdb") :][:69]


@pytest.mark.parametrize(
    ("data", "sound"),
    [
        (JPEG, True),
        (jpeg_with(COMMENT), True),
        (jpeg_with(b"\xff\xe2\0\4ab"), True),
        (jpeg_with(b"\xff\xd3"), True),  # a restart too many
        (jpeg_with(b"\xff\xff\xff"), True),  # filling
        (jpeg_with(b"\xff\xd8\xff\xd9" * 9, at=len(JPEG)), True),  # what follows the end
        (jpeg_with(TABLE, at=2), True),
        (jpeg_with(b"\xff\x02\0\2", at=2), False),
        (jpeg_with(b"\xff\xd9", at=2), False),
        (jpeg_with(b"\xff\xd8", at=2), False),
        (jpeg_with(b"\xff\xfe\0\1", at=2), False),
        (jpeg_with(TABLE), False),  # behind the only scan
        (jpeg_with(b"\xff\x3a"), False),
        (jpeg_with(b"\xff\xf3\0\2"), False),
        (jpeg_with(b"\xff\xd8"), False),
        (jpeg_with(b"\xff\xfe\xff\xff"), False),  # longer than the file
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3"), False),  # lossless
        (JPEG.replace(b"\xff\xc0", b"\xff\xc9"), False),  # arithmetic
        (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), False),  # 12 bits
    ],
)
def test_segments_of_a_jpeg_are_in_order(data, sound):
    if sound:
        np.testing.assert_array_equal(images.decode_image(data), images.decode_image(JPEG))
        return
    with pytest.raises(ImageError, match=r"^truncated, broken or of a rare kind"):
        headers.read_header(data)


def test_scans_are_bounded_by_their_pixels():
    """Twenty scans of the largest picture, a hundred of a small one."""
    data = saved(RGB, "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    own = data.count(b"\xff\xda")
    assert headers.read_header(data[:-2] + scan * (100 - own) + data[-2:]).size_wh == (120, 80)
    many = data[:-2] + scan * (101 - own) + data[-2:]
    frame = data.index(b"\xff\xc2")
    large = data[: frame + 5] + struct.pack(">HH", 5000, 10_000) + data[frame + 9 : -2]
    large += b"\xff\xfe\xff\xff" + bytes(65533)
    large += b"\xff\xfe\xff\xff" + bytes(65533)
    assert headers.read_header(large + scan * (20 - own) + data[-2:]).size_wh == (10_000, 5000)
    for refused in (many, large + scan * (21 - own) + data[-2:]):
        with pytest.raises(ImageError, match="a JPEG of more than 100 scans, or of many") as error:
            headers.read_header(refused)
        assert error.value.reason == "too large"
