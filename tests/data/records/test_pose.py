"""Pose records give the same batches as pictures, survive kills, and detect damage."""

import errno
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.sealed_files import put, reseal

from kptkit import files, images
from kptkit.arrays import read_arrays, save_arrays
from kptkit.data.augment.settings import AugmentConfig
from kptkit.data.batches.pose import clear_errors, pose_evaluation_batches, pose_training_batches
from kptkit.data.records.folder import file_entry
from kptkit.data.records.pose import CutConfig, RecordSource
from kptkit.data.records.pose_writer import windows_to_keep, write_records
from kptkit.data.records.sources import ImageSource
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.sealed import sealed_text

SIZE_WH = (48, 64)
CUT = CutConfig(size_wh=SIZE_WH, shard_size=4)
MADE_FROM = {"annotations": "some.json"}
# The augmentation of mmpose's recipes, which reaches further than the official one.
MMPOSE = AugmentConfig(
    distribution="truncated",
    scale=0.5,
    rotation_degrees=80.0,
    half_body_upper_probability=0.7,
    shift=0.16,
    shift_probability=0.3,
)


def write(samples, folder, cut=CUT, workers=1, made_from=MADE_FROM):
    images_folder = os.path.dirname(samples.image_paths[0])
    return write_records(samples, folder, cut, images_folder, made_from, workers)


def train(source, augment=None, steps=8):
    skipped = SkippedPictures(len(source.samples))
    batches = pose_training_batches(
        source,
        size_wh=SIZE_WH,
        batch_size=4,
        augment=augment or AugmentConfig(),
        seed=1,
        start_step=0,
        stop_step=steps,
        skipped=skipped,
    )
    with clear_errors(skipped):
        return list(batches.as_numpy_iterator())


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture
def records(persons, tmp_path):
    write(persons, tmp_path / "records")
    return tmp_path / "records"


@pytest.mark.parametrize("augment", [AugmentConfig(), MMPOSE], ids=["official", "mmpose"])
def test_training_sees_the_same_from_records_as_from_pictures(persons, tmp_path, augment):
    write(persons, tmp_path / "records", replace(CUT, augment=augment))
    from_pictures = train(ImageSource(persons), augment)
    from_records = train(RecordSource(tmp_path / "records", verify=True), augment)
    for one, other in zip(from_pictures, from_records, strict=True):
        for name in ("keypoints", "sample_id", "image_to_crop"):
            np.testing.assert_array_equal(one[name], other[name])
        difference = np.abs(one["image"].astype(int) - other["image"])
        assert difference.mean() < 2
        assert difference.max() < 30
        # Nor is anything missing at the edges of the crops.
        np.testing.assert_array_equal(one["image"].any(-1), other["image"].any(-1))


def test_samples_come_back_as_they_were(persons, records):
    found = RecordSource(records).samples
    assert found.schema == persons.schema
    assert found.image_paths == ("0.jpg", "1.jpg", "2.jpg", "3.jpg")
    for name in ("image_ids", "image_wh", "image_index", "sample_ids", "boxes_xyxy", "keypoints"):
        np.testing.assert_array_equal(getattr(found, name), getattr(persons, name))


def test_shards_are_standard_tfrecords_of_examples(persons, records):
    paths = sorted(str(path) for path in records.glob("*.tfrecord"))
    spec = {
        "image": tf.io.FixedLenFeature((), tf.string),
        "window_xyxy": tf.io.FixedLenFeature((4,), tf.int64),
        "keypoints": tf.io.FixedLenFeature((17, 3), tf.float32),
        "box_xyxy": tf.io.FixedLenFeature((4,), tf.float32),
        "sample_id": tf.io.FixedLenFeature((), tf.int64),
        "image_id": tf.io.FixedLenFeature((), tf.int64),
        "skipped": tf.io.FixedLenFeature((), tf.string),
    }
    seen = set()
    for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():
        example = tf.io.parse_single_example(record, spec)
        row = persons.sample_ids.tolist().index(int(example["sample_id"]))
        np.testing.assert_array_equal(example["keypoints"], persons.keypoints[row])
        np.testing.assert_array_equal(example["box_xyxy"], persons.boxes_xyxy[row])
        assert example["image_id"] == persons.image_ids[persons.image_index[row]]
        left, top, right, bottom = example["window_xyxy"].numpy()
        cut = images.decode_image(example["image"].numpy()).astype(int)
        picture = images.read_image(persons.image_paths[persons.image_index[row]])
        assert np.abs(cut - picture[top:bottom, left:right]).mean() < 2
        seen.add(row)
    assert len(seen) == len(persons)


