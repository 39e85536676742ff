import dataclasses
import json

import pytest

from kptkit.errors import InputError
from kptkit.skeletons.schema import (
    COCO_17,
    COCO_17_KEYPOINT_WEIGHTS,
    DEFAULT_OKS_SIGMA,
    KeypointSchema,
    infer_flip_pairs,
    parse_flip_pairs,
    schema_from_category,
)

FACE = KeypointSchema(("nose", "left_eye", "right_eye"), ((0, 1),), ((1, 2),), (0.1, 0.2, 0.2))


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


def test_coco_17_is_the_published_one():
    assert infer_flip_pairs(COCO_17.names) == COCO_17.flip_pairs
    assert COCO_17.num_keypoints == len(COCO_17_KEYPOINT_WEIGHTS) == 17
    assert len(COCO_17.edges) == 19
    # Sum of the official sigmas, and the weights of the limbs' ends.
    assert sum(COCO_17.oks_sigmas) == pytest.approx(0.026 + 2 * 0.556)
    assert COCO_17_KEYPOINT_WEIGHTS.count(1.2) == COCO_17_KEYPOINT_WEIGHTS.count(1.5) == 4
    for index, weight in enumerate(COCO_17_KEYPOINT_WEIGHTS):
        part = COCO_17.names[index].split("_")[-1]
        assert weight == {"elbow": 1.2, "knee": 1.2, "wrist": 1.5, "ankle": 1.5}.get(part, 1.0)


def test_mirroring_twice_gives_every_keypoint_back():
    once = COCO_17.flip_permutation
    assert once[:3] == (0, 2, 1)
    assert tuple(once[index] for index in once) == tuple(range(17))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ()}, "names"),
        ({"names": ("nose", "eye", "eye")}, "'eye' stands 2 times"),
        ({"edges": ((0, 3),)}, "edges: keypoint 3"),
        ({"edges": ((0, 1, 2),)}, "edges"),
        ({"flip_pairs": ((1, 1),)}, "'left_eye' stands 2 times"),
        ({"flip_pairs": ((0, 1), (1, 2))}, "'left_eye' stands 2 times"),
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
    assert KeypointSchema.from_json(json.loads(json.dumps(COCO_17.to_json()))) == COCO_17


@pytest.mark.parametrize("content", [{}, {"names": ["a"]}, FACE.to_json() | {"edges": [[0]]}])
def test_other_json_is_refused(content):
    with pytest.raises(InputError):
        KeypointSchema.from_json(content)


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


def test_categories_of_coco_give_coco_17():
    category = {"keypoints": list(COCO_17.names), "skeleton": [[1, 2]]}
    assert schema_from_category(category, "X") == (COCO_17, [])


def test_known_names_take_cocos_sigmas_and_unknown_ones_are_told():
    category = {"keypoints": ["Left Wrist", "right_wrist", "hat"], "skeleton": [[1, 2], [3, 1]]}
    schema, notices = schema_from_category(category, "X.json: category 'person'")
    assert schema.edges == ((0, 1), (2, 0))
    assert schema.flip_pairs == ((0, 1),)
    assert schema.oks_sigmas == (0.062, 0.062, DEFAULT_OKS_SIGMA)
    assert schema.upper_body == ()
    assert len(notices) == 1
    assert "X.json: category 'person': no OKS sigmas are known for hat" in notices[0]


@pytest.mark.parametrize(
    ("skeleton", "edges", "notice"),
    [
        (None, (), None),
        ([], (), None),
        ([[1, 2]], ((0, 1),), None),
        ([[0, 1]], ((0, 1),), "counts keypoints from 0"),
        ([[1, 3]], (), "no keypoint has the number 3"),
        ([[0, 2]], (), "no keypoint has the number 2"),
        ([[1, -1]], (), "no keypoint has the number -1"),
    ],
)
def test_edges_count_from_one(skeleton, edges, notice):
    schema, notices = schema_from_category(
        {"keypoints": ["nose", "left_eye"], "skeleton": skeleton}, "X"
    )
    assert schema.edges == edges
    assert [notice in line for line in notices] == ([True] if notice else [])


@pytest.mark.parametrize(
    "category",
    [
        {},
        {"keypoints": []},
        {"keypoints": "nose"},
        {"keypoints": ["nose", 1]},
        {"keypoints": ["nose", "nose"]},
        {"keypoints": [""]},
        {"keypoints": ["\ud800"]},
        {"keypoints": ["nose"], "skeleton": 3},
        {"keypoints": ["nose"], "skeleton": [[1]]},
        {"keypoints": ["nose"], "skeleton": [[1, "2"]]},
        {"keypoints": ["nose"], "skeleton": [3]},
    ],
)
def test_malformed_categories_are_refused(category):
    with pytest.raises(InputError, match=r"X\.json: category\.(keypoints|skeleton)"):
        schema_from_category(category, "X.json: category")
