"""The predicting command: boxes of every kind, pictures of every orientation, and refusals."""

import io
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from kptkit import images
from kptkit.data.formats.named_boxes import boxes_by_name

PHOTO = "demo/images/val/000001.jpg"


@pytest.fixture
def predict(run_script, tmp_path):
    """Predicts with the workplace's run into tmp_path/out."""
    return lambda *flags: run_script(
        "predict.py", *flags, "--run", "run", "--out", tmp_path / "out"
    )


@pytest.fixture
def photo(workplace):
    return images.read_image(workplace.folder / PHOTO)


def found(tmp_path):
    return json.loads((tmp_path / "out/keypoints.json").read_text())


def write_turned(path, image):
    """A JPEG that is stored on its side, and says so."""
    tags, file = Image.Exif(), io.BytesIO()
    tags[0x112] = 6
    Image.fromarray(np.rot90(image)).save(file, "JPEG", exif=tags.tobytes())
    path.write_bytes(file.getvalue())


def test_whole_pictures_are_read_upright(tmp_path, photo, predict):
    turned = tmp_path / os.fsdecode(b"caf\xe9 turned.jpg")
    write_turned(turned, photo)
    done = predict(PHOTO, turned)
    assert done.code == 0, done.err
    assert "000001.jpg: 1 person(s), written " in done.out
    for name in ("000001.jpg", turned.name):
        drawn = images.read_image(tmp_path / "out" / name)
        assert drawn.shape == photo.shape
        assert np.median(np.abs(drawn.astype(int) - photo)) < 8
    persons = found(tmp_path)
    assert [person["file_name"] for person in persons] == ["000001.jpg", turned.name]
    for person in persons:
        keypoints = np.reshape(person["keypoints"], (17, 3))
        height, width = photo.shape[:2]
        # The crop of the whole picture is a little larger than the picture.
        assert (np.abs(keypoints[:, :2] / [width, height] - 0.5) < 1).all()
        assert person["score"] == pytest.approx(keypoints[:, 2].mean(), abs=1e-5)


def test_one_box(tmp_path, photo, predict):
    done = predict(PHOTO, "--box", "-4", "20", "60.5", "120")
    assert done.code == 0, done.err
    [person] = found(tmp_path)
    keypoints = np.reshape(person["keypoints"], (17, 3))
    # 60 px around the box's centre, the reach of a window of 1.25 times its longer side
    assert (np.abs(keypoints[:, :2] - [28.25, 70]) < 1.25 * 100 / 2 + 5).all()
    drawn = images.read_image(tmp_path / "out/000001.jpg")
    assert (np.abs(drawn.astype(int) - photo) > 50).any()


def test_boxes_of_a_coco_file(workplace, tmp_path, predict):
    labels = workplace.annotations("val")
    people = json.loads(labels.read_text())["annotations"]
    first = [person for person in people if person["image_id"] == people[0]["image_id"]]
    other = "demo/images/train/000009.jpg"
    done = predict(PHOTO, other, "--boxes", labels)
    assert done.code == 0, done.err
    assert f"000001.jpg: {len(first)} person(s)" in done.out
    assert "000009.jpg: 0 person(s)" in done.out
    assert [person["file_name"] for person in found(tmp_path)] == ["000001.jpg"] * len(first)


def test_boxes_of_a_list(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text("[]")
    assert boxes_by_name(path) == {}
    people = [("a/1.jpg", [1, 2, 3, 4]), ("2.jpg", [5, 6, 7, 8]), ("1.jpg", [0, 0.5, 9, 9])]
    path.write_text(json.dumps([{"file_name": name, "bbox": box} for name, box in people]))
    assert {name: rows.tolist() for name, rows in boxes_by_name(path).items()} == {
        "1.jpg": [[1, 2, 4, 6], [0, 0.5, 9, 9.5]],
        "2.jpg": [[5, 6, 12, 14]],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"file_name": "a.jpg"}], r"KeyError\('bbox'\)"),
        (
            [{"file_name": "a.jpg", "bbox": [1, 2, 3]}],
            r"\[0\]: file_name 'a.jpg', bbox \[1, 2",
        ),
        ([{"file_name": "a.jpg", "bbox": [1, 2, -3, 4]}], "the last two above 0"),
        ([{"file_name": "a.jpg", "bbox": [1, 2, "3", 4]}], "expected a name and"),
        ([{"file_name": 3, "bbox": [1, 2, 3, 4]}], "file_name 3"),
        ([7], "expected a COCO file, or a list of objects with file_name and bbox"),
        (7, "expected a COCO file"),
        ({"images": []}, r"KeyError\('annotations'\)"),
        ({"images": [], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}, r"KeyError\(1\)"),
    ],
)
def test_faulty_boxes_are_one_line(tmp_path, predict, content, message):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    error = predict(PHOTO, "--boxes", path).error
    assert error.startswith(f"{path}: ")
    assert re.search(message, error)
    assert os.listdir(tmp_path) == ["boxes.json"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["no.jpg"], "no.jpg: "),
        (["run/config.json"], "run/config.json: "),
        ([PHOTO, "--box", "60", "20", "10", "120"], "expected finite x1 < x2 and y1 < y2"),
        ([PHOTO, "--box", "1", "2", "3", "4", "--boxes", "run/config.json"], "both are given"),
        ([PHOTO, "demo/images/train/000001.jpg"], "would replace another picture"),
        ([PHOTO, "--out", "demo/images/val"], "would replace another picture"),
        ([PHOTO, "--boxes", "no.json"], "no.json: No such file"),
        ([], "no pictures"),
    ],
)
def test_what_cannot_be_predicted_is_one_line(tmp_path, run_script, flags, message):
    out = ("--run", "run", "--out", tmp_path / "out")
    assert message in run_script("predict.py", *out, *flags).error
    assert os.listdir(tmp_path) == []


def test_without_a_run_there_is_nothing_to_predict_with(run_script):
    error = run_script("predict.py", PHOTO, "--run", "demo").error
    assert error == "demo: no run folder (no config.json); train one first"
