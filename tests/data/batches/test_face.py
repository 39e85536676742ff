"""Batches of crops: their content, the order of crops, and the held-out set."""

from dataclasses import replace

import numpy as np
import pytest

from kptkit.data.augment.settings import FaceAugment
from kptkit.data.batches.face import (
    KINDS,
    CropSet,
    batch_counts,
    face_evaluation_batches,
    face_training_batches,
    hold_out,
)
from kptkit.data.mining.crops import IDS_PER_IMAGE, CropKind
from kptkit.data.records.crops import CropRecords
from kptkit.errors import InputError

STILL = FaceAugment(0, 0, 0, 0, 0, 0)
SETTINGS = {"batch_size": 14, "ratio": (3, 1, 1, 2), "augment_by": STILL, "seed": 5}


@pytest.fixture(scope="module")
def records(crop_folder):
    return CropRecords(crop_folder())


def batches(crops, start, stop, **changes):
    data = face_training_batches(crops, start_step=start, stop_step=stop, **(SETTINGS | changes))
    return list(data.as_numpy_iterator())


def kinds_of(batch):
    """The kind of each row, from its masks."""
    kinds = np.full(len(batch["is_face"]), CropKind.NEGATIVE)
    kinds[batch["box_valid"]] = CropKind.PART
    kinds[batch["is_face"] == 1] = CropKind.POSITIVE
    kinds[batch["landmark_valid"]] = CropKind.LANDMARK
    return kinds


@pytest.mark.parametrize(
    ("batch_size", "ratio", "expected"),
    [
        (7, (3, 1, 1, 2), (3, 1, 1, 2)),
        (384, (3, 1, 1, 2), (164, 55, 55, 110)),
        (384, (3, 2, 1, 2), (144, 96, 48, 96)),
        (384, (3, 1, 1, 0), (230, 77, 77, 0)),
        (10, (1, 1, 1, 1), (3, 3, 2, 2)),
        (3, (3, 1, 1, 2), None),
    ],
)
def test_counts_are_the_ratio_rounded_to_the_batch(batch_size, ratio, expected):
    if expected is None:
        with pytest.raises(InputError, match=r"batch_size: 3; too small .* 3:1:1:2"):
            batch_counts(batch_size, ratio)
    else:
        assert batch_counts(batch_size, ratio) == expected
        assert sum(expected) == batch_size


def test_every_batch_holds_the_same_number_of_each_kind_in_the_same_rows(records):
    found = batches(CropSet.whole(records), 0, 12)
    rows = kinds_of(found[0])
    assert [np.sum(rows == kind) for kind in KINDS] == [6, 2, 2, 4]
    for half in (rows[:7], rows[7:]):  # the shares of two replicas
        assert [np.sum(half == kind) for kind in KINDS] == [3, 1, 1, 2]
    for batch in found:
        np.testing.assert_array_equal(kinds_of(batch), rows)


def test_types_shapes_and_masks(records):
    data = face_training_batches(CropSet.whole(records), start_step=0, stop_step=1, **SETTINGS)
    (batch,) = data.as_numpy_iterator()
    assert {
        name: (spec.shape.as_list(), spec.dtype) for name, spec in data.element_spec.items()
    } == {name: (list(value.shape), value.dtype) for name, value in batch.items()}
    assert batch["image"].shape == (14, 12, 12, 3)
    assert batch["image"].dtype == np.uint8
    is_face, class_valid = batch["is_face"], batch["class_valid"]
    box_valid, landmark_valid = batch["box_valid"], batch["landmark_valid"]
    assert [class_valid.sum(), box_valid.sum(), landmark_valid.sum()] == [8, 4, 4]
    assert (class_valid & box_valid == (is_face == 1)).all()
    assert not (landmark_valid & (class_valid | box_valid)).any()
    for name in ("box", "landmark"):
        assert np.isfinite(batch[name]).all()
        shown = batch[name].any(axis=1)
        np.testing.assert_array_equal(shown, batch[f"{name}_valid"])


def test_rows_are_the_records_as_they_were_mined(records):
    by_id = {}
    for batch in face_evaluation_batches(CropSet.whole(records), 16).as_numpy_iterator():
        for row, sample_id in enumerate(batch["sample_id"].tolist()):
            assert sample_id not in by_id
            by_id[sample_id] = {name: value[row] for name, value in batch.items()}
    assert len(by_id) == sum(records.counts.values())
    for batch in batches(CropSet.whole(records), 0, 4):
        for row, sample_id in enumerate(batch["sample_id"].tolist()):
            for name, value in by_id[sample_id].items():
                np.testing.assert_array_equal(batch[name][row], value, err_msg=name)
    number, place = divmod(7 * IDS_PER_IMAGE + 9, IDS_PER_IMAGE)  # a positive of picture 7
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 120, (25, 12, 12, 3))[place] + 120
    np.testing.assert_array_equal(by_id[7 * IDS_PER_IMAGE + 9]["image"], pixels)