def test_windows_are_clipped_and_hold_the_reach(persons):
    windows = windows_to_keep(persons, CUT)
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, 2:] <= [200, 150]).all()
    for box, window in zip(persons.boxes_xyxy.astype(float), windows, strict=True):
        width, height = box[2:] - box[:2]
        width = max(width, height * 3 / 4) * 1.25 * 1.35
        radius = np.hypot(width, width * 4 / 3) / 2
        centre = (box[:2] + box[2:]) / 2
        assert (window[:2] <= np.maximum(centre - radius, 0)).all()
        assert (window[2:] >= np.minimum(centre + radius, [200, 150])).all()


@pytest.mark.parametrize("workers", [2, 8])
def test_workers_do_not_show_in_the_bytes(persons, records, tmp_path, workers):
    write(persons, tmp_path / "again", workers=workers)
    assert content(tmp_path / "again") == content(records)


@pytest.mark.parametrize(
    "lost",
    [
        ["manifest.json"],
        ["manifest.json", "index.npz"],
        ["manifest.json", "index.npz", "pose-00001-of-00003.tfrecord"],
        ["manifest.json", "index.npz", *(f"pose-0000{i}-of-00003.tfrecord" for i in range(3))],
    ],
    ids=len,
)
def test_a_stopped_writer_goes_on(persons, records, lost):
    expected = content(records)
    for name in lost:
        (records / name).unlink()
    (records / (files.UNFINISHED_PREFIX + "x-pose-00001-of-00003.tfrecord")).write_bytes(b"half")
    with pytest.raises(InputError, match="not finished"):
        RecordSource(records)
    kept = {path: path.stat().st_mtime_ns for path in records.glob("pose-*")}
    write(persons, records)
    assert content(records) == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_finished_folder_stays_as_it_is(persons, records):
    before = {path: path.stat().st_mtime_ns for path in records.iterdir() if path.name != ".lock"}
    manifest = write(persons, records)
    assert manifest["persons"] == 11
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cut": replace(CUT, jpeg_quality=80)}, r"cut\.jpeg_quality was 95, is now 80"),
        ({"cut": replace(CUT, augment=MMPOSE)}, r"cut\.augment"),
        (
            {"made_from": {"annotations": "other.json"}},
            "made_from.annotations was some.json, is now other.json",
        ),
    ],
    ids=["quality", "augmentation", "annotations"],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_records_are_refused(persons, records, finished, changes, message):
    if not finished:
        (records / "manifest.json").unlink()
    with pytest.raises(InputError, match=message):
        write(persons, records, **changes)


