"""The judging command: on a run's own data, in detected boxes, and where it refuses."""

import json
import os
import re
import shutil

import numpy as np
import pytest

from kptkit.arrays import save_arrays


@pytest.fixture
def evaluate(run_script, tmp_path):
    """Judges the workplace's run into tmp_path/out."""
    return lambda *flags: run_script("evaluate.py", "run", "--out", tmp_path / "out", *flags)


def read(path):
    return json.loads(path.read_text())


def persons(workplace):
    return read(workplace.annotations("val"))["annotations"]


def test_own_data_give_the_numbers_of_training(workplace, tmp_path, evaluate):
    done = evaluate()
    assert done.code == 0, done.err
    assert f"{len(persons(workplace))} persons" in done.out
    assert "|    AP |  AP50 |" in done.out
    assert "PCK: in torsos, from left shoulder to right hip" in done.out
    rows = re.findall(r"^\| +(\w+) \| +(\d+) \|", done.out, re.MULTILINE)
    labelled = sum(person["num_keypoints"] for person in persons(workplace))
    assert rows[-1] == ("all", str(labelled))
    assert [rows[0][0], rows[16][0], len(rows)] == ["nose", "right_ankle", 18]
    best = read(workplace.run / "metrics.json")["best"]
    assert read(tmp_path / "out/metrics.json") == pytest.approx(best, abs=1e-6)
    assert "PCK@0.2" in best
    results = read(tmp_path / "out/results.json")
    assert sorted(r["image_id"] for r in results) == sorted(
        person["image_id"] for person in persons(workplace)
    )
    assert all(set(r) == {"image_id", "category_id", "keypoints", "score"} for r in results)


def test_a_weights_file_of_a_run_is_evaluated_itself(workplace, run_script, tmp_path):
    """Not the best weights of its folder: this file does not fit the network, and is refused."""
    shutil.copy(workplace.run / "config.json", tmp_path)
    other = tmp_path / "other.npz"
    save_arrays(other, {"a": np.zeros(1, np.float32)})
    for flags in ([other], [tmp_path, "--weights", other.name]):
        assert f"{other}: does not fit" in run_script("evaluate.py", *flags).error
    error = run_script("evaluate.py", other, "--weights", other.name).error
    assert error == f"weights: other.npz; expected a run folder beside it, not {other}"


def test_detected_boxes_are_thinned_and_others_left_out(workplace, tmp_path, evaluate):
    """With sigmas so large that every point is right, AP is that of the boxes."""
    people = persons(workplace)
    box = {"category_id": 1, "score": 0.9}
    detections = [box | {"image_id": p["image_id"], "bbox": p["bbox"]} for p in people]
    copies = [detection | {"score": 0.8} for detection in detections]
    others = [detections[0] | {"category_id": 7}, detections[0] | {"image_id": 1}]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(detections + copies + others))
    sigmas = ("--oks-sigmas", *["1000"] * 17)
    done = evaluate("--detections", path, *sigmas)
    assert done.code == 0, done.err
    assert f"{2 * len(people)} persons" in done.out
    assert "left out" in done.out
    assert "nose" not in done.out  # nobody knows who is who
    # With these sigmas all persons of a picture are copies of its best.
    pictures = {person["image_id"] for person in people}
    results = read(tmp_path / "out/results.json")
    assert sorted(result["image_id"] for result in results) == sorted(pictures)
    assert read(tmp_path / "out/metrics.json")["AP50"] == pytest.approx(
        len(pictures) / len(people), abs=0.02
    )


def test_data_of_other_keypoints_are_refused(workplace, tmp_path, evaluate):
    document = read(workplace.annotations("val"))
    document["categories"][0] |= {"keypoints": ["nose", "hat"], "skeleton": []}
    for person in document["annotations"]:
        person["keypoints"] = person["keypoints"][:6]
    path = tmp_path / "two.json"
    path.write_text(json.dumps(document))
    error = evaluate("--data.val", path, "--data.images", "demo/images").error
    assert error.startswith(f"{path}: keypoints nose, hat; expected those that run learned: nose, ")
    assert os.listdir(tmp_path) == ["two.json"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--weights", "first.npz"], "run/first.npz: no such weights file"),
        (["--weights", "history.csv"], "run/history.csv: not an .npz weights file"),
        (
            ["--data.val", "no.json", "--data.images", "demo/images"],
            "--data.val no.json: no such file",
        ),
        (["--data.images", "no"], "--data.images no: no such folder"),
        (["--data.images", "run"], "run/val/000001.jpg: missing, as are all 4 pictures"),
        (
            ["--data.train", "run"],
            "--data.train: has no effect on an evaluation: o",
        ),
        (
            ["--data.flip-pairs", "1:2"],
            "--data.flip-pairs: has no effect on an evaluation: t",
        ),
        (["--detections", "no.json"], "--detections no.json: no such file"),
        (["--detections", "run/config.json"], "run/config.json: dict; expected a list"),
        (["--oks-sigmas", "0.1", "0.2"], "oks_sigmas: 2 numbers; expected one for each of the 17"),
    ],
)
def test_what_cannot_be_judged_is_one_line(tmp_path, evaluate, flags, message):
    assert message in evaluate(*flags).error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [1, 2, 3]}, r"\[1\].bbox: \[1, 2, 3\]"),
        ({"score": None}, r"\[1\].score: None"),
        ({"image_id": "7"}, r"\[1\].image_id: '7'"),
    ],
)
def test_faulty_detections_are_named(workplace, tmp_path, evaluate, change, message):
    person = persons(workplace)[0]
    box = {"image_id": person["image_id"], "category_id": 1, "bbox": [1, 1, 9, 9], "score": 1}
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([box, box | change]))
    error = evaluate("--detections", path).error
    assert error.startswith(str(path))
    assert re.search(message, error)


@pytest.mark.parametrize("name", ["demo", "no"])
def test_what_is_no_run_is_one_line(run_script, name):
    error = run_script("evaluate.py", name).error
    assert error.startswith(f"{name}: no run folder")
