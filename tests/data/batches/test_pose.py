"""Batches of persons: order, pixels, keypoints, and broken pictures."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from kptkit import images
from kptkit.data.augment.settings import AugmentConfig
from kptkit.data.batches.pose import clear_errors, pose_evaluation_batches, pose_training_batches
from kptkit.data.records.sources import ImageSource
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.skeletons.known import COCO_17_KEYPOINT_WEIGHTS

SIZE_WH = (48, 64)
NOTHING = AugmentConfig(
    scale=0, rotation_probability=0, flip_probability=0, half_body_probability=0
)


def train(samples, start, stop, skipped=None, **changes):
    settings = {"size_wh": SIZE_WH, "batch_size": 4, "augment": AugmentConfig(), "seed": 5}
    settings |= {"skipped": SkippedPictures(len(samples)) if skipped is None else skipped} | changes
    source = ImageSource(samples)
    return pose_training_batches(source, start_step=start, stop_step=stop, **settings)


def evaluate(samples, skipped=None, batch_size=4):
    skipped = SkippedPictures(len(samples)) if skipped is None else skipped
    batches = pose_evaluation_batches(
        ImageSource(samples), size_wh=SIZE_WH, batch_size=batch_size, skipped=skipped
    )
    return list(batches.as_numpy_iterator())


def assert_equal(batches, expected):
    assert len(batches) == len(expected)
    for one, other in zip(batches, expected, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def read(dataset):
    return list(dataset.as_numpy_iterator())


def official_crop(image, box):
    """The crop of a box by the official three-point construction, and its matrix."""
    width, height = box[2:] - box[:2]
    window_w = max(width, height * SIZE_WH[0] / SIZE_WH[1]) * 1.25
    centre = (box[:2] + box[2:]) / 2
    middle = np.array(SIZE_WH) / 2
    source = np.array([centre, centre - [0, window_w / 2], centre - [window_w / 2] * 2], np.float32)
    target = np.array([middle, middle - [0, middle[0]], middle - [middle[0]] * 2], np.float32)
    matrix = cv2.getAffineTransform(source, target)
    return cv2.warpAffine(image, matrix, SIZE_WH), matrix


def test_each_epoch_shows_everyone_once_in_its_own_order(persons):
    ids = np.concatenate([batch["sample_id"] for batch in read(train(persons, 0, 11))])
    epochs = ids.reshape(4, 11)
    for epoch in epochs:
        assert sorted(epoch) == persons.sample_ids.tolist()
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_a_restart_sees_what_was_left(persons, batch_size):
    whole = read(train(persons, 0, 6, batch_size=batch_size))
    assert whole[0]["image"].shape == (batch_size, 64, 48, 3)
    assert_equal(read(train(persons, 0, 0, batch_size=batch_size)), [])
    assert_equal(read(train(persons, 4, 6, batch_size=batch_size)), whole[4:])


def test_a_person_looks_different_in_every_epoch_and_seed(persons):
    one = persons.select([0])
    crops = [*read(train(one, 0, 2)), *read(train(one, 0, 1, seed=6))]
    matrices = np.concatenate([batch["image_to_crop"] for batch in crops])
    assert len(np.unique(matrices, axis=0)) == 12


def test_shapes_are_static(persons):
    expected = {"image": (4, 64, 48, 3), "keypoints": (4, 17, 3), "sample_id": (4,)}
    expected |= {"image_to_crop": (4, 2, 3)}
    spec = train(persons, 0, 1).element_spec
    assert {name: tuple(tensor.shape) for name, tensor in spec.items()} == expected


def test_evaluation_crops_are_the_official_ones(persons):
    batches = evaluate(persons)
    rows = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    assert rows["sample_id"].tolist() == [*persons.sample_ids.tolist(), -1]
    assert not rows["image"][-1].any()
    assert not rows["keypoints"][-1, :, 2].any()
    for row, place in enumerate(persons.image_index):
        picture = images.read_image(persons.image_paths[place])
        crop, matrix = official_crop(picture, persons.boxes_xyxy[row].astype(float))
        assert np.abs(rows["image"][row].astype(int) - crop).max() <= 1
        np.testing.assert_allclose(rows["image_to_crop"][row], matrix, rtol=1e-4, atol=1e-3)
        for joint, (x, y, visibility) in enumerate(persons.keypoints[row]):
            expected = [*(matrix @ [x, y, 1]), 1] if visibility else [0, 0, 0]
            np.testing.assert_allclose(rows["keypoints"][row, joint], expected, atol=2e-3)


@pytest.mark.parametrize(("batch_size", "filled"), [(1, 0), (4, 1), (11, 0), (32, 21)])
def test_the_last_evaluation_batch_is_filled_up(persons, batch_size, filled):
    ids = np.concatenate([batch["sample_id"] for batch in evaluate(persons, None, batch_size)])
    assert ids.tolist() == persons.sample_ids.tolist() + [-1] * filled
    assert evaluate(persons.select([]), None, batch_size) == []


def test_unaugmented_training_is_evaluation(persons):
    by_id = {}
    for batch in evaluate(persons):
        by_id |= dict(zip(batch["sample_id"], batch["image"], strict=True))
    for batch in read(train(persons, 0, 3, augment=NOTHING)):
        for sample_id, crop in zip(batch["sample_id"], batch["image"], strict=True):
            np.testing.assert_array_equal(crop, by_id[sample_id])


def test_keypoint_weights_go_to_labelled_joints_only(persons):
    batches = read(train(persons, 0, 3, augment=NOTHING, keypoint_weights=COCO_17_KEYPOINT_WEIGHTS))
    visibility = dict(zip(persons.sample_ids, persons.keypoints[..., 2], strict=True))
    for batch in batches:
        for sample_id, keypoints in zip(batch["sample_id"], batch["keypoints"], strict=True):
            expected = np.where(visibility[sample_id] > 0, COCO_17_KEYPOINT_WEIGHTS, 0)
            np.testing.assert_allclose(keypoints[:, 2], expected, rtol=1e-6)


def test_mirrored_joints_lie_where_the_other_side_was(persons):
    always = replace(NOTHING, flip_probability=1.0)
    plain = {}
    for batch in read(train(persons, 0, 3, augment=NOTHING)):
        plain |= dict(zip(batch["sample_id"], batch["keypoints"], strict=True))
    for batch in read(train(persons, 0, 3, augment=always)):
        for sample_id, keypoints in zip(batch["sample_id"], batch["keypoints"], strict=True):
            for left, right in persons.schema.flip_pairs:
                x, y, weight = plain[sample_id][right]
                # The official centre is W / 2, so a mirrored crop lies at W - x.
                expected = [SIZE_WH[0] - x, y, 1] if weight else [0, 0, 0]
                np.testing.assert_allclose(keypoints[left], expected, atol=1e-3)


def test_colours_change_pixels_alone_and_are_repeatable(persons):
    plain = read(train(persons, 0, 8))
    coloured = read(train(persons, 0, 8, augment=AugmentConfig(photometric=True)))
    again = read(train(persons, 3, 8, augment=AugmentConfig(photometric=True)))
    assert_equal(coloured[3:], again)
    changed = 0
    for one, other in zip(plain, coloured, strict=True):
        np.testing.assert_array_equal(one["keypoints"], other["keypoints"])
        changed += (one["image"] != other["image"]).any(axis=(1, 2, 3)).sum()
    assert 8 <= changed <= 28


def damage(path: str, kind: str) -> None:
    data = Path(path).read_bytes()
    Path(path).unlink()
    if kind != "missing":
        Path(path).write_bytes({"empty": b"", "broken": data[: len(data) // 2]}[kind])


@pytest.mark.parametrize("kind", ["missing", "empty", "broken"])
def test_a_broken_picture_is_black_weightless_and_counted(persons, kind):
    damage(persons.image_paths[1], kind)
    hidden = set(persons.sample_ids[persons.image_index == 1].tolist())
    skipped = SkippedPictures(len(persons))
    seen = 0
    for batch in read(train(persons, 0, 6, skipped)):
        for sample_id, crop, keypoints in zip(
            batch["sample_id"], batch["image"], batch["keypoints"], strict=True
        ):
            assert (sample_id in hidden) == (not crop.any()) == (not keypoints[:, 2].any())
            seen += sample_id in hidden
    assert seen > len(hidden)
    assert skipped.counts() == {kind: 1}
    ids = np.concatenate([batch["sample_id"] for batch in evaluate(persons, skipped)])
    assert set(ids.tolist()) == set(persons.sample_ids.tolist()) - hidden | {-1}


def test_too_many_broken_pictures_stop_the_reader(persons):
    skipped = SkippedPictures(len(persons))
    skipped.tolerated = 1
    for path in persons.image_paths[:2]:
        damage(path, "missing")
    with pytest.raises(InputError, match="2 missing"), clear_errors(skipped):
        read(train(persons, 0, 6, skipped))


def test_training_needs_someone(persons):
    with pytest.raises(InputError, match="no samples"):
        train(persons.select([]), 0, 1)
