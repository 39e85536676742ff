"""Schemas: flip pairs from names, flags and JSON, and parts that do not fit."""

import dataclasses
import json

import pytest

from kptkit.errors import InputError
from kptkit.sealed import convert
from kptkit.skeletons.known import COCO_17
from kptkit.skeletons.schema import (
    KeypointSchema,
    infer_flip_pairs,
    name_words,
    parse_flip_pairs,
    plain_name,
)

FACE = KeypointSchema(("nose", "left_eye", "right_eye"), ((0, 1),), ((1, 2),), (0.1, 0.2, 0.2))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ()),
        ("___", ()),
        ("nose", ("nose",)),
        ("left_eye", ("left", "eye")),
        ("Left Eye", ("left", "eye")),
        ("LEye2", ("l", "eye", "2")),
        ("NOSE", ("nose",)),
        ("eye.R", ("eye", "r")),
        ("œil-gauche", ("œ", "il", "gauche")),
    ],
)
def test_words_of_a_name(name, words):
    assert name_words(name) == words
    assert plain_name(name) == "".join(words)


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ([], ()),
        (["nose"], ()),
        (["left_eye", "right_eye"], ((0, 1),)),
        (["right_eye", "left_eye"], ((1, 0),)),
        (["nose", "eye-left", "eye-right"], ((1, 2),)),
        (["LeftEye", "RightEye"], ((0, 1),)),
        (["lefteye", "righteye"], ((0, 1),)),
        (["LEFT_EYE", "RIGHT_EYE"], ((0, 1),)),
        (["l_eye", "r_eye"], ((0, 1),)),
        (["eye.L", "eye.R"], ((0, 1),)),
        (["L Eye", "R Eye"], ((0, 1),)),
        (["LEye", "REye"], ((0, 1),)),
        (["eyeL", "eyeR"], ((0, 1),)),
        (["L_F_Paw", "R_F_Paw", "L_B_Paw", "R_B_Paw"], ((0, 1), (2, 3))),
        (["front left paw", "front right paw"], ((0, 1),)),
        (["hand_left_1", "hand_left_2", "hand_right_1", "hand_right_2"], ((0, 2), (1, 3))),
        (["lsho", "lelb", "rsho", "relb", "nose"], ((0, 2), (1, 3))),
        (["left_eye", "right_ear"], ()),
        (["left_eye"], ()),
        (["left eye", "left_eye", "right_eye"], ()),
        (["neck", "lower_lip", "upper_lip", "rear", "tail"], ()),
    ],
)
def test_flip_pairs_are_read_from_the_names(names, pairs):
    assert infer_flip_pairs(names) == pairs


def test_mirroring_twice_gives_every_keypoint_back():
    once = COCO_17.flip_permutation
    assert once[:3] == (0, 2, 1)
    assert tuple(once[index] for index in once) == tuple(range(17))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ()}, "names"),
        ({"names": ("nose", "eye", "eye")}, "'eye' appears 2 times"),
        ({"edges": ((0, 3),)}, "edges: keypoint 3"),
        ({"edges": ((0, 1, 2),)}, "edges"),
        ({"flip_pairs": ((1, 1),)}, "'left_eye' appears 2 times"),
        ({"flip_pairs": ((0, 1), (1, 2))}, "'left_eye' appears 2 times"),
        ({"flip_pairs": ((-1, 2),)}, "flip_pairs: keypoint -1"),
        ({"oks_sigmas": (0.1, 0.1)}, "2 numbers"),
        ({"oks_sigmas": (0.1, 0.1, float("nan"))}, "nan for 'right_eye'"),
        ({"oks_sigmas": (0.1, 0.1, 0.0)}, "0.0 for 'right_eye'"),
        ({"upper_body": (7,)}, "upper_body: keypoint 7"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(FACE, **changes)


def test_json_round_trip():
    content = json.loads(json.dumps(COCO_17.to_json()))
    assert convert(content, KeypointSchema, "a.json", "make it again") == COCO_17


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "object missing required field names"),
        ({"names": ["a"]}, "object missing required field edges"),
        (FACE.to_json() | {"edges": [[0]]}, r"edges\[0\]: expected array of length 2, got 1"),
        (FACE.to_json() | {"names": "abc"}, "names: expected array, got str"),
        (FACE.to_json() | {"upper_body": [9]}, "upper_body: keypoint 9; expected 0 to 2"),
        (FACE.to_json() | {"more": 1}, "more: unknown"),
    ],
)
def test_other_json_is_refused(content, message):
    with pytest.raises(InputError, match=f"^a.json: {message}; make it again$"):
        convert(content, KeypointSchema, "a.json", "make it again")


@pytest.mark.parametrize("count", [0, 1001])
def test_the_number_of_keypoints_is_bounded(count):
    names = tuple(map(str, range(count)))
    with pytest.raises(InputError, match="at least one and at most 1,000"):
        KeypointSchema(names, (), (), (1.0,) * count)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        ("left_eye:right_eye", ((1, 2),)),
        (" left_eye : right_eye , ", ((1, 2),)),
        ("1:2", ((1, 2),)),
        ("nose:right_eye,1:0", ((0, 2), (1, 0))),
    ],
)
def test_flip_pairs_from_a_flag(text, pairs):
    assert parse_flip_pairs(text, FACE.names) == pairs


@pytest.mark.parametrize("text", ["left_eye", "left_eye:ear", "1:3", "-1:2", "1:2:0", "1:²"])
def test_flags_that_name_no_pair_are_refused(text):
    with pytest.raises(InputError, match="flip pairs"):
        parse_flip_pairs(text, FACE.names)
