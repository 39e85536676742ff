"""The judging command on faces: a detector that knows the truth, a worse one, and refusals."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from kptkit import files, images
from kptkit.data.faces.flags import FaceLists
from kptkit.data.faces.lists import load_faces
from kptkit.evaluate import face_report
from kptkit.face.detector import FacePrediction
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES
from kptkit.weights.cascade import save_cascade

NAMES = ("wider_face_val_bbx_gt", "face_landmarks_val")
BOXES, POINTS = (f"demo/annotations/{n}.txt" for n in NAMES)
LISTS = ("--annotations", BOXES, "--images", "demo/images", "--landmarks", POINTS)


@pytest.fixture
def evaluate(run_script, tmp_path):
    """Judges face detectors into tmp_path/out."""
    return lambda *flags: run_script(
        "evaluate.py", "--task", "face", "--out", tmp_path / "out", *flags
    )


@pytest.fixture
def knowing(run_script, monkeypatch):
    """Puts a detector in place that knows the demo set; named "half" it finds every other face.

    Returns the faces.
    """
    demo = FaceLists((Path(BOXES),), (Path("demo/images"),), (Path(POINTS),))
    [samples], _ = load_faces(demo)
    places = {images.read_image(p).tobytes(): n for n, p in enumerate(samples.image_paths)}

    class Knowing:
        def __init__(self, weights, **settings):
            self.step = {"default": 1, "half": 2}[weights]
            self.given = tuple(settings.values())

        def detect(self, image):
            assert self.given == (10, 0.709, (0.5, 0.5, 0.3), 4000, 6000)
            own = samples.of_image(places[image.tobytes()])
            own = own[own % self.step == 0]
            scores = np.linspace(0.9, 0.5, len(own))
            points = np.nan_to_num(samples.landmarks[own])
            return FacePrediction(samples.boxes_xyxy[own], scores, points)

    monkeypatch.setattr("kptkit.commands.early.check_cascade", lambda _: None)
    monkeypatch.setattr(face_report, "FaceDetector", Knowing)
    monkeypatch.setattr(face_report, "demo_lists", lambda split: {"val": demo}[split])
    return samples


@pytest.mark.parametrize("flags", [(), LISTS])
def test_one_who_knows_all_faces_gets_full_marks(tmp_path, evaluate, knowing, flags):
    """With lists, and without any on the demo set's validation part."""
    done = evaluate(*flags)
    assert done.code == 0, done.err
    assert "4 pictures of " in done.out
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert [entry["list"] for entry in metrics["made_from"]] == [f"{n}.txt" for n in NAMES]
    [judged] = metrics["sets"]
    assert judged["pictures"] == 4
    height = knowing.boxes_xyxy[:, 3] - knowing.boxes_xyxy[:, 1]
    for least in (20, 10):
        numbers = judged["boxes"]["default"][f"at_least_{least}px"]
        sought = (~knowing.ignored & (height >= least)).sum()
        assert numbers["faces"] == sought
        if sought:
            assert numbers["AP"] == pytest.approx(1)
            assert numbers["recall_10fp"] == 1
            row = f"| at_least_{least}px default | {sought:>5} | 1.000 | "
            assert row in done.out
    points = judged["landmarks"]["default"]
    assert points["faces"] == points["found"] > 0
    assert points["NME_inter_ocular"] == pytest.approx(0, abs=1e-6)


def test_two_detectors_are_compared_on_the_same_pictures(tmp_path, evaluate, knowing):
    done = evaluate(*LISTS, "--compare", "half", "--heights", "8", "--resamples", "50")
    assert done.code == 0, done.err
    [judged] = json.loads((tmp_path / "out/metrics.json").read_text())["sets"]
    boxes = judged["boxes"]
    one, other = (boxes[name]["at_least_8px"]["AP"] for name in ("default", "half"))
    difference = boxes["difference"]["at_least_8px"]
    assert difference["value"] == pytest.approx(one - other)
    assert 0 <= difference["low"] < difference["value"] < difference["high"] <= 1
    assert judged["landmarks"]["difference"]["sqrt_wh"]["value"] == pytest.approx(0)
    assert f"AP at_least_8px, default less half: +{one - other:.3f} [+" in done.out


def test_weights_of_a_file(tmp_path, evaluate):
    """Fresh networks find something or nothing; what is found is judged."""
    save_cascade(tmp_path / "fresh.npz", {stage: mtcnn(stage) for stage in STAGES})
    flags = ("--weights", tmp_path / "fresh.npz", "--min-face-size", "40")
    done = evaluate(*LISTS, *flags, "--score-thresholds", "0.9", "0.9", "0.9")
    assert done.code == 0, done.err
    assert files.sha256(tmp_path / "out/metrics.json")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--annotations", "no.txt", "--images", "demo/images"],
            "--annotations no.txt: no such file",
        ),
        (["--annotations", "demo/manifest.json"], "--images: 0 folders for 1 list"),
        ([*LISTS, "--weights", "no.npz"], "no.npz: no such weights file"),
        ([*LISTS, "--weights", "demo/manifest.json"], "manifest.json: not an .npz weights file"),
        ([*LISTS, "--min-face-size", "3"], "--min-face-size 3: expected a number, 10 to"),
        ([*LISTS, "--compare", "default"], "--compare default: judged already"),
        ([*LISTS, "--resamples", "-1"], "--resamples -1: expected a whole number"),
    ],
)
def test_what_cannot_be_judged_is_one_line(tmp_path, evaluate, flags, message):
    assert message in evaluate(*flags).error
    assert os.listdir(tmp_path) == []


def test_missing_lists_of_subsets_are_named(tmp_path, evaluate, knowing):
    error = evaluate(*LISTS, "--wider-lists", tmp_path).error
    assert "wider_easy_val.mat: No such file or directory; expected a list" in error


def test_the_flags_of_each_task_are_shown(run_script):
    faces = run_script("evaluate.py", "--task", "face", "--help")
    poses = run_script("evaluate.py", "--help")
    assert faces.code == poses.code == 0
    assert "--min-face-size" in faces.out
    assert "--oks-nms" not in faces.out
    assert "--oks-nms" in poses.out
    assert "--min-face-size" not in poses.out
