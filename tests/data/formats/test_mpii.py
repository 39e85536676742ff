"""MPII's official file here follows its README; the real one was not available."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.mat_structs import mat_bytes, struct_array

from kptkit import images
from kptkit.data.formats.index import inspect_annotations, load_annotations
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError
from kptkit.geometry import affine

real_data = pytest.mark.skipif(
    "KPTKIT_DATA" not in os.environ, reason="KPTKIT_DATA does not name the folder of real data"
)
HEAD = {"x1": 10.0, "y1": 20.0, "x2": 40.0, "y2": 60.0}  # a diagonal of 50


def points(*joints):
    rows = [dict(zip(("id", "x", "y", "is_visible"), joint, strict=False)) for joint in joints]
    return struct_array({"point": struct_array(*rows)})


def rect(**changes):
    position = struct_array({"x": 50.0, "y": 40.0})
    joints = points((6, 51, 41, 1), (0, 61.5, 71, 0), (9, 31, 21), (10, 2, 3, "0"), (11, 4, 5, "1"))
    return HEAD | {"scale": 0.5, "objpos": position, "annopoints": joints} | changes


def without(name):
    return {key: value for key, value in rect().items() if key != name}


def frame(name, *rects):
    people = struct_array(*rects) if rects else np.zeros((0, 0))
    return {"image": struct_array({"name": name}), "annorect": people, "frame_sec": 3}


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        images.write_image(tmp_path / name, np.zeros((80, 100, 3), np.uint8))
    return tmp_path


def write_mat(folder, *frames, **release):
    path = folder / "mpii.mat"
    fields = {"annolist": struct_array(*frames)} if frames else {}
    path.write_bytes(mat_bytes(RELEASE=struct_array(fields | {"version": 12} | release)))
    return path


def write_json(folder, *people, name="valid.json"):
    path = folder / name
    path.write_text(json.dumps(list(people)))
    return path


def person(**changes):
    joints = [[10.0 + n, 20.0 + n] for n in range(16)]
    return {
        "image": "a.jpg",
        "center": [50.0, 40.0],
        "scale": 0.5,
        "joints": joints,
        "joints_vis": [0] + [1] * 15,
    } | changes


def test_the_official_file(folder):
    test_part = {"scale": 1.0, "objpos": struct_array({"x": 1.0, "y": 2.0})}
    path = write_mat(
        folder,
        frame("none.jpg"),
        frame("gone.jpg", test_part),
        frame("a.jpg", rect(), rect(x1=np.zeros((0, 0)))),
        frame("b.jpg", rect(annopoints=np.zeros((0, 0))), without("objpos"), rect()),
    )
    file = load_annotations(path, "mpii", folder)
    samples = keypoint_samples(file, folder, report=lambda _: None)
    assert samples.protocol == "pckh"
    assert samples.schema.names[6] == "pelvis"
    assert [Path(path).name for path in samples.image_paths] == ["a.jpg", "b.jpg"]
    assert samples.image_index.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(samples.reference_lengths, np.float32([30, np.nan, 30]))
    # Pixels count from 0; joint 6 is visible, 0 is hidden, 9 has no flag.
    expected = np.zeros((16, 3))
    expected[[0, 6, 9, 10, 11]] = [
        *([60.5, 70, 1], [50, 40, 2], [30, 20, 2], [1, 2, 1], [3, 4, 2]),
    ]
    np.testing.assert_array_equal(samples.keypoints, np.stack([expected] * 3))
    # 200 * 0.5 pixels around (49, 39), moved down by 15 * 0.5.
    assert samples.boxes_xyxy.tolist() == [[-1, -3.5, 99, 96.5]] * 3
    assert any("has no joints" in line and "(2 times)" in line for line in file.notices)
    assert any("no position or no scale" in line for line in file.notices)


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ({}, "mpii.mat: RELEASE.annolist: missing; expected the struct RELEASE"),
        ({"annolist": "text"}, "mpii.mat: RELEASE.annolist: a text; expected a struct"),
    ],
)
def test_no_annotations(folder, release, message):
    with pytest.raises(InputError, match=message):
        load_annotations(write_mat(folder, **release), "mpii", folder)


def test_another_mat_file(folder):
    path = folder / "mpii.mat"
    path.write_bytes(mat_bytes(joints=np.zeros(3)))
    with pytest.raises(InputError, match="no variable 'RELEASE'; expected the struct RELEASE"):
        load_annotations(path, "mpii", folder)


PLACE = r"RELEASE\.annolist\(2\)\.annorect"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": "big"}, rf"{PLACE}\.scale: a text; expected 1 number"),
        ({"scale": [1, 2]}, rf"{PLACE}\.scale: 2 numbers; expected 1 number"),
        ({"scale": np.nan}, rf"{PLACE}: box nan, nan, nan, nan; expected finite pixels"),
        ({"objpos": 3}, rf"{PLACE}\.objpos: numbers; expected a struct"),
        ({"objpos": struct_array({"x": 1})}, rf"{PLACE}\.objpos\.y: missing or empty; expected"),
        ({"x2": np.zeros((0, 0))}, rf"{PLACE}\.x2: missing or empty; expected a number"),
        ({"x2": np.inf}, rf"{PLACE}\.x2: inf; expected numbers up to"),
        ({"annopoints": points((16, 1, 2))}, rf"{PLACE}\.annopoints\.point\.id: 16; expected 0 to"),
        ({"annopoints": points((0.5, 1, 2))}, r"point\.id: 0\.5; expected 0 to 15"),
        ({"annopoints": points((0, 1))}, r"point\.y: missing or empty; expected a number"),
        ({"annopoints": points((0, np.nan, 2))}, rf"{PLACE}: a labelled keypoint without finite"),
    ],
)
def test_faults_of_the_official_file_name_the_person(folder, changes, message):
    path = write_mat(folder, frame("a.jpg", rect()), frame("b.jpg", rect(**changes)))
    with pytest.raises(InputError, match=f"mpii.mat: .*{message}"):
        load_annotations(path, "mpii", folder)


def test_pictures_stay_in_their_folder(folder):
    path = write_mat(folder, frame("../a.jpg", rect()))
    with pytest.raises(InputError, match=r"annorect: picture '\.\./a\.jpg'; expected the path"):
        load_annotations(path, "mpii", folder)


def test_the_json_of_hrnet(folder):
    file = load_annotations(write_json(folder, person()), "mpii", folder)
    (annotation,) = file.annotations["annotations"]
    keypoints = np.reshape(annotation["keypoints"], (16, 3))
    assert keypoints[0].tolist() == [0, 0, 0]
    assert keypoints[1:, 0].tolist() == [10.0 + n for n in range(15)]
    assert keypoints[1:, 1].tolist() == [20.0 + n for n in range(15)]
    assert (keypoints[1:, 2] == 2).all()
    assert annotation["bbox"] == [-1, -3.5, 100, 100]
    assert "reference_length" not in annotation
    assert any("head boxes: none" in line for line in file.notices)


def test_crops_are_the_official_ones(folder):
    """A crop shows 250 * scale pixels about the shifted centre, in pixels from 0."""
    file = load_annotations(write_json(folder, person(scale=2.0)), "mpii", folder)
    samples = keypoint_samples(file, folder, report=lambda _: None)
    centre, size = affine.crop_window(samples.boxes_xyxy, (256, 256))
    assert centre.tolist() == [[50 - 1, 40 + 15 * 2 - 1]]
    assert size.tolist() == [[500, 500]]


def truth_of(people, head):
    corners = np.stack([np.array([[0, 0], [head, 0.0]]) for _ in people], axis=-1)
    return {
        "headboxes_src": corners,
        "pos_gt_src": np.stack([np.array(p["joints"]) for p in people], axis=-1),
    }


def test_head_boxes_are_found_beside_the_json(folder):
    people = [person(), person(joints=[[n, n] for n in range(16)]), person()]
    path = write_json(folder, *people)
    (folder / "gt_valid.mat").write_bytes(mat_bytes(**truth_of(people, 50.0)))
    file = load_annotations(path, "mpii", folder)
    assert [a["reference_length"] for a in file.annotations["annotations"]] == [30.0] * 3
    assert file.protocol == "pckh"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("headboxes_src"), "gt_valid.mat: no variable 'headboxes_src'"),
        (lambda t: t.update(headboxes_src=np.zeros((2, 2, 3))), "headboxes_src: 2 x 2 x 3 numbers"),
        (lambda t: t["pos_gt_src"].__iadd__(5), r"person 1 has other joints than \[0\] of valid"),
    ],
)
def test_truth_of_others_is_refused(folder, change, message):
    people = [person(), person()]
    truth = truth_of(people, 50.0)
    change(truth)
    (folder / "gt_valid.mat").write_bytes(mat_bytes(**truth))
    with pytest.raises(InputError, match=message):
        load_annotations(write_json(folder, *people), "mpii", folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": None}, r"\[1\]: .*expected an object with image, center, scale, joints"),
        ({"image": "/etc/passwd"}, r"\[1\] .*picture '/etc/passwd'; expected the path"),
        ({"center": [1]}, r"\[1\] \(a.jpg\)\.center: \[1\]; expected x and y in pixels"),
        ({"center": [1, "2"]}, r"\.center: \[1, '2'\]; expected x and y"),
        ({"scale": 0}, r"\.scale: 0; expected the person's height"),
        ({"scale": None}, r"\.scale: None; expected the person's height"),
        ({"joints": [[1, 2]]}, r"\.joints: 1; expected 16 times x and y"),
        ({"joints": [[1, 2, 3]] * 16}, r"\.joints\[0\]: \[1, 2, 3\]; expected x and y"),
        ({"joints": None, "joints_vis": None}, r"\.joints: missing; .*of test.json are secret"),
        ({"joints_vis": [2] * 16}, r"\.joints_vis: .*; expected 16 times 0 or 1"),
        ({"joints_vis": [1] * 15}, r"\.joints_vis: .*; expected 16 times 0 or 1"),
    ],
)
def test_faults_of_the_json_name_the_person(folder, changes, message):
    path = write_json(folder, person(), person(**changes))
    with pytest.raises(InputError, match=f"valid.json: .*{message}"):
        load_annotations(path, "mpii", folder)
    _, faults = inspect_annotations(path, "mpii", folder)
    assert sum(fault.level == "error" for fault in faults) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "valid.json: empty"),
        ("{}", "valid.json: a dict at the top level; expected a list of objects"),
        ("[]", "no valid one; expected at least one person"),
        ("[3]", r"valid.json: \[0\]: 3; expected an object"),
        ('[{"image": "a.jpg", "scale": NaN}]', "NaN; expected a finite number"),
        ('[{"image": "a.jpg",', "line 1 column 20"),
    ],
)
def test_what_is_no_such_json(folder, text, message):
    path = folder / "valid.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_annotations(path, "mpii", folder)


@real_data
def test_real_persons():
    folder = Path(os.environ["KPTKIT_DATA"]) / "mpii"
    file = load_annotations(folder / "annot.json", "mpii", folder / "images")
    samples = keypoint_samples(file, folder / "images", report=lambda _: None)
    assert len(samples) == 2
    assert (samples.keypoints[..., 2] == 2).all()
    stated = json.loads((folder / "annot.json").read_text())
    assert samples.keypoints[0, 0, :2].tolist() == [n - 1 for n in stated[0]["joints"][0]]
    # The pelvis is between the hips, and every joint in its box.
    for person, box in zip(samples.keypoints, samples.boxes_xyxy, strict=True):
        low, high = np.sort(person[[2, 3], 0])
        assert low <= person[6, 0] <= high
        assert (person[:, :2] > box[:2]).all()
        assert (person[:, :2] < box[2:]).all()
