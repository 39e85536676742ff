import errno
import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.sealed_files import put, reseal
from support.worker_tasks import die

from kptkit import files
from kptkit.data.mining.crops import CropKind, concatenate, mine_part, split_into_parts
from kptkit.data.mining.pnet import pnet_crops
from kptkit.data.mining.settings import LandmarkConfig, PnetMiningConfig, WindowCounts
from kptkit.data.records.crop_writer import summary, write_crops
from kptkit.data.records.crops import CropRecords, parse_crops
from kptkit.errors import InputError
from kptkit.sealed import sealed_text, write_sealed

CONFIG = PnetMiningConfig(
    windows=WindowCounts(5, 3, 2, 2), landmarks=LandmarkConfig(landmarks_per_face=3)
)
PLAN = {"stage": "pnet", "size": 12, "seed": 3, "mining": {"counts": [5, 3]}, "made_from": ["x"]}
mine_image = partial(pnet_crops, config=CONFIG)
mine = partial(mine_part, mine_image=mine_image, smallest_side=12, seed=3)


def write(faces, folder, workers=0, plan=PLAN, make=mine):
    return write_crops(folder, plan, split_into_parts([faces]), make, workers)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture(scope="module")
def mined(shared_faces, tmp_path_factory):
    """A finished folder; read only."""
    folder = tmp_path_factory.mktemp("mined") / "crops"
    write(shared_faces, folder)
    return folder


@pytest.fixture
def folder(mined, tmp_path):
    return Path(shutil.copytree(mined, tmp_path / "crops"))


def test_crops_come_back_as_they_were(shared_faces, folder):
    mined = [m for part in split_into_parts([shared_faces]) for m in mine(part)]
    crops = concatenate([m.crops for m in mined])
    numbers = np.concatenate([[m.number] * len(m.crops) for m in mined])
    places = np.concatenate([np.arange(len(m.crops)) for m in mined])
    records = CropRecords(folder)
    assert (records.stage, records.size) == ("pnet", 12)
    assert sum(records.counts.values()) == len(crops) > 500
    for kind in CropKind:
        own = np.flatnonzero(crops.kinds == kind)
        assert records.counts[kind] == len(own) > 0
        order = np.random.default_rng(0).permutation(len(own))
        read = parse_crops(tf.constant(records.read(kind, order)), 12)
        np.testing.assert_array_equal(read["image"], crops.images[own][order])
        np.testing.assert_array_equal(read["box"], crops.boxes[own][order])
        np.testing.assert_array_equal(read["landmark"], crops.landmarks[own][order])
        assert set(read["kind"].numpy().tolist()) == {kind}
        expected = numbers[own][order] * 2**20 + places[own][order]
        np.testing.assert_array_equal(read["sample_id"], expected)


def test_shards_are_standard_tfrecords(mined):
    records = CropRecords(mined)
    for kind in CropKind:
        paths = sorted(str(path) for path in mined.glob(f"{kind.label}-*"))
        assert [Path(path).name for path in paths] == [
            f"{kind.label}-{number:05d}-of-00003.tfrecord" for number in range(3)
        ]
        stream = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
        assert stream == records.read(kind, np.arange(records.counts[kind]))
        example = tf.train.Example.FromString(stream[0]).features.feature
        assert set(example) == {"image", "box", "landmark", "kind", "sample_id"}
        assert example["kind"].int64_list.value[0] == kind
        assert len(example["image"].bytes_list.value[0]) == 12 * 12 * 3


def test_reading_none_and_too_many(mined):
    records = CropRecords(mined)
    assert records.read(CropKind.PART, np.zeros(0, np.int64)) == []
    with pytest.raises(IndexError):
        records.read(CropKind.PART, np.array([records.counts[CropKind.PART]]))


