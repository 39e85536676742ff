import numpy as np
import pytest

from kptkit.samples import FaceSamples, KeypointSamples
from kptkit.skeletons.known import COCO_17


@pytest.mark.parametrize("has_lengths", [False, True])
@pytest.mark.parametrize("indices", [[], [1], [2, 0, 2]])
def test_select_takes_persons_and_keeps_images(indices, has_lengths):
    samples = KeypointSamples(
        schema=COCO_17,
        image_paths=("a.jpg", "b.jpg"),
        image_ids=np.array([7, 8]),
        image_wh=np.array([[4, 3], [6, 5]], np.int32),
        image_index=np.array([0, 1, 1]),
        sample_ids=np.array([10, 11, 12]),
        boxes_xyxy=np.arange(12, dtype=np.float32).reshape(3, 4),
        keypoints=np.arange(3 * 17 * 3, dtype=np.float32).reshape(3, 17, 3),
        box_scores=np.array([0.1, 0.2, 0.3], np.float32),
        orientation="exif",
        protocol="pckh",
        reference_lengths=np.array([5, 6, 7], np.float32) if has_lengths else None,
    )
    chosen = samples.select(indices)
    assert chosen.protocol == "pckh"
    if has_lengths:
        assert chosen.reference_lengths.tolist() == [5.0 + index for index in indices]
    else:
        assert chosen.reference_lengths is None
    assert len(chosen) == len(indices)
    assert chosen.sample_ids.tolist() == [10 + index for index in indices]
    assert chosen.image_index.tolist() == [[0, 1, 1][index] for index in indices]
    assert chosen.boxes_xyxy[:, 0].tolist() == [4.0 * index for index in indices]
    assert chosen.keypoints.shape == (len(indices), 17, 3)
    assert chosen.image_paths == samples.image_paths
    assert chosen.orientation == "exif"
    assert len(samples) == 3


def make_faces(image_index, num_images=3):
    count = len(image_index)
    return FaceSamples(
        image_paths=tuple(f"{n}.jpg" for n in range(num_images)),
        image_index=np.array(image_index, np.int64),
        boxes_xyxy=np.arange(4 * count, dtype=np.float32).reshape(count, 4),
        ignored=np.arange(count) % 2 == 1,
        landmarks=np.arange(10 * count, dtype=np.float32).reshape(count, 5, 2),
        complete=True,
        orientation="exif",
    )


def test_no_faces():
    faces = make_faces([])
    assert len(faces) == 0
    assert faces.of_image(1).tolist() == []
    assert faces.select_images([2]).image_paths == ("2.jpg",)
    assert len(make_faces([], 0).select_images([])) == 0


@pytest.mark.parametrize("places", [[], [1], [2, 0]])
def test_select_images_takes_their_faces(places):
    faces = make_faces([2, 0, 2, 1])
    chosen = faces.select_images(places)
    assert chosen.image_paths == tuple(f"{place}.jpg" for place in places)
    assert chosen.complete
    assert chosen.orientation == "exif"
    assert len(chosen) == sum(place in places for place in (2, 0, 2, 1))
    for number, place in enumerate(places):
        ours, theirs = chosen.of_image(number), faces.of_image(place)
        for field in ("boxes_xyxy", "ignored", "landmarks"):
            found, expected = getattr(chosen, field)[ours], getattr(faces, field)[theirs]
            np.testing.assert_array_equal(found, expected)
