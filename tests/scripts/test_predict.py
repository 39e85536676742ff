"""The predicting command: boxes of every kind, pictures of every orientation, and refusals."""

import io
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from kptkit import images
from kptkit.data.formats.named_boxes import NamedBoxes
from kptkit.errors import InputError

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
    assert "000001.jpg: 1 person, written " in done.out
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
    assert f"000001.jpg: {len(first)} person" in done.out
    assert "000009.jpg: 0 persons" in done.out
    assert [person["file_name"] for person in found(tmp_path)] == ["000001.jpg"] * len(first)


def boxes_in(tmp_path, content, *pictures, least_score=0.0):
    """The boxes of some pictures in a file of this content, and what is left out."""
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    found = NamedBoxes(path, least_score)
    return [found.of(picture).tolist() for picture in pictures], dict(found.left_out)


def test_boxes_of_a_list(tmp_path):
    assert boxes_in(tmp_path, [], "1.jpg") == ([[]], {})
    people = [("a/1.jpg", [1, 2, 3, 4]), ("2.jpg", [5, 6, 7, 8]), ("1.jpg", [0, 0.5, 9, 9])]
    rows = [{"file_name": name, "bbox": box} for name, box in people]
    found, _ = boxes_in(tmp_path, rows, "b/1.jpg", "2.jpg", "3.jpg")
    assert found == [[[1, 2, 4, 6], [0, 0.5, 9, 9.5]], [[5, 6, 12, 14]], []]


def document(people, *categories):
    """A COCO file of one picture; people are their category, iscrowd and left side."""
    return {
        "images": [{"id": 7, "file_name": "val/9.jpg"}],
        "categories": [{"id": index, **c} for index, c in enumerate(categories, 1)],
        "annotations": [
            {"image_id": 7, "category_id": c, "iscrowd": crowd, "bbox": [left, 0, 5, 5]}
            for c, crowd, left in people
        ],
    }


PEOPLE = [(1, 0, 10), (2, 0, 20), (2, 1, 30), (3, 0, 40)]
PERSON, DOG, HORSE = {"name": "person"}, {"name": "dog"}, {"name": "horse", "keypoints": ["nose"]}


@pytest.mark.parametrize(
    ("categories", "expected", "left_out"),
    [
        ([], [10, 20, 40], {"crowds": 1}),
        ([DOG], [10, 20, 40], {"crowds": 1}),
        ([DOG, PERSON, HORSE], [20], {"crowds": 1, "of other categories": 2}),
        ([DOG, {"name": "cat"}, HORSE], [40], {"of other categories": 3}),
        ([HORSE, {"name": "cat"}], [10], {"of other categories": 3}),
    ],
)
def test_of_a_coco_file_only_single_persons_count(tmp_path, categories, expected, left_out):
    content = document(PEOPLE, *categories)
    if not categories:
        del content["categories"]
    (rows,), found = boxes_in(tmp_path, content, "9.jpg")
    assert ([row[0] for row in rows], found) == (expected, left_out)