def test_manifest(shared_faces, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["plan"].items() >= PLAN.items()
    assert manifest["counts"].keys() == {"positive", "negative", "part", "landmark"}
    assert manifest["skipped"] == {}
    assert manifest["notes"]["faces"] == len(shared_faces)
    assert manifest["notes"]["faces flagged as invalid"] == 2
    for shard in manifest["shards"]:
        assert files.sha256(folder / shard["file"]) == shard["sha256"]
    assert f"{manifest['counts']['part']} part" in summary(manifest)
    assert "2 faces flagged as invalid" in summary(manifest)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_workers_do_not_show_in_the_bytes(shared_faces, mined, tmp_path, workers):
    write(shared_faces, tmp_path / "again", workers)
    assert content(tmp_path / "again") == content(mined)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("crash", [0, 1, 3, 7, 12])
def test_a_stopped_writer_goes_on(shared_faces, mined, tmp_path, monkeypatch, crash):
    """Stopped at the given file of those it publishes; an unfinished file is left behind."""
    published = []
    replace = Path.replace

    def stop_at_the_crash(path, target):
        if len(published) == crash:
            shutil.copy(path, path.with_name(files.UNFINISHED_PREFIX + "x.tfrecord"))
            raise KilledError
        published.append(target)
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop_at_the_crash)
        with pytest.raises(KilledError):
            write(shared_faces, tmp_path / "again")
    with pytest.raises(InputError, match="not finished"):
        CropRecords(tmp_path / "again")
    finished = len(list((tmp_path / "again").glob("made-*")))
    assert finished == max(0, crash - 1) // 5
    kept = {
        path: path.stat().st_mtime_ns
        for number in range(finished)
        for path in (tmp_path / "again").glob(f"*-{number:05d}-of-*")
    }
    write(shared_faces, tmp_path / "again", workers=crash % 3)
    assert content(tmp_path / "again") == content(mined)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_part_whose_shard_was_removed_is_made_again(shared_faces, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "again")
    manifest = json.loads((folder / "manifest.json").read_text())
    for number in range(3):
        shards = manifest["shards"][4 * number : 4 * number + 4]
        counts = {shard["kind"]: shard["records"] for shard in shards}
        notes = {"shards": shards, "account": {"counts": counts, "notes": {}, "skipped": {}}}
        write_sealed(tmp_path / "again" / f"made-{number:05d}.json", notes)
    (tmp_path / "again/manifest.json").unlink()
    (tmp_path / "again/part-00001-of-00003.tfrecord").unlink()
    write(shared_faces, tmp_path / "again")
    found = json.loads((tmp_path / "again/manifest.json").read_text())
    assert found["shards"] == manifest["shards"]
    CropRecords(tmp_path / "again")


def test_a_finished_folder_stays_as_it_is(shared_faces, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*[dn]")}
    (folder / "made-00000.json").write_text("left by a kill just before the end")

    def make_nothing(part):
        raise AssertionError("nothing is to be made")

    manifest = write(shared_faces, folder, make=make_nothing)
    assert manifest["counts"]["positive"] > 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(folder.glob("made-*"))


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed was 3, is now 4"),
        ({"mining": {"counts": [5, 4]}}, r"mining.counts was \[5, 3\], is now \[5, 4\]"),
        ({"made_from": ["y"]}, "made_from was .*x.*y"),
    ],
)
def test_other_crops_are_refused(shared_faces, folder, finished, change, message):
    if not finished:
        (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match=message):
        write(shared_faces, folder, plan=PLAN | change)


