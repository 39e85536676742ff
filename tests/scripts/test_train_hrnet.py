"""The training command: what a run leaves, when it refuses, and what it says."""

import csv
import json
import os
import re
from dataclasses import replace

import pytest

from kptkit import files, images
from kptkit.recipes.pose import RECIPES
from kptkit.runs import PoseRun, load_run

NAMES = ["nose", "hat", "hand", "knee", "foot"]


@pytest.fixture
def train(workplace, run_script):
    """The command of the workplace's run with other flags added, which win."""

    def run(*flags):
        return run_script("train_hrnet.py", *workplace.arguments, *flags)

    return run


def contents(folder):
    """The checksum of every file, but for locks."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): files.sha256(path) for path in paths}


def edited(workplace, path, edit):
    """A copy of the training labels, changed by `edit`, under another name."""
    document = json.loads(workplace.annotations("train").read_text())
    edit(document)
    path.write_text(json.dumps(document))
    return path


def five_keypoints(document):
    document["categories"][0] |= {"keypoints": NAMES, "skeleton": [[1, 2]]}
    for person in document["annotations"]:
        person["keypoints"] = person["keypoints"][: 3 * len(NAMES)]
        del person["area"], person["num_keypoints"]


def corner_boxes(document):
    for person in document["annotations"]:
        left, top, width, height = person["bbox"]
        person["bbox"] = [left + 200, top, left + width + 200, top + height]
        person["keypoints"][::3] = [x + 200 for x in person["keypoints"][::3]]
    for image in document["images"]:
        image["width"] += 200


def test_a_run_folder_holds_what_was_done_and_reached(workplace):
    run = load_run(workplace.run, PoseRun)
    assert run.recipe == replace(RECIPES["demo"], epochs=1, batch_size=8, input_size_wh=(64, 64))
    assert run.schema.num_keypoints == 17
    assert run.data["train"] == str(workplace.annotations("train"))
    with open(run.folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3")]
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["best"]["AP"] == metrics["last"]["AP"]
    assert images.read_image(run.folder / "predictions.jpg").shape[2] == 3
    assert (run.folder / "export/1/saved_model.pb").is_file()
    names = {"best.npz", "last.npz", "checkpoints", "tensorboard"}
    assert names <= set(os.listdir(run.folder))
    assert not list(run.folder.rglob(files.UNFINISHED_PREFIX + "*"))


def test_a_run_says_what_it_does(workplace):
    done = workplace.done
    for expected in (
        "flip pairs: left_eye:right_eye, left_ear:right_ear",
        "persons to learn from, ",
        "device: ",
        "epoch 1/1  loss ",
        "|    AP |  AP50 |",
        "picture of predictions: run/predictions.jpg",
        "exported SavedModel: run/export/1",
        "next: kptkit predict PHOTO.jpg --run run",
    ):
        assert expected in done.out
    assert "100%" in done.err  # the progress bar
    assert "Warning" not in done.err
    assert "Traceback" not in done.err


def test_a_finished_run_is_left_alone(workplace, train):
    before = contents(workplace.run)
    done = train("--out", "run")
    assert done.code == 0
    assert "run: finished already" in done.out
    assert contents(workplace.run) == before


def test_other_settings_do_not_go_into_the_same_folder(workplace, train):
    before = contents(workplace.run)
    error = train("--out", "run", "--seed", "1", "--learning-rate", "0.01").error
    assert error.startswith("run: holds a run with other settings: ")
    assert "options.seed was 0, is now 1" in error
    assert f"recipe.learning_rate was {RECIPES['demo'].learning_rate}, is now 0.01" in error
    assert contents(workplace.run) == before


def test_two_trainers_do_not_share_a_folder(tmp_path, train):
    with files.locked(tmp_path):
        assert f"{tmp_path}: in use by process {os.getpid()}" in train("--out", tmp_path).error
    assert os.listdir(tmp_path) == [".lock"]


@pytest.mark.slow
def test_a_dry_run_on_other_keypoints_leaves_nothing(workplace, tmp_path, train):
    """And with them: the notices of a file as labelling tools write it, the split, the new head."""
    labels = edited(workplace, tmp_path / "five.json", five_keypoints)
    before = contents(workplace.folder)
    flags = ("--data.train", labels, "--data.val", "0.25", "--init", "run", "--dry-run")
    done = train(*flags, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    for expected in (
        f"{labels}: annotations.area: missing; 0.53 of the box's area is used",
        "flip pairs: none found in the names, so mirroring is off in training and test",
        "its head has 17 keypoints, this model 5; the head starts afresh",
        "epoch 1/1  loss ",
    ):
        assert expected in done.out
    assert done.out.splitlines()[-1] == "dry run: fine, nothing kept"
    assert not [word for word in ("exported", "predictions", "next:") if word in done.out]
    learn, held_out = map(
        int, re.search(r"(\d+) persons to learn from, (\d+) held out, 5 keyp", done.out).groups()
    )
    assert 0 < held_out < learn
    assert contents(workplace.folder) == before
    assert os.listdir(tmp_path) == ["five.json"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--recipe", "demmo"], "--recipe demmo: expected one of .*; did you mean demo\\?"),
        (["--data.train", "no.json"], "--data.train no.json: no such file or folder"),
        (["--data.val", "no.json"], "--data.val no.json: no such file, nor a share"),
        (["--data.val", "0.001"], "a share of 0.001 of 12 images"),
        (["--data.images", "no"], "--data.images no: no such folder"),
        (["--data.images", "run"], "run/val/000001.jpg: missing, as are all 4 pictures"),
        (["--data.category", "dog"], ".*category dog: expected one of 'person'"),
        (["--data.flip-pairs", "nose:hat"], "'hat' is not a keypoint"),
        (
            ["--out", "demo/manifest.json"],
            "--out demo/manifest.json: a file is there; expected the name",
        ),
        (["--out", "demo"], r"demo: holds other files \(ann.*\) and no run"),
        (["--init", "no.npz"], "no.npz: no run folder or weights file"),
    ],
)
def test_unusable_flags_are_one_line(workplace, train, flags, message):
    before = contents(workplace.folder)
    assert re.search(message, train("--out", "new", *flags).error)
    left = contents(workplace.folder)
    left.pop("new/config.json", None)  # where the start failed late; it binds nobody
    assert left == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["annotations"][3].update(bbox=[1, 2]), r"annotations\[3\].bbox \(id 4\)"),
        (lambda d: d["annotations"][3].update(id=3), r"annotations\[3\].id \(id 3\): .*twice"),
        (corner_boxes, "fit as x1, y1, x2, y2; expected"),
        (lambda d: d.pop("images"), "images: missing; expected a list"),
        (lambda d: d["images"][2].update(width=2000), r"images \(id 3\): 2000x\d+ is stated"),
        (lambda d: [p.update(iscrowd=1) for p in d["annotations"]], "no usable person"),
    ],
)
def test_faulty_labels_are_one_line(workplace, tmp_path, train, edit, message):
    labels = edited(workplace, tmp_path / "labels.json", edit)
    error = train("--data.train", labels, "--out", tmp_path / "out").error
    assert str(labels) in error
    assert re.search(message, error)
    assert os.listdir(tmp_path) == ["labels.json"]


@pytest.mark.parametrize("content", ["", '{"images": [', '{"images": NaN}', "[" * 100_000])
def test_broken_json_is_one_line(tmp_path, train, content):
    labels = tmp_path / "labels.json"
    labels.write_text(content)
    assert train("--data.train", labels, "--out", tmp_path / "out").error.startswith(str(labels))
    assert os.listdir(tmp_path) == ["labels.json"]


def test_data_flags_need_training_data(run_script):
    error = run_script("train_hrnet.py", "--data.val", "x.json", "--data.images", "demo").error
    assert "expected --data.train X.json" in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epohcs", "3"], "--epochs"),
        (["--epochs", "many"], "--epochs many: expected a whole number"),
        (["--variant", "w33"], "did you mean w32?"),
        (["--batch-size", "0"], "--batch-size: 0; expected"),
        (["--input-size-wh", "60", "64"], "expected multiples of 32"),
        (["--learning-rate", "nan"], "--learning-rate nan: expected a number"),
        (["--augment.scale", "2"], "--augment.scale: 2.0"),
        (["--overfit", "-1"], "--overfit -1: expected a whole number, 0 or more"),
    ],
)
def test_wrong_flags_are_refused_with_what_was_meant(train, flags, message):
    done = train(*flags)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_start_that_failed_may_be_corrected(workplace, tmp_path):
    """Settings bind a folder from the first thing learned on."""
    run = replace(load_run(workplace.run, PoseRun), folder=tmp_path)
    run.write({"seed": 0})
    run.write({"seed": 1})
    assert json.loads((tmp_path / "config.json").read_text())["options"] == {"seed": 1}
    (tmp_path / "checkpoints/step-00000003").mkdir(parents=True)
    run.write({"seed": 1})
    with pytest.raises(ValueError, match=r"options\.seed was 1, is now 2"):
        run.write({"seed": 2})
