"""A box decoded from a JPEG equals the same box of the whole picture."""

import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from support.picture_files import saved

from kptkit import images
from kptkit.data.records.sources import ImageSource, decode_jpeg_box

SAMPLING = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "411": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}


def picture(channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, channels)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 1)


def jpeg(image: np.ndarray, *settings: int) -> bytes:
    return cv2.imencode(".jpg", image, [*settings])[1].tobytes()


def with_exif(data: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds one tag."""
    tag = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    content = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + tag + bytes(4)
    return data[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + data[2:]


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("channels", [1, 3])
def test_part_equals_the_same_part_of_the_whole(channels, sampling):
    data = jpeg(picture(channels), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[sampling])
    whole = images.decode_image(data)
    rng = np.random.default_rng(1)
    for _ in range(40):
        left, top = rng.integers(0, [120, 90])
        right, bottom = rng.integers([left, top], [120, 90]) + 1
        part = decode_jpeg_box(data, (left, top, right, bottom), (120, 90), "stored")
        np.testing.assert_array_equal(part, whole[top:bottom, left:right])


ALL = (0, 0, 120, 90)
SOUND = jpeg(picture())


@pytest.mark.parametrize(
    ("data", "image_wh", "orientation"),
    [
        (b"", (120, 90), "stored"),
        (b"<html>", (120, 90), "stored"),
        (cv2.imencode(".png", picture())[1].tobytes(), (120, 90), "stored"),
        (SOUND[: len(SOUND) // 2], (120, 90), "stored"),
        (SOUND, (90, 120), "stored"),
        (with_exif(SOUND, 6), (120, 90), "exif"),
        # Where its scans are damaged, libjpeg smooths a part otherwise than the whole.
        (jpeg(picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (120, 90), "stored"),
        # TensorFlow converts it by another formula than OpenCV.
        (saved(Image.fromarray(picture()).convert("CMYK"), "JPEG"), (120, 90), "stored"),
    ],
    ids=["empty", "html", "png", "truncated", "other size", "turned", "progressive", "CMYK"],
)
def test_all_else_is_left_to_decode_image(data, image_wh, orientation):
    assert decode_jpeg_box(data, ALL, image_wh, orientation) is None


@pytest.mark.parametrize("orientation", ["stored", "exif"])
def test_an_upright_picture_needs_no_turning(orientation):
    found = decode_jpeg_box(with_exif(SOUND, 1), ALL, (120, 90), orientation)
    np.testing.assert_array_equal(found, images.decode_image(SOUND))


@pytest.mark.parametrize("turn", [1, 2, 3, 4, 5, 6, 7, 8])
def test_turned_pictures_are_read_upright(persons, turn):
    path = persons.image_paths[0]
    data = with_exif(images.read_bytes(path), turn)
    with open(path, "wb") as file:
        file.write(data)
    upright = images.decode_image(data, "exif")
    image_wh = persons.image_wh.copy()
    image_wh[0] = upright.shape[1], upright.shape[0]
    source = ImageSource(replace(persons, orientation="exif", image_wh=image_wh))
    np.testing.assert_array_equal(source.read(0, (9, 5, 77, 60)), upright[5:60, 9:77])


def test_a_picture_of_another_size_than_annotated_is_refused(persons):
    source = ImageSource(replace(persons, image_wh=persons.image_wh - 1))
    with pytest.raises(images.ImageError, match=r"0\.jpg: .*\[200, 150\].*\[199, 149\]") as error:
        source.read(0, (0, 0, 10, 10))
    assert error.value.reason == "other size"