def test_coco_results_know_pictures_by_their_numbers(tmp_path):
    results = [
        {"image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9},
        {"image_id": 139, "category_id": 18, "bbox": [0, 0, 9, 9], "score": 0.8},
        {"image_id": 139, "category_id": 1, "bbox": [5, 6, 7, 8], "score": 0.2},
        {"image_id": 285, "bbox": [5, 5, 5, 5], "score": 0.3},
    ]
    names = ("000000000139.jpg", "COCO_val2014_000000000285.jpg", "2850.jpg", "dog.jpg")
    found, left_out = boxes_in(tmp_path, results, *names, least_score=0.3)
    assert found == [[[1, 2, 4, 6]], [[5, 5, 10, 10]], [], []]
    assert left_out == {"of other categories": 1, "below a score of 0.3": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "no box for '9.jpg', nor for 1 other picture; it has no boxes"),
        (
            [{"file_name": "5.jpg", "bbox": [1, 2, 3, 4]}],
            "no box for '9.jpg', nor for 1 other picture; boxes are there for '5.jpg' and so on",
        ),
        (
            document([(1, 1, 0)], PERSON),
            "no box for '9.jpg', nor for 1 other picture; it has no boxes (left out: 1 crowds)",
        ),
    ],
)
def test_boxes_of_none_of_the_pictures(tmp_path, content, said):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as refused:
        NamedBoxes(path).check_pictures(["a/9.jpg", "6.jpg"])
    assert str(refused.value) == f"{path}: {said}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"file_name": "a.jpg"}], r"\[0\].bbox: missing; expected \[x, y, width, height\]"),
        ([{"file_name": "a.jpg", "bbox": [1, 2, 3]}], r"\[0\].bbox: \[1, 2, 3\]; expected"),
        ([{"file_name": "a.jpg", "bbox": [1, 2, -3, 4]}], "the last two above 0"),
        ([{"file_name": "a.jpg", "bbox": [1, 2, "3", 4]}], r"bbox: \[1, 2, '3', 4\]; expected"),
        ([{"file_name": "a.jpg", "bbox": [1, 2, 3, 4], "score": "x"}], "score: 'x'; expected a n"),
        ([{"file_name": 3, "bbox": [1, 2, 3, 4]}], "file_name 3, image_id missing; expected a COC"),
        ([{"bbox": [1, 2, 3, 4]}], "file_name missing, image_id missing; expected a COCO file"),
        ([7], "int; expected a COCO file, COCO results, or a list of objects with file_name and"),
        (7, "int; expected a COCO file"),
        ({"images": []}, "dict; expected a COCO file"),
        ({"images": 3, "annotations": []}, "images: int; expected a list"),
        ({"images": [3], "annotations": []}, r"images\[0\]: int; expected an object"),
        (
            {"images": [{"id": 3}], "annotations": []},
            r"images\[0\]: id 3, file_name missing; expected both",
        ),
        (
            {"images": [], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]},
            r"annotations\[0\].image_id: 1; expected an id that images lists",
        ),
        (document([], DOG, {"name": "cat"}), "categories: 'dog', 'cat'; expected one of several"),
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
        (["no.jpg", "none.png"], "; none of 2 pictures can be used"),
        (["run/config.json"], "run/config.json: "),
        ([PHOTO, "--box", "60", "20", "10", "120"], "with x1 < x2 and y1 < y2"),
        ([PHOTO, "--box", "900", "20", "1000", "120"], f"--box 900 20 1000 120: outside {PHOTO}"),
        ([PHOTO, "--box", "-9", "20", "0", "120"], f"--box -9 20 0 120: outside {PHOTO}"),
        ([PHOTO, "--box", "1", "2", "3", "4", "--boxes", "run/config.json"], "--boxes; give one"),
        ([PHOTO, "demo/images/train/000001.jpg"], "would replace another picture"),
        ([PHOTO, "--out", "demo/images/val"], "would replace another picture"),
        ([PHOTO, "--boxes", "no.json"], "--boxes no.json: no such file"),
        ([], "IMAGES not given"),
    ],
)
def test_what_cannot_be_predicted_is_one_line(tmp_path, run_script, flags, message):
    out = ("--run", "run", "--out", tmp_path / "out")
    assert message in run_script("predict.py", *out, *flags).error
    assert os.listdir(tmp_path) == []


def test_without_a_run_there_is_nothing_to_predict_with(run_script):
    error = run_script("predict.py", PHOTO, "--run", "demo").error
    assert error == "demo: no run folder (no config.json); train one first"


def test_bad_pictures_do_not_cost_the_good_ones(workplace, tmp_path, predict):
    bad = tmp_path / "bad.jpg"
    photo = (workplace.folder / PHOTO).read_bytes()
    bad.write_bytes(photo[: len(photo) // 2])  # its header is sound
    done = predict(bad, PHOTO, "none.jpg")
    assert done.code == 2
    said = ("not used: ", "error: ")
    first, second, last = (line for line in done.err.splitlines() if line.startswith(said))
    assert first.startswith(f"not used: {bad}: ")
    assert second.startswith("not used: none.jpg: ")
    end = "2 of 3 pictures could not be used, listed above; the others are in "
    assert last == f"error: {end}{tmp_path}/out/keypoints.json"
    assert [person["file_name"] for person in found(tmp_path)] == ["000001.jpg"]
    assert sorted(os.listdir(tmp_path / "out")) == ["000001.jpg", "keypoints.json"]


def test_a_box_of_a_file_outside_its_picture(tmp_path, predict):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([{"file_name": "000001.jpg", "bbox": [5000, 3, 20, 20]}]))
    error = predict(PHOTO, "--boxes", path).error
    assert error.startswith(f"{PHOTO}: box 5000 3 5020 23: outside the picture of ")
    assert os.listdir(tmp_path) == ["boxes.json"]
