"""Crops of the windows that a cascade finds in a picture."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from kptkit import images
from kptkit.data.mining.crops import CropKind, FacePart, mine_part
from kptkit.data.mining.hard import DETECTIONS, hard_crops, mine_in_threads
from kptkit.data.mining.settings import HardMiningConfig, LandmarkConfig
from kptkit.geometry.face_windows import box_offsets
from kptkit.samples import FaceSamples

NOTHING = HardMiningConfig(
    positives_per_face=0, parts_per_face=0, landmarks=LandmarkConfig(landmarks_per_face=0)
)
# One usable face, one ignored, one too small.
FACES = FaceSamples(
    image_paths=("a.png",),
    image_index=np.zeros(3, np.int64),
    boxes_xyxy=np.array([[40, 40, 80, 80], [120, 20, 150, 50], [10, 90, 22, 102]], np.float32),
    ignored=np.array([False, True, False]),
    landmarks=np.full((3, 5, 2), np.nan, np.float32),
    complete=True,
)
FACES.landmarks[0] = [[50, 55], [70, 55], [60, 62], [52, 70], [68, 70]]
# Detected windows, and the kind of crop that each gives.
FOUND = [
    ((40, 40, 80, 80), CropKind.POSITIVE),
    ((44, 36, 84, 76), CropKind.POSITIVE),  # 36 * 36 / (2 * 1600 - 36 * 36) = 0.68
    ((52, 40, 92, 80), CropKind.PART),  # 0.54
    ((60, 40, 100, 80), None),  # 0.33
    ((70, 70, 110, 110), CropKind.NEGATIVE),
    ((-20, -20, 20, 20), CropKind.NEGATIVE),
    ((122, 22, 148, 48), None),  # the ignored face
    ((8, 88, 28, 108), None),  # on a face that is too small
    ((150, 80, 169, 99), None),  # under 20 px
    ((150, 80, 190, 120), CropKind.NEGATIVE),
]
WINDOWS = np.array([window for window, _ in FOUND], np.float32)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)


def mined(image, faces=FACES, windows=WINDOWS, size=24, **changes):
    rng = np.random.default_rng(1)
    return hard_crops(image, faces, rng, lambda _: windows, replace(NOTHING, **changes), size)


def test_nothing_found_on_a_picture_without_faces(image):
    crops, notes = mined(image, FACES.select([]), np.zeros((0, 4), np.float32))
    assert len(crops) == 0
    assert crops.images.shape == (0, 24, 24, 3)
    assert notes[DETECTIONS] == 0


@pytest.mark.parametrize("size", [24, 48])
def test_windows_are_labelled_by_their_overlap_with_the_truth(image, size):
    crops, notes = mined(image, size=size)
    expected = [(window, kind) for window, kind in FOUND if kind is not None]
    assert crops.kinds.tolist() == [kind for _, kind in expected]
    assert notes[DETECTIONS] == len(FOUND) - 1
    for row, (window, kind) in enumerate(expected):
        if kind == CropKind.NEGATIVE:
            assert np.isnan(crops.boxes[row]).all()
        else:
            offsets = box_offsets(FACES.boxes_xyxy[0], np.array(window, np.float32))
            np.testing.assert_allclose(crops.boxes[row], offsets)
    assert crops.images.shape[1:] == (size, size, 3)
    beyond = crops.images[[window for window, _ in expected].index((-20, -20, 20, 20))]
    assert not beyond[: size // 2 - 1].any()
    assert beyond[size // 2 + 1 :, size // 2 + 1 :].any()


def test_the_surest_negatives_are_kept(image):
    crops, _ = mined(image, negatives_per_image=2)
    everything, _ = mined(image)
    negatives = everything.images[everything.kinds == CropKind.NEGATIVE]
    np.testing.assert_array_equal(crops.images[crops.kinds == CropKind.NEGATIVE], negatives[:2])
    assert (crops.kinds != CropKind.NEGATIVE).sum() == 3


def test_random_windows_feed_faces_that_nothing_found(image):
    nothing = np.zeros((0, 4), np.float32)
    crops, _ = mined(image, windows=nothing, positives_per_face=6, parts_per_face=4)
    kinds = crops.kinds.tolist()
    assert (kinds.count(CropKind.POSITIVE), kinds.count(CropKind.PART)) == (6, 4)
    assert len(kinds) == 10


def test_a_list_that_may_lack_faces_gives_landmark_crops_alone(image):
    def detector(_):
        raise AssertionError("the detector must not be called")

    config = replace(NOTHING, landmarks=LandmarkConfig(landmarks_per_face=5))
    faces = replace(FACES, complete=False)
    crops, _ = hard_crops(image, faces, np.random.default_rng(0), detector, config, 24)
    assert crops.kinds.tolist() == [CropKind.LANDMARK] * 5
    assert np.isfinite(crops.landmarks).all()


def test_threads_give_what_one_after_another_gives(image, tmp_path):
    paths = []
    for number in range(5):
        paths.append(str(tmp_path / f"{number}.png"))
        images.write_image(paths[-1], np.roll(image, number, axis=1))
    (tmp_path / "3.png").write_bytes(b"")
    samples = replace(FACES.select([0] * 5), image_paths=tuple(paths), image_index=np.arange(5))
    part = FacePart(7, samples)
    mine_image = partial(hard_crops, detector=lambda _: WINDOWS, config=HardMiningConfig(), size=24)
    expected = list(mine_part(part, mine_image, 12, seed=3))
    with ThreadPoolExecutor(3) as pool:
        found = list(mine_in_threads(part, mine_image, 3, pool))
    assert [picture.number for picture in found] == [7, 8, 9, 10, 11]
    assert [picture.skipped for picture in found] == ["", "", "", "empty", ""]
    for one, other in zip(found, expected, strict=True):
        assert (one.path, one.number, one.notes) == (other.path, other.number, other.notes)
        if one.crops is not None:
            for name in ("kinds", "images", "boxes", "landmarks"):
                np.testing.assert_array_equal(getattr(one.crops, name), getattr(other.crops, name))
