from pathlib import Path

import numpy as np
import pytest

from kptkit import images
from kptkit.data.mining import crops as crops_module
from kptkit.data.mining.crops import Crops, concatenate, mine_part, no_crops, split_into_parts
from kptkit.errors import InputError
from kptkit.samples import FaceSamples


def empty_set(num_images):
    return FaceSamples(
        image_paths=tuple(f"{n}.jpg" for n in range(num_images)),
        image_index=np.zeros(0, np.int64),
        boxes_xyxy=np.zeros((0, 4), np.float32),
        ignored=np.zeros(0, bool),
        landmarks=np.zeros((0, 5, 2), np.float32),
        complete=True,
    )


def make_crops(count, size=4):
    rng = np.random.default_rng(count)
    return Crops(
        rng.integers(-2, 2, count).astype(np.int8),
        rng.integers(0, 256, (count, size, size, 3)).astype(np.uint8),
        rng.random((count, 4), np.float32),
        rng.random((count, 10), np.float32),
    )


@pytest.mark.parametrize("counts", [(0,), (0, 3), (2, 3)])
def test_concatenate(counts):
    groups = [make_crops(count) for count in counts]
    together = concatenate(groups)
    assert len(together) == sum(counts)
    np.testing.assert_array_equal(together.images, np.concatenate([g.images for g in groups]))
    np.testing.assert_array_equal(together.kinds, np.concatenate([g.kinds for g in groups]))


def test_select():
    crops = make_crops(5)
    assert len(crops.select(crops.kinds > 9)) == 0
    np.testing.assert_array_equal(crops.select(np.array([3, 0])).boxes, crops.boxes[[3, 0]])
    assert no_crops(12).images.shape == (0, 12, 12, 3)


def test_more_crops_than_ids_are_refused(monkeypatch):
    monkeypatch.setattr(crops_module, "IDS_PER_IMAGE", 5)
    make_crops(5)
    with pytest.raises(InputError, match="6 crops of one picture"):
        make_crops(6)


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        ([], []),
        ([0], []),
        ([1], [1]),
        ([16, 5], [16, 5]),
        ([40], [16, 16, 8]),
        ([3200], [100] * 32),
        ([3201], [101] * 31 + [70]),
    ],
)
def test_divide(counts, sizes):
    parts = split_into_parts([empty_set(count) for count in counts])
    assert [len(part) for part in parts] == sizes
    assert [part.first_number for part in parts] == np.cumsum([0, *sizes])[:-1].tolist()
    names = [path for part in parts for path in part.samples.image_paths]
    assert names == [f"{n}.jpg" for count in counts for n in range(count)]


def pixel_and_number(image, faces, rng):
    """One crop for each face, and notes that identify the picture and its random numbers."""
    kinds = np.zeros(len(faces), np.int8)
    nothing = np.zeros((len(faces), 4), np.float32), np.zeros((len(faces), 10), np.float32)
    crops = Crops(kinds, np.zeros((len(faces), 1, 1, 3), np.uint8), *nothing)
    return crops, {"pixel": int(image[0, 0, 0]), "random": int(rng.integers(2**31))}


def test_pictures_are_mined_by_their_numbers(faces):
    whole = [
        m
        for part in split_into_parts([faces])
        for m in mine_part(part, pixel_and_number, 12, seed=3)
    ]
    assert [m.number for m in whole] == list(range(40))
    for mined in whole:
        assert len(mined.crops) == len(faces.of_image(mined.number))
        picture = images.read_image(faces.image_paths[mined.number])
        assert mined.notes["pixel"] == picture[0, 0, 0]
        expected = np.random.default_rng((3, mined.number)).integers(2**31)
        assert mined.notes["random"] == expected
    assert sum(len(mined.crops) for mined in whole) == len(faces)


def test_unusable_pictures_say_why(faces):
    Path(faces.image_paths[0]).write_bytes(b"<html>")
    Path(faces.image_paths[1]).unlink()
    images.write_image(faces.image_paths[2], np.zeros((40, 11, 3), np.uint8))
    images.write_image(faces.image_paths[3], np.zeros((12, 12, 3), np.uint8))
    (part, *_) = split_into_parts([faces])
    mined = list(mine_part(part, pixel_and_number, 12, seed=0))
    assert [m.skipped for m in mined[:5]] == ["not an image", "missing", "", "", ""]
    assert [m.crops is None for m in mined[:5]] == [True, True, True, False, False]
    assert mined[2].notes == {"pictures under 12 px": 1}
