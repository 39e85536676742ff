from dataclasses import replace

import numpy as np
import pytest

from kptkit import images
from kptkit.data.mining.crops import CropKind
from kptkit.data.mining.pnet import pnet_crops
from kptkit.data.mining.settings import LandmarkConfig, PnetMiningConfig, WindowCounts

CONFIG = PnetMiningConfig(
    windows=WindowCounts(20, 4, 3, 2), landmarks=LandmarkConfig(landmarks_per_face=5)
)


def mine(faces, place, config=CONFIG):
    image = images.read_image(faces.image_paths[place])
    own = faces.select_images([place])
    crops, notes = pnet_crops(image, own, np.random.default_rng(0), config)
    counts = {kind.label: int((crops.kinds == kind).sum()) for kind in CropKind}
    return crops, counts, notes


def place_of(faces, count):
    """The first picture with that many faces, none of them ignored."""
    own = [faces.of_image(place) for place in range(len(faces.image_paths))]
    return next(
        place for place, f in enumerate(own) if len(f) == count and not faces.ignored[f].any()
    )


@pytest.mark.parametrize("count", [0, 1, 2])
def test_counts_follow_the_faces(shared_faces, count):
    crops, counts, notes = mine(shared_faces, place_of(shared_faces, count))
    assert crops.images.shape[1:] == (12, 12, 3)
    assert counts["negative"] == 20 + 4 * count
    for kind, wanted in (("positive", 3), ("part", 2)):
        assert counts[kind] + notes[f"{kind} crops not found"] == wanted * count
    assert counts["landmark"] == 5 * count
    assert notes["faces"] == count
    known = np.isfinite(crops.boxes).all(axis=1)
    np.testing.assert_array_equal(known, crops.kinds != CropKind.NEGATIVE)


def test_pictures_of_incomplete_lists_give_landmark_crops_alone(shared_faces):
    incomplete = replace(shared_faces, complete=False)
    _, counts, _ = mine(incomplete, place_of(shared_faces, 1))
    assert counts == {"positive": 0, "negative": 0, "part": 0, "landmark": 5}


def test_small_and_ignored_faces_are_neither_learned_nor_background(shared_faces):
    place = place_of(shared_faces, 1)
    small = PnetMiningConfig(min_face_size=100, windows=CONFIG.windows, landmarks=CONFIG.landmarks)
    _, counts, notes = mine(shared_faces, place, small)
    assert (counts["positive"], counts["part"], counts["negative"]) == (0, 0, 20)
    assert notes["faces too small"] == 1
    ignored = replace(shared_faces, ignored=np.ones(len(shared_faces), bool))
    _, counts, notes = mine(ignored, place)
    assert (counts["positive"], counts["part"], counts["landmark"]) == (0, 0, 0)
    assert notes["faces flagged as invalid"] == 1
