import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.mat_structs import mat_bytes

from kptkit import images
from kptkit.data.formats.document import own_part
from kptkit.data.formats.index import load_annotations
from kptkit.data.formats.lsp import person_box
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError

real_data = pytest.mark.skipif(
    "KPTKIT_DATA" not in os.environ, reason="KPTKIT_DATA does not name the folder of real data"
)
NAMES = {"lsp": "im{:04d}.jpg", "lspet": "im{:05d}.jpg", "hr-lspet": "im{:05d}.png"}


def joints(count=3):
    """(N, 14, 3) joints inside a picture of 100 x 80 pixels, all flags 0."""
    points = np.random.default_rng(0).uniform(5, 75, (count, 14, 2))
    return np.concatenate([points, np.zeros((count, 14, 1))], axis=2)


@pytest.fixture
def folder(tmp_path):
    for number in range(1, 4):
        images.write_image(tmp_path / f"im{number:04d}.jpg", np.zeros((80, 100, 3), np.uint8))
    return tmp_path


def write_mat(folder, array):
    path = folder / "joints.mat"
    path.write_bytes(mat_bytes(joints=array))
    return path


def load(folder, array):
    return load_annotations(write_mat(folder, array), "lsp", folder)


def keypoints_of(file):
    return np.array([a["keypoints"] for a in file.annotations["annotations"]]).reshape(-1, 14, 3)


@pytest.mark.parametrize("layout", [(2, 1, 0), (1, 2, 0)], ids=["3x14xN", "14x3xN"])
@pytest.mark.parametrize("meaning", ["hidden", "visible"])
def test_both_layouts_and_both_flags(folder, layout, meaning):
    people = joints()
    people[:, 3, 2] = 1
    expected = people.copy()
    expected[..., 2] = np.where(people[..., 2] == 1, 1, 2)
    if meaning == "visible":  # the others have arbitrary coordinates
        people[..., 2] = 1 - people[..., 2]
        people[:, 3, :2] = -300
        expected[:, 3] = 0
        expected[..., 2] = 2 * people[..., 2]
    file = load(folder, people.transpose(layout))
    np.testing.assert_allclose(keypoints_of(file), expected)
    assert file.protocol == "pck_torso"
    assert [image["file_name"] for image in file.annotations["images"]] == [
        f"im{n:04d}.jpg" for n in (1, 2, 3)
    ]
    assert f"carry a flag, taken as: {meaning}" in file.notices[0]


def test_one_person(folder):
    assert len(keypoints_of(load(folder, joints(1)[0].T))) == 1


@pytest.mark.parametrize("name", NAMES.values())
def test_pictures_of_all_three_sets_are_found(tmp_path, name):
    images.write_image(tmp_path / name.format(1), np.zeros((80, 100, 3), np.uint8))
    file = load(tmp_path, joints(1).transpose(2, 1, 0))
    assert file.annotations["images"][0]["file_name"] == name.format(1)


def test_lsp_holds_both_parts(folder):
    for number in range(4, 2001):
        os.link(folder / "im0001.jpg", folder / f"im{number:04d}.jpg")
    file = load(folder, joints(2000).transpose(2, 1, 0))
    for part, first, last in (("train", 1, 1000), ("test", 1001, 2000)):
        names = [image["file_name"] for image in own_part(file, part).annotations["images"]]
        assert len(names) == 1000
        assert (names[0], names[-1]) == (f"im{first:04d}.jpg", f"im{last:04d}.jpg")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 0)), "joints.mat: joints: 0 x 0 numbers; expected joints.mat of LSP"),
        (np.zeros((3, 13, 5)), "joints: 3 x 13 x 5 numbers; expected"),
        (np.zeros((5, 14, 3)), "joints: 5 x 14 x 3 numbers; expected"),
        (np.zeros((14, 2, 3)), "joints: 14 x 2 x 3 numbers; expected"),
        (np.full((3, 14, 2), 0.5), "joints: 0.5 as the third number of a joint; expected 0 or 1"),
        (np.full((3, 14, 2), np.nan), "joints: nan as the third number of a joint"),
        ("text", "joints: a text; expected numbers"),
    ],
)
def test_other_arrays_are_refused(folder, array, message):
    with pytest.raises(InputError, match=message):
        load(folder, array)


