"""The reference lengths by which FLIC's and MPII's persons are evaluated."""

import json
import math

import numpy as np
import pytest

from kptkit.data.formats.flic import PLACES, torso_length
from kptkit.data.formats.index import load_annotations
from kptkit.images.codec import write_image


@pytest.mark.parametrize("format", ["flic", "flic-observer"])
def test_torsos_of_flic_go_from_right_shoulder_to_left_hip(tmp_path, format):
    """The person's own, in observer-centric labels too; unknown if one of them is unlabelled."""
    rng = np.random.default_rng(0)
    people, expected = [], []
    for number in range(4):
        coords = [[None] * 29, [None] * 29]
        for place in PLACES:
            coords[0][place], coords[1][place] = rng.uniform(20, 400, 2).tolist()
        right_shoulder, left_hip = PLACES[3], PLACES[6]
        ends = [(coords[0][k], coords[1][k]) for k in (right_shoulder, left_hip)]
        expected.append(math.dist(*ends))
        if number == 2:
            coords[0][left_hip] = coords[1][left_hip] = None
            expected[-1] = None
        people.append(
            {"image": "a.jpg", "filepath": "a.jpg", "coords": coords, "torsobox": [9, 9, 40, 40]}
            | {"imgdims": [480, 720, 3], "istrain": True, "istest": False}
        )
    path = tmp_path / "flic.json"
    path.write_text(json.dumps(people))
    file = load_annotations(path, format, tmp_path)
    found = [person.get("reference_length") for person in file.annotations["annotations"]]
    assert file.protocol == "pck_torso"
    assert found == [length if length is None else pytest.approx(length) for length in expected]
    assert np.isnan(torso_length(np.full((11, 3), np.nan)))


def test_mpii_without_head_boxes_is_judged_in_torsos(tmp_path):
    """PCK in torso sizes instead of PCKh."""
    write_image(tmp_path / "a.png", np.zeros((90, 80, 3), np.uint8))
    joints = np.random.default_rng(0).uniform(10, 70, (16, 2)).tolist()
    person = {"image": "a.png", "center": [40.0, 40.0], "scale": 0.3}
    path = tmp_path / "train.json"
    path.write_text(json.dumps([person | {"joints": joints, "joints_vis": [1] * 16}]))
    file = load_annotations(path, "mpii", tmp_path)
    assert file.protocol == "pck_torso"
    assert any("head boxes: none; judged by PCK in torsos" in notice for notice in file.notices)