def test_each_kind_is_seen_whole_before_any_of_it_comes_again(records):
    counts = CropSet.whole(records).counts()
    assert counts == {kind: 12 * n for kind, n in zip(KINDS, (9, 5, 4, 7), strict=True)}
    found = batches(CropSet.whole(records), 0, 60)
    for kind in KINDS:
        ids = np.concatenate([b["sample_id"][kinds_of(b) == kind] for b in found])
        epochs = ids[: len(ids) // counts[kind] * counts[kind]].reshape(-1, counts[kind])
        assert len(epochs) >= 2
        for epoch in epochs:
            assert len(set(epoch.tolist())) == counts[kind]
        assert (epochs[0] != epochs[1]).any()


def test_a_step_is_the_same_wherever_the_run_started(records):
    crops, varied = CropSet.whole(records), {"augment_by": FaceAugment()}
    whole = batches(crops, 0, 9, **varied)
    again = batches(crops, 6, 9, **varied)
    for one, other in zip(whole[6:], again, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    other_seed = batches(crops, 0, 1, **varied, seed=6)[0]
    assert (other_seed["sample_id"] != whole[0]["sample_id"]).any()
    alone = CropSet.whole(records).at_most(1)
    images = [batches(alone, 0, 1, **varied, seed=seed)[0]["image"] for seed in (5, 6)]
    assert (images[0] != images[1]).any(axis=(1, 2, 3)).all()


def test_kinds_of_equal_size_have_orders_of_their_own(crop_folder):
    crops = CropSet.whole(CropRecords(crop_folder(parts=2, of_part=lambda _: (6, 6, 6, 6))))
    found = batches(crops, 0, 3, batch_size=24, ratio=(1, 1, 1, 1))
    orders = []
    for kind in KINDS:
        ids = np.concatenate([b["sample_id"][kinds_of(b) == kind] for b in found])
        orders.append(tuple(np.argsort(ids).tolist()))
    assert len(set(orders)) == 4


def test_crops_are_varied_in_training_alone(records):
    crops = CropSet.whole(records)
    still, varied = batches(crops, 0, 5), batches(crops, 0, 5, augment_by=FaceAugment())
    for one, other in zip(still, varied, strict=True):
        assert (one["image"] != other["image"]).any(axis=(1, 2, 3)).all()
        np.testing.assert_array_equal(one["sample_id"], other["sample_id"])
        mirrored = (one["landmark"] != other["landmark"]).any(axis=1)
        assert mirrored.any()


def test_a_missing_kind_is_refused_unless_the_ratio_leaves_it_out(crop_folder):
    crops = CropSet.whole(CropRecords(crop_folder(parts=1, of_part=lambda _: (9, 5, 4, 0))))
    with pytest.raises(InputError, match=r"crops: landmark: no crops, but .* 2 in 7"):
        batches(crops, 0, 1)
    (batch,) = batches(crops, 0, 1, ratio=(3, 1, 1, 0))
    assert not batch["landmark_valid"].any()


def test_held_out_crops_come_from_other_pictures(records):
    learned, judged = hold_out(records, 0.1)
    pictures = []
    for crops in (learned, judged):
        ids = [b["sample_id"] for b in face_evaluation_batches(crops, 16).as_numpy_iterator()]
        pictures.append(set((np.concatenate(ids) // IDS_PER_IMAGE).tolist()))
    assert pictures == [set(range(9)), {9, 10, 11}]


def test_every_kind_is_held_out_wherever_it_lies(crop_folder):
    """Landmark crops often come from other pictures than the other kinds."""
    folder = crop_folder(parts=10, of_part=lambda n: (2, 1, 1, 0) if n < 5 else (0, 0, 0, 3))
    learned, judged = hold_out(CropRecords(folder), 0.2)
    assert judged.counts() == dict(zip(KINDS, (6, 3, 3, 9), strict=True))
    assert learned.counts() == dict(zip(KINDS, (24, 12, 12, 36), strict=True))


def test_too_few_parts_to_hold_some_out(crop_folder):
    with pytest.raises(InputError, match=r"negative: all 27 crops come from too few pictures"):
        hold_out(CropRecords(crop_folder(parts=1)), 0.1)


def test_at_most_is_spread_evenly(records):
    crops = CropSet.whole(records).at_most(10)
    assert crops.counts() == dict.fromkeys(KINDS, 10)
    chosen = crops.indices[CropKind.NEGATIVE]
    assert (chosen[0], chosen[-1]) == (0, 107)
    assert (np.diff(chosen) >= 11).all()
    few = replace(crops, indices={kind: np.zeros(0, np.int64) for kind in KINDS})
    assert few.at_most(10).counts() == dict.fromkeys(KINDS, 0)