def test_numbers_that_are_no_pixels_name_the_person(folder):
    people = joints()
    people[1, 0, 0] = np.nan
    with pytest.raises(
        InputError, match=r"joints.mat: joints of person 2: a labelled keypoint without"
    ):
        load(folder, people.transpose(2, 1, 0))


def test_a_folder_of_other_pictures(folder):
    with pytest.raises(InputError, match=r"none of im0001.jpg, im00001.jpg, im00001.png; expected"):
        load_annotations(write_mat(folder, joints().transpose(2, 1, 0)), "lsp", folder / "other")


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], None),
        ([[5, 5, 2]], None),
        ([[10, 20, 2], [30, 60, 2], [900, 900, 0]], [6, 16, 34, 64]),  # 0.1 * 40 on every side
    ],
)
def test_boxes_reach_beyond_the_joints(points, expected):
    box = person_box(np.reshape(np.array(points, float), (-1, 3)))
    assert (None if box is None else box.tolist()) == expected


def person(**changes):
    return {"image": "im0001.jpg", "joints": joints(1)[0, :, :2].tolist()} | changes


def flagged(flag=1, **changes):
    return person(joints=[[*joint, flag] for joint in person()["joints"]]) | changes


def load_json(folder, *people):
    path = folder / "train.json"
    path.write_text(json.dumps(people))
    return load_annotations(path, "lsp", folder)


def test_json(folder):
    half = flagged()
    half["joints"][5] = [-40, 3, 0]
    none = flagged(0, image="im0003.jpg")
    file = load_json(folder, half, none, flagged(image="im0002.jpg"))
    assert [a["id"] for a in file.annotations["annotations"]] == [1, 3]
    keypoints = keypoints_of(file)
    assert keypoints[0, 5].tolist() == [0, 0, 0]
    assert keypoints[1, 5].tolist() == [*flagged()["joints"][5][:2], 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": 3}, r"train.json: \[1\]: .*; expected an object with image, joints"),
        ({"image": "../im0001.jpg"}, r"\[1\] \(\.\./im0001.jpg\): picture .*; expected the path"),
        ({"joints": None}, r"\[1\] \(im0001.jpg\)\.joints: None; expected 14 times x, y, visible"),
        ({"joints": [[1, 2, 1]] * 13}, r"\.joints: 13; expected 14 times"),
        ({"joints": [[1, 2]] * 14}, r"\.joints\[0\]: \[1, 2\]; expected x, y and 0"),
        ({"joints": [[1, 2, 2]] * 14}, r"\.joints\[0\]: \[1, 2, 2\]; expected x, y and 0"),
        ({"joints": [[1, "2", 1]] * 14}, r"\.joints\[0\]: \[1, '2', 1\]; expected"),
    ],
)
def test_faults_of_the_json_name_the_person(folder, changes, message):
    with pytest.raises(InputError, match=message):
        load_json(folder, flagged(), flagged(**changes))


def test_no_list(folder):
    path = folder / "train.json"
    path.write_text("{}")
    with pytest.raises(InputError, match=r"train.json: a dict at the top level; expected a list"):
        load_annotations(path, "lsp", folder)


@real_data
def test_real_persons():
    folder = Path(os.environ["KPTKIT_DATA"]) / "lspet"
    file = load_annotations(folder / "val.json", "lsp", folder / "images")
    samples = keypoint_samples(file, folder / "images", report=lambda _: None)
    assert len(samples) == 200
    # Heads are above necks and necks above hips for most athletes.
    up = samples.keypoints[..., 1]
    labelled = (samples.keypoints[..., 2] > 0).all(axis=1)
    assert (up[labelled, 13] < up[labelled, 12]).mean() > 0.6
    assert (samples.keypoints[..., 2] > 0).mean() > 0.85