def test_foreign_folders_and_second_writers_are_refused(persons, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds other files"):
        write(persons, tmp_path / "other")
    with files.locked(tmp_path / "busy"), pytest.raises(InputError, match=f"{os.getpid()}"):
        write(persons, tmp_path / "busy")


def shard_length(path, count):
    """The bytes of the first `count` records."""
    data, position = path.read_bytes(), 0
    for _ in range(count):
        position += 16 + int.from_bytes(data[position : position + 8], "little")
    return position


def cut_off(shard, length):
    with open(shard, "r+b") as file:
        file.truncate(length)


def flip_bit(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


def change_text(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def in_place(make):
    def spoil(path):
        path.unlink()
        make(path)

    return spoil


SHARD = "pose-00001-of-00003.tfrecord"
DAMAGES = {
    "D01 cut mid-record": (lambda p: cut_off(p, p.stat().st_size - 100), "bytes, expected"),
    "D02 cut at boundary": (lambda p: cut_off(p, shard_length(p, 2)), "bytes, expected"),
    "D03 cut in header": (lambda p: cut_off(p, shard_length(p, 2) + 5), "bytes, expected"),
    "D05 zero tail": (lambda p: p.write_bytes(p.read_bytes() + bytes(512)), "bytes, expected"),
    "D06 empty": (lambda p: p.write_bytes(b""), "0 bytes, expected"),
    "D07 missing": (lambda p: p.unlink(), "missing"),
    "D08 stale shard": (
        lambda p: shutil.copy(p, p.with_name("pose-00001-of-00009.tfrecord")),
        "pose-00001-of-00009.tfrecord: not in manifest.json",
    ),
    "index altered": (lambda p: flip_bit(p.with_name("index.npz"), 300), "index.npz: altered"),
    "index missing": (lambda p: p.with_name("index.npz").unlink(), "index.npz: missing"),
    "D09 manifest of another kind": (
        lambda p: p.with_name("manifest.json").write_text(sealed_text({"plan": {"format": "x"}})),
        "manifest.json: not the manifest",
    ),
    "manifest cut": (lambda p: cut_off(p.with_name("manifest.json"), 99), "manifest.json: line"),
    "manifest a list": (
        lambda p: p.with_name("manifest.json").write_text("[]"),
        "manifest.json: no seal",
    ),
    "a digit of the manifest": (
        lambda p: change_text(p.with_name("manifest.json"), '"persons": 11', '"persons": 10'),
        "manifest.json: altered since it was written; make the records again",
    ),
    "a folder in place of a shard": (in_place(Path.mkdir), f"{SHARD}: missing, or not a regular"),
    "a pipe in place of a shard": (in_place(os.mkfifo), f"{SHARD}: missing, or not a regular"),
    "a link in place of a shard": (
        in_place(lambda p: p.symlink_to("pose-00000-of-00003.tfrecord")),
        f"{SHARD}: missing, or not a regular",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_on_opening(records, damage):
    spoil, message = DAMAGES[damage]
    spoil(records / SHARD)
    with pytest.raises(InputError, match=message) as error:
        RecordSource(records)
    assert str(records) in str(error.value)


# Made on purpose, with a right seal.
MANIFESTS = [
    ("persons", ..., "object missing required field persons"),
    ("persons", 12, "persons: not those of the shards"),
    ("persons", 10**12, "persons: 1000000000000; expected a whole number"),
    ("persons", True, "persons: expected int, got bool"),
    ("plan.version", 2, "not the manifest of 'kptkit pose records', version 1"),
    ("plan", [], "not the manifest"),
    ("plan.orientation", "evil", "plan.orientation: invalid value 'evil'"),
    ("plan.cut.size_wh", [1, 10**9], "plan.cut.size_wh: 1000000000"),
    ("plan.cut.jpeg_quality", 101, "plan.cut.jpeg_quality: 101"),
    ("schema.names", ["a"], "schema"),
    ("skipped", {"a": 1}, "skipped.*: expected str, got int"),
    ("index.file", "../index.npz", "index.file: '../index.npz'; expected the name of a shard"),
    ("index.file", "pose-00000-of-00003.tfrecord", "shards: expected"),
    ("shards.0.file", "/etc/passwd", "shards.0.*file: '/etc/passwd'; expected the name"),
    ("shards.1.file", "pose-00000-of-00003.tfrecord", "shards: expected pose-00000-of-00003"),
    ("shards.0.bytes", -1, "bytes: -1; expected a whole number"),
    ("shards.0.sha256", "0" * 63, "sha256: '0+'; expected 64 hexadecimal digits"),
    ("shards.0.evil", 1, r"shards\[0\].evil: unknown"),
    ("shards", [], "shards|persons"),
]


@pytest.mark.parametrize(("place", "value", "message"), MANIFESTS)
def test_a_manifest_made_on_purpose_is_one_line(records, place, value, message):
    reseal(records / "manifest.json", put(place, value))
    with pytest.raises(InputError, match=f"manifest.json: .*({message})") as refused:
        RecordSource(records)
    assert "\n" not in str(refused.value)


def first(value):
    """A change of an array: its first number."""

    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return change


ARRAYS = {
    "image_paths": [(first(0), "values"), (lambda a: a.astype("f4"), "float32")],
    "image_ids": [(lambda a: a[:-1], r"\(3,\); expected int64 \(4,\)")],
    "image_wh": [(first(0), "values"), (first(2**31 - 1), "values"), (np.ravel, r"\(8,\)")],
    "image_index": [(first(4), "values"), (first(-1), "values"), (first(2**62), "values")],
    "sample_ids": [(first(-1), "values"), (lambda a: a * 0, "values")],
    "boxes_xyxy": [(first(np.nan), "values"), (first(np.inf), "values"), (first(1e30), "values")],
    "keypoints": [(first(np.nan), "values"), (first(1e30), "values"), (lambda a: a + 3, "values")],
    "box_scores": [(first(np.inf), "values"), (lambda a: a.astype(str), "expected float32")],
    "shard": [(first(3), "values"), (first(-1), "values"), (first(2), "values")],
    "record": [(first(4), "values"), (first(-1), "values")],
    "jpeg_offset": [
        (first(-1), "values"),
        (first(2**62), "values"),
        (lambda a: a + 9999, "values"),
    ],
    "jpeg_bytes": [
        (first(-1), "values"),
        (first(2**62), "values"),
        (first(0), "a picture is miss"),
    ],
    "jpeg_crc32": [(lambda a: a.astype("i8"), "int64")],
    "window_xyxy": [(first(-1), "values"), (first(10**6), "values"), (lambda a: a + 99, "values")],
}
INDICES = [(name, *case) for name, cases in ARRAYS.items() for case in cases]
INDICES += [("image_ids", lambda _: None, "missing or unknown")]


def replace_index(records, arrays):
    """Writes an index and enters its checksum and size in the manifest."""
    save_arrays(records / "index.npz", arrays)
    entry = file_entry(records / "index.npz")
    reseal(records / "manifest.json", put("index", entry))


@pytest.mark.parametrize(("name", "change", "message"), INDICES)
def test_an_index_made_on_purpose_is_one_line(records, name, change, message):
    arrays = read_arrays(records / "index.npz")
    arrays[name] = change(arrays[name])
    replace_index(records, {key: array for key, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=f"index.npz: .*{name}.*{message}") as refused:
        RecordSource(records)
    assert "\n" not in str(refused.value)


def test_an_index_that_unfolds_is_refused(records):
    path = records / "index.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(1 << 26))
    reseal(records / "manifest.json", put("index", file_entry(path)))
    with pytest.raises(InputError, match=r"index.npz: damaged, .*compressed"):
        RecordSource(records)


def test_a_window_of_another_size_than_its_picture_is_refused(records):
    arrays = read_arrays(records / "index.npz")
    arrays["window_xyxy"][3, 2] -= 1
    replace_index(records, arrays)
    left, top, *_ = arrays["window_xyxy"][3].tolist()
    with pytest.raises(InputError, match="is not the part that the index tells"):
        RecordSource(records).read(3, (left, top, left + 1, top + 1))


def test_a_flipped_bit_is_found_by_its_reader_and_by_verify(records):
    source = RecordSource(records)
    index = int(np.flatnonzero(source._places["shard"] == 1)[2])
    record = source._places["record"][index]
    flip_bit(records / SHARD, int(source._places["jpeg_offset"][index]) + 700)
    with pytest.raises(InputError, match=f"{SHARD}: record {record} .*altered"):
        source.read(index, (0, 0, 1, 1))
    with pytest.raises(InputError, match=f"{SHARD}: record {record} .*altered"):
        train(source)
    with pytest.raises(InputError, match=f"{SHARD}: altered"):
        RecordSource(records, verify=True)


def test_stronger_augmentation_than_cut_for_is_refused(persons, tmp_path):
    weak = AugmentConfig(scale=0.0, half_body_probability=0.0)
    write(persons, tmp_path / "records", replace(CUT, augment=weak))
    source = RecordSource(tmp_path / "records")
    train(source, weak)
    with pytest.raises(InputError, match="reaches beyond"):
        train(source, MMPOSE, steps=20)


@pytest.mark.parametrize("side", range(4), ids=["left", "top", "right", "bottom"])
def test_a_box_beyond_the_window_is_refused_on_each_side(persons, tmp_path, side):
    inner = replace(CUT, augment=AugmentConfig(scale=0.0, half_body_probability=0.0))
    write(persons, tmp_path / "records", inner)
    windows = windows_to_keep(persons, inner)
    outer = [0, 0, *persons.image_wh[0]]
    index = int(np.flatnonzero(windows[:, side] != outer[side])[0])
    box, source = windows[index].copy(), RecordSource(tmp_path / "records")
    source.read(index, tuple(box.tolist()))
    box[side] = outer[side]
    with pytest.raises(InputError, match=f"sample {persons.sample_ids[index]}"):
        source.read(index, tuple(box.tolist()))


def test_broken_pictures_keep_their_places(persons, tmp_path):
    Path(persons.image_paths[2]).write_bytes(b"<html>")
    manifest = write(persons, tmp_path / "records")
    assert manifest["skipped"] == {"2.jpg": "not an image"}
    for one, other in zip(
        train(ImageSource(persons)), train(RecordSource(tmp_path / "records")), strict=True
    ):
        np.testing.assert_array_equal(one["sample_id"], other["sample_id"])
        np.testing.assert_array_equal(one["keypoints"], other["keypoints"])
        np.testing.assert_array_equal(one["image"].any((1, 2, 3)), other["image"].any((1, 2, 3)))


def test_too_many_broken_pictures_leave_no_manifest(persons, tmp_path, monkeypatch):
    monkeypatch.setattr("kptkit.data.skipped.ALWAYS_TOLERATED", 0)
    Path(persons.image_paths[2]).unlink()
    with pytest.raises(InputError, match="missing"):
        write(persons, tmp_path / "records")
    assert not (tmp_path / "records" / "manifest.json").exists()
    assert not list((tmp_path / "records").glob(files.UNFINISHED_PREFIX + "*"))


def test_a_full_disk_leaves_nothing_half_written(persons, tmp_path, monkeypatch):
    synced = []

    def fail_at_the_third(path):
        synced.append(path)
        if "tfrecord" in str(path) and len(synced) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", fail_at_the_third)
        with pytest.raises(InputError, match="the disk is full; make room"):
            write(persons, tmp_path / "records")
    names = {path.name for path in (tmp_path / "records").iterdir()}
    assert "manifest.json" not in names
    assert not any(name.startswith(files.UNFINISHED_PREFIX) for name in names)
    write(persons, tmp_path / "records")
    write(persons, tmp_path / "whole")
    assert content(tmp_path / "records") == content(tmp_path / "whole")


def test_records_can_be_evaluated(records):
    source, skipped = RecordSource(records), SkippedPictures(11)
    batches = pose_evaluation_batches(source, size_wh=SIZE_WH, batch_size=4, skipped=skipped)
    ids = np.concatenate([batch["sample_id"] for batch in batches])
    assert ids.tolist() == [*source.samples.sample_ids.tolist(), -1]


def coco_file(samples, path):
    """The samples as a COCO keypoints file."""
    document = {
        "images": [
            {"id": int(i), "file_name": Path(p).name, "width": int(w), "height": int(h)}
            for i, p, (w, h) in zip(
                samples.image_ids, samples.image_paths, samples.image_wh, strict=True
            )
        ],
        "annotations": [
            {
                "id": int(samples.sample_ids[row]),
                "image_id": int(samples.image_ids[samples.image_index[row]]),
                "category_id": 1,
                "bbox": [float(v) for v in (*box[:2], *(box[2:] - box[:2]))],
                "keypoints": samples.keypoints[row].ravel().tolist(),
            }
            for row, box in enumerate(samples.boxes_xyxy)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(samples.schema.names)}],
    }
    path.write_text(json.dumps(document))


SCRIPT = Path(__file__).parents[3] / "data_prep" / "make_pose_records.py"


def command(tmp_path, out):
    return [
        *(sys.executable, str(SCRIPT), "--annotations", str(tmp_path / "some.json")),
        *("--images", str(tmp_path / "images"), "--out", str(tmp_path / out)),
        *("--shard-size", "1", "--size-wh", "48", "64", "--verify"),
    ]


def test_the_command_writes_records(persons, tmp_path, monkeypatch, capsys):
    coco_file(persons, tmp_path / "some.json")
    monkeypatch.setattr("sys.argv", command(tmp_path, "out")[1:])
    spec = importlib.util.spec_from_file_location("__main__", SCRIPT)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert "11 persons in 11 shards" in capsys.readouterr().out
    assert len(RecordSource(tmp_path / "out").samples) == 11


@pytest.mark.slow
def test_killed_at_any_moment_the_command_goes_on(persons, tmp_path):
    many = persons.select(np.arange(660) % len(persons))
    many = replace(many, sample_ids=np.arange(660) + 1)
    coco_file(many, tmp_path / "some.json")
    subprocess.run(command(tmp_path, "whole"), check=True)
    kills = 0
    for _ in range(50):
        process = subprocess.Popen(command(tmp_path, "out"))
        shards = len(list((tmp_path / "out").glob("pose-*")))
        while process.poll() is None:
            if len(list((tmp_path / "out").glob("pose-*"))) > shards + 150:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.001)
        if process.wait() == 0:
            break
    assert kills >= 3
    assert content(tmp_path / "out") == content(tmp_path / "whole")
