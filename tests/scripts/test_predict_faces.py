"""The predicting command on faces: what it writes and draws, upright, and what it refuses."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from kptkit import images
from kptkit.face.detector import FacePrediction
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES
from kptkit.weights.cascade import save_cascade

PHOTO = "demo/images/val/000001.jpg"
BOX = np.array([20.0, 30, 80, 100])


@pytest.fixture
def predict(run_script, tmp_path):
    """Looks for faces and writes into tmp_path/out."""
    return lambda *flags: run_script(
        "predict.py", "--task", "face", *flags, "--out", tmp_path / "out"
    )


@pytest.fixture
def fixed(monkeypatch):
    """Puts a detector in place that finds one face, but none on narrow pictures.

    Returns the flags it is given.
    """
    given = []

    class Fixed:
        def __init__(self, *arguments, **named):
            given.append((arguments, named))

        def detect(self, image):
            if image.shape[1] < 100:
                return FacePrediction(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
            points = BOX[:2] + np.linspace(0.25, 0.75, 10).reshape(5, 2) * (BOX[2:] - BOX[:2])
            return FacePrediction(BOX[None], np.array([0.875]), points[None])

    monkeypatch.setattr("kptkit.face.detector.FaceDetector", Fixed)
    return given


def test_faces_are_drawn_and_written(workplace, tmp_path, predict, fixed):
    photo = images.read_image(workplace.folder / PHOTO)
    done = predict(PHOTO)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        f"{PHOTO}: 1 face, written {tmp_path}/out/000001.jpg",
        f"written: {tmp_path}/out/faces.json",
    ]
    [face] = json.loads((tmp_path / "out/faces.json").read_text())
    assert face["file_name"] == "000001.jpg"
    assert face["image_id"] == 1
    assert face["bbox"] == [20, 30, 60, 70]
    assert face["score"] == 0.875
    assert np.shape(face["landmarks"]) == (5, 2)
    drawn = images.read_image(tmp_path / "out/000001.jpg")
    assert drawn.shape == photo.shape
    assert (np.abs(drawn.astype(int) - photo)[30:100, 20:80] > 50).any()
    assert np.median(np.abs(drawn.astype(int) - photo)[120:]) < 8
    [(arguments, named)] = fixed
    assert arguments == ("default", 20)
    assert named == {"score_thresholds": (0.6, 0.7, 0.7), "max_faces": 500, "max_side": 6000}


def test_flags_reach_the_detector(predict, fixed, cache):
    cache.mkdir()
    (cache / "mtcnn-original.npz").touch()
    flags = ("--score-thresholds", "0.5", "0.6", "0.8", "--max-faces", "9", "--max-side", "800")
    assert predict(PHOTO, "--weights", "original", "--min-face-size", "12.5", *flags).code == 0
    settings = {"score_thresholds": (0.5, 0.6, 0.8), "max_faces": 9, "max_side": 800}
    assert fixed == [(("original", 12.5), settings)]


def test_pictures_are_turned_upright_and_those_without_faces_kept(tmp_path, predict, fixed):
    wide, tall, file = tmp_path / "wide.jpg", tmp_path / "tall.png", io.BytesIO()
    tags = Image.Exif()
    tags[0x112] = 6  # stored on its side: 90 by 120 pixels
    Image.new("RGB", (90, 120), "gray").save(file, "JPEG", exif=tags.tobytes())
    wide.write_bytes(file.getvalue())
    images.write_image(tall, np.zeros((120, 90, 3), np.uint8))
    done = predict(wide, tall)
    assert done.code == 0, done.err
    assert "wide.jpg: 1 face" in done.out
    assert "tall.png: 0 faces" in done.out
    faces = json.loads((tmp_path / "out/faces.json").read_text())
    assert [face["file_name"] for face in faces] == ["wide.jpg"]
    assert images.read_image(tmp_path / "out/wide.jpg").shape == (90, 120, 3)
    assert (images.read_image(tmp_path / "out/tall.jpg") == 0).all()


def test_a_cascade_of_ones_own(tmp_path, predict):
    save_cascade(tmp_path / "fresh.npz", {stage: mtcnn(stage) for stage in STAGES})
    done = predict(PHOTO, "--weights", tmp_path / "fresh.npz", "--min-face-size", "40")
    assert done.code == 0, done.err
    faces = json.loads((tmp_path / "out/faces.json").read_text())
    assert f"{PHOTO}: {len(faces)} face" in done.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["no.jpg"], "no.jpg: "),
        (["run/config.json"], "run/config.json: "),
        ([PHOTO, "demo/images/train/000001.jpg"], "would replace another picture"),
        ([], "IMAGES not given"),
    ],
)
def test_what_cannot_be_predicted_is_one_line(tmp_path, predict, fixed, flags, message):
    assert message in predict(*flags).error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--weights", "no.npz"], "no.npz: no such weights file"),
        (["--min-face-size", "5"], "--min-face-size 5: expected a number, 10 to 100,000"),
        (
            ["--score-thresholds", "0.5", "2", "0.5"],
            "--score-thresholds 2: expected a number, 0 to 1",
        ),
    ],
)
def test_what_is_no_detector_is_one_line(tmp_path, predict, flags, message):
    assert message in predict(PHOTO, *flags).error
    assert os.listdir(tmp_path) == []