def test_foreign_folders_and_second_writers_are_refused(shared_faces, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds other files"):
        write(shared_faces, tmp_path / "other")
    with files.locked(tmp_path / "busy"), pytest.raises(InputError, match=f"{os.getpid()}"):
        write(shared_faces, tmp_path / "busy")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: "):
        write(shared_faces, tmp_path / "file")


def test_a_killed_worker_leaves_a_folder_to_go_on_with(shared_faces, mined, tmp_path):
    with pytest.raises(InputError, match="worker process was killed"):
        write(shared_faces, tmp_path / "again", workers=2, make=die)
    write(shared_faces, tmp_path / "again")
    assert content(tmp_path / "again") == content(mined)


def test_a_full_disk_leaves_nothing_half_written(shared_faces, mined, tmp_path, monkeypatch):
    synced = []

    def fail_at_the_third(path):
        synced.append(path)
        if "tfrecord" in str(path) and len(synced) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", fail_at_the_third)
        with pytest.raises(InputError, match="the disk is full; make room"):
            write(shared_faces, tmp_path / "again")
    names = {path.name for path in (tmp_path / "again").iterdir()}
    assert "manifest.json" not in names
    assert not any(name.startswith(files.UNFINISHED_PREFIX) for name in names)
    write(shared_faces, tmp_path / "again")
    assert content(tmp_path / "again") == content(mined)


def test_broken_pictures_are_left_out_and_counted(faces, tmp_path):
    Path(faces.image_paths[4]).write_bytes(b"<html>")
    Path(faces.image_paths[30]).unlink()
    manifest = write(faces, tmp_path / "crops", workers=2)
    skipped = {Path(path).name: reason for path, reason in manifest["skipped"].items()}
    assert skipped == {"04.png": "not an image", "30.png": "missing"}
    assert "1 pictures missing" in summary(manifest)


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_broken_pictures_stop_it(faces, tmp_path, workers):
    for path in faces.image_paths[7:18]:
        Path(path).unlink()
    with pytest.raises(InputError, match="missing; it is one of 11 unusable pictures"):
        write(faces, tmp_path / "crops", workers)
    # A second attempt also counts the broken pictures of the finished parts.
    with pytest.raises(InputError, match="one of 11 unusable pictures"):
        write(faces, tmp_path / "crops", workers)


def cut_off(path, length):
    with open(path, "r+b") as file:
        file.truncate(length)


def flip_bit(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


SHARD = "part-00001-of-00003.tfrecord"
DAMAGES = {
    "D01 cut mid-record": (lambda p: cut_off(p, p.stat().st_size - 100), "bytes, expected"),
    "D03 cut in header": (lambda p: cut_off(p, 5), "bytes, expected"),
    "D04 bit flip": (lambda p: flip_bit(p, 700), "altered"),
    "D05 zero tail": (lambda p: p.write_bytes(p.read_bytes() + bytes(512)), "bytes, expected"),
    "D06 empty": (lambda p: p.write_bytes(b""), "0 bytes, expected"),
    "D07 missing": (lambda p: p.unlink(), "missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_names_the_shard(folder, damage):
    spoil, message = DAMAGES[damage]
    spoil(folder / SHARD)
    with pytest.raises(InputError, match=f"{SHARD}: .*{message}"):
        CropRecords(folder)


def test_foreign_shards_and_manifests_are_refused(folder):
    shutil.copy(folder / SHARD, folder / "part-00001-of-00009.tfrecord")
    with pytest.raises(InputError, match=r"of-00009.*: not in manifest"):
        CropRecords(folder)
    (folder / "part-00001-of-00009.tfrecord").unlink()
    (folder / "manifest.json").write_text(sealed_text({"plan": {"format": "kptkit pose records"}}))
    with pytest.raises(InputError, match="not the manifest of 'kptkit crop records'"):
        CropRecords(folder)
    with pytest.raises(InputError, match="not finished"):
        CropRecords(folder / "nowhere")


# Made on purpose, with a right seal.
MANIFESTS = [
    ("counts", ..., "object missing required field counts"),
    ("counts.part", 1, "counts: not those of the shards"),
    ("counts.evil", 1, "counts: .*evil|invalid value 'evil'"),
    ("plan.stage", "lnet", "plan.stage: invalid value 'lnet'"),
    ("plan.size", 10**9, "plan.size: 1000000000"),
    ("plan.size", 24, "bytes a record in .*; expected crops of 24 pixels"),
    ("plan.parts", 2, "shards: expected one of each kind for each of 2 parts"),
    ("plan.parts", 10**9, "plan.parts: 1000000000"),
    ("plan.evil", 1, "plan.evil: unknown"),
    ("shards.2.records", 0, "records: 0 in the"),
    ("shards.2.records", 1, "bytes a record"),
    ("shards.2.records", -1, "records: -1; expected a whole number"),
    ("shards.2.kind", "positive", "kind: positive of part-"),
    ("shards.2.file", "../part-00000-of-00003.tfrecord", "file: '../part-00000-of-00003.tfrec"),
    ("shards", {}, "shards: expected array, got object"),
    ("notes", {"a": 0.5}, "notes.*: expected int, got float"),
]


@pytest.mark.parametrize(("place", "value", "message"), MANIFESTS)
def test_a_manifest_made_on_purpose_is_one_line(folder, place, value, message):
    reseal(folder / "manifest.json", put(place, value))
    with pytest.raises(InputError, match=f"manifest.json: .*({message})") as refused:
        CropRecords(folder)
    assert "\n" not in str(refused.value)


def test_a_changed_plan_or_note_of_a_part_is_one_line(shared_faces, folder):
    (folder / "manifest.json").unlink()
    plan = (folder / "plan.json").read_text()
    (folder / "plan.json").write_text(plan.replace('"seed": 3', '"seed": 4'))
    with pytest.raises(InputError, match=r"plan.json: altered since it was written"):
        write(shared_faces, folder)
    (folder / "plan.json").write_text(plan)
    notes = {"shards": [], "account": {"counts": {}, "notes": {}, "skipped": {}}}
    for name, content, message in (
        ("made-00001.json", '{"shards": []}', "no seal"),
        ("made-00001.json", sealed_text({"shards": []}), "missing required field account"),
        ("made-00001.json", sealed_text(notes | {"shards": [{}]}), "missing required field file"),
    ):
        (folder / name).write_text(content)
        with pytest.raises(InputError, match=f"{name}: .*{message}.*; remove it, and its crops"):
            write(shared_faces, folder)


def test_a_kind_without_crops(faces, tmp_path):
    config = PnetMiningConfig(landmarks=LandmarkConfig(landmarks_per_face=0))
    make = partial(
        mine_part, mine_image=partial(pnet_crops, config=config), smallest_side=12, seed=0
    )
    manifest = write(faces, tmp_path / "crops", make=make)
    assert manifest["counts"]["landmark"] == 0
    records = CropRecords(tmp_path / "crops")
    assert records.counts[CropKind.LANDMARK] == 0
    assert records.read(CropKind.LANDMARK, np.zeros(0, np.int64)) == []
