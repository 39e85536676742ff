from dataclasses import replace

import numpy as np
import pytest

from kptkit import images
from kptkit.data.picture_sizes import with_readable_images
from kptkit.errors import InputError
from kptkit.samples import KeypointSamples
from kptkit.skeletons.schema import KeypointSchema

SCHEMA = KeypointSchema(("nose",), (), (), (0.1,))


def jpeg(width, height, exif):
    """A JPEG with this EXIF orientation (tag 0x112)."""
    plain = images.encode_jpeg(np.zeros((height, width, 3), np.uint8))
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([exif]) + b"\0" * 7
    segment = b"Exif\0\0" + tiff
    return plain[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]


def samples_on(folder, pictures):
    """One person on each picture, given as (file content or None, stated size)."""
    for number, (content, _) in enumerate(pictures):
        if content is not None:
            (folder / f"{number}.jpg").write_bytes(content)
    count = len(pictures)
    return KeypointSamples(
        schema=SCHEMA,
        image_paths=tuple(str(folder / f"{number}.jpg") for number in range(count)),
        image_ids=np.arange(count) + 100,
        image_wh=np.array([size for _, size in pictures], np.int32),
        image_index=np.arange(count),
        sample_ids=np.arange(count),
        boxes_xyxy=np.zeros((count, 4), np.float32),
        keypoints=np.zeros((count, 1, 3), np.float32),
        box_scores=np.ones(count, np.float32),
    )


PLAIN, LYING, TURNED, SQUARE = jpeg(8, 6, 1), jpeg(8, 6, 6), jpeg(8, 6, 3), jpeg(8, 8, 6)


@pytest.mark.parametrize(
    ("pictures", "orientation", "expected", "notices"),
    [
        ([(PLAIN, (8, 6))], "auto", "stored", 0),
        ([(PLAIN, (8, 6)), (LYING, (8, 6))], "auto", "stored", 0),
        ([(PLAIN, (8, 6)), (LYING, (6, 8)), (TURNED, (8, 6))], "auto", "exif", 0),
        ([(LYING, (8, 6)), (TURNED, (8, 6))], "auto", "stored", 0),
        ([(TURNED, (8, 6)), (SQUARE, (8, 8))], "auto", "stored", 1),
        ([(TURNED, (8, 6))], "exif", "exif", 0),
        ([(LYING, (6, 8))], "exif", "exif", 0),
        ([(LYING, (8, 6))], "stored", "stored", 0),
    ],
)
def test_stated_sizes_tell_the_orientation(tmp_path, pictures, orientation, expected, notices):
    lines = []
    samples = with_readable_images(
        samples_on(tmp_path, pictures), orientation, "X.json", lines.append
    )
    assert samples.orientation == expected
    assert len(lines) == notices
    width, height = samples.image_wh[0]
    read = images.read_image(samples.image_paths[0], samples.orientation)
    assert read.shape == (height, width, 3)


@pytest.mark.parametrize(
    ("pictures", "orientation", "message"),
    [
        ([(PLAIN, (8, 6)), (PLAIN, (9, 6))], "auto", r"id 101\): 9x6 is stated.* as 8x6;"),
        ([(PLAIN, (6, 8))], "auto", "6x8 is stated"),
        ([(LYING, (7, 8))], "auto", r"8x6 \(displayed as 6x8"),
        ([(LYING, (8, 6)), (LYING, (6, 8))], "auto", "1 sizes .* as stored, 1 after|1 those after"),
        ([(LYING, (6, 8))], "stored", "6x8 is stated"),
        ([(LYING, (8, 6)), (LYING, (8, 6))], "exif", "and 1 more"),
        ([(None, (8, 6))], "auto", r"0.jpg: missing; is this the right folder of images\?"),
        ([(b"<html>", (8, 6)), (PLAIN[:-9], (8, 6))], "auto", "as are all 2 pictures"),
        ([(None, (8, 6))] * 25, "auto", "missing, as are all 25 pictures of X.json; is this the"),
    ],
)
def test_contradictions_are_refused(tmp_path, pictures, orientation, message):
    with pytest.raises(InputError, match=message):
        with_readable_images(samples_on(tmp_path, pictures), orientation, "X.json", print)


def test_unreadable_pictures_are_left_out_and_counted(tmp_path):
    pictures = [(None, (8, 6)), (PLAIN, (8, 6)), (b"", (8, 6)), (PLAIN, (8, 6))]
    before = samples_on(tmp_path, pictures)
    before = replace(before, image_index=np.array([3, 0, 1, 2]))
    lines = []
    after = with_readable_images(before, "auto", "X.json", lines.append)
    assert after.sample_ids.tolist() == [0, 2]
    assert [after.image_paths[i] for i in after.image_index] == [
        before.image_paths[3],
        before.image_paths[1],
    ]
    assert after.image_ids.tolist() == [101, 103]
    assert lines == ["X.json: left out: 2 pictures (1 missing, 1 empty)"]


@pytest.mark.parametrize(("num_missing", "num_good", "stops"), [(10, 1, False), (11, 1, True)])
def test_more_than_ten_unreadable_pictures_stop(tmp_path, num_missing, num_good, stops):
    pictures = [(None, (8, 6))] * num_missing + [(PLAIN, (8, 6))] * num_good
    samples = samples_on(tmp_path, pictures)
    if stops:
        with pytest.raises(InputError, match="11 unusable pictures"):
            with_readable_images(samples, "auto", "X.json", lambda _: None)
    else:
        assert len(with_readable_images(samples, "auto", "X.json", lambda _: None)) == num_good
