"""Folders of hard examples: what is in them, and that workers, kills and reruns change nothing."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kptkit import files, images
from kptkit.data.faces.flags import FaceLists
from kptkit.data.mining.hard import DETECTIONS
from kptkit.data.mining.settings import HardMiningConfig
from kptkit.data.records.crops import CropRecords
from kptkit.errors import InputError
from kptkit.train import mine_faces
from kptkit.train.flags import HardSamplesConfig
from kptkit.train.mine_faces import mine_hard_samples, weights_sha256
from kptkit.weights.cascade import load_stages

PICTURES = 20


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Noise with a face of 40 px in most pictures, in WIDER's format and with landmarks."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    wider, points = [], []
    for number in range(PICTURES):
        name = f"{number:02d}.png"
        picture = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
        images.write_image(folder / name, picture)
        x, y = rng.integers(0, 30, 2)
        faces = [f"{x} {y} 40 40 0 0 0 0 0 0"] if number % 4 else []
        wider += [name, str(len(faces)), *(faces or ["0 0 0 0 0 0 0 0 0 0"])]
        if faces:
            marks = [
                f"{x + a} {y + b}" for a, b in ((12, 15), (28, 15), (20, 22), (14, 30), (26, 30))
            ]
            points.append(" ".join([name, f"{x} {x + 40} {y} {y + 40}", *marks]))
    (folder / "wider.txt").write_text("\n".join(wider) + "\n")
    (folder / "points.txt").write_text("\n".join(points) + "\n")
    return FaceLists((folder / "wider.txt",), (folder,), (folder / "points.txt",), (folder,))


@pytest.fixture(scope="module")
def config(lists, cascade_file):
    return HardSamplesConfig(
        detector=str(cascade_file),
        lists=lists,
        score_thresholds=(0.6, 0.5),
        mining=HardMiningConfig(min_face_size=24.0, negatives_per_image=5),
        workers=2,
    )


def mine(config, folder, **changes):
    with contextlib.redirect_stderr(io.StringIO()):
        return mine_hard_samples(replace(config, out=folder, **changes))


def checksums(folder):
    return {path.name: files.sha256(path) for path in folder.glob("*.*") if path.name[0] != "."}


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A finished folder for R-Net."""
    folder = tmp_path_factory.mktemp("whole") / "rnet"
    mine(config, folder)
    return folder


@pytest.mark.parametrize(("stage", "size"), [("rnet", 24), ("onet", 48)])
def test_what_a_folder_holds(config, whole, tmp_path, stage, size):
    folder = whole
    if stage == "onet":
        folder = tmp_path / "onet"
        mine(config, folder, stage=stage, pictures=8)
    records = CropRecords(folder)
    assert (records.stage, records.size) == (stage, size)
    assert all(records.counts.values())
    pictures = {"rnet": PICTURES, "onet": 8}[stage]
    assert records.manifest["counts"]["negative"] <= 5 * pictures
    assert records.manifest["notes"][DETECTIONS] >= records.manifest["counts"]["negative"]
    faces = pictures * 3 // 4
    assert records.manifest["counts"]["landmark"] == 20 * faces
    assert records.manifest["counts"]["positive"] >= 8 * faces


def test_the_number_of_workers_and_a_kill_change_nothing(config, whole, tmp_path, monkeypatch):
    done = 0
    cut = mine_faces.hard_crops

    def dies(*arguments, **named):
        nonlocal done
        done += 1
        if done == 12:
            raise KeyboardInterrupt
        return cut(*arguments, **named)

    monkeypatch.setattr(mine_faces, "hard_crops", dies)
    with pytest.raises(KeyboardInterrupt):
        mine(config, tmp_path / "rnet", workers=1)
    monkeypatch.undo()
    assert not (tmp_path / "rnet/manifest.json").exists()
    mine(config, tmp_path / "rnet", workers=3)
    assert checksums(tmp_path / "rnet") == checksums(whole)


def test_a_finished_folder_is_left_alone_or_refused(config, whole, monkeypatch):
    before = checksums(whole)
    monkeypatch.setattr(mine_faces, "hard_crops", lambda: pytest.fail("all is there"))
    mine(config, whole, workers=1)
    with pytest.raises(InputError, match="seed was 0, is now 1"):
        mine(config, whole, seed=1)
    with pytest.raises(InputError, match=r"score_thresholds was \[0.6, 0.5, 1.0\], is now \[0.7"):
        mine(config, whole, score_thresholds=(0.7, 0.5))
    assert checksums(whole) == before


def test_a_cascade_that_finds_nothing_is_an_error_every_time(config, cascade_file, tmp_path):
    for _ in range(2):
        with pytest.raises(InputError, match=f"{cascade_file}: finds no face in any of the pict"):
            mine(config, tmp_path / "rnet", score_thresholds=(1.0, 1.0), pictures=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detector": "no.npz"}, "no.npz: no such weights file"),
        ({"lists": FaceLists(annotations=("no.txt",), images=(".",))}, "no.txt"),
        ({"mining": HardMiningConfig(min_face_size=3)}, "min_face_size: 3"),
    ],
)
def test_unusable_flags(config, tmp_path, changes, message):
    with pytest.raises((InputError, FileNotFoundError), match=message):
        mine(config, tmp_path / "rnet", **changes)
    assert not (tmp_path / "rnet").exists()


def test_weights_are_told_apart_by_what_they_are(cascade_file):
    models = load_stages(cascade_file, "rnet")
    assert weights_sha256(models) == weights_sha256(load_stages(cascade_file, "rnet"))
    assert weights_sha256(models) != weights_sha256(load_stages(cascade_file, "pnet"))
    bias = models["rnet"].get_layer("conv1").bias
    before = weights_sha256(models)
    bias.assign(bias + 1e-6)
    assert weights_sha256(models) != before


@pytest.mark.parametrize(
    ("folder", "own", "expected"),
    [
        ("data/onet", False, "--stage onet --recipe demo"),
        ("data/onet", True, "--stage onet --recipe wider"),
        ("crops", True, "--stage onet --recipe wider --data.train crops"),
    ],
)
def test_what_trains_on_a_folder(lists, folder, own, expected):
    command = mine_faces.training_command("onet", Path(folder), lists if own else FaceLists())
    assert command == f"kptkit train mtcnn {expected}"
