"""Schemas of COCO categories: sigmas by name, edges counted from 1, and malformed categories."""

import pytest

from kptkit.errors import InputError
from kptkit.skeletons.from_category import schema_from_category
from kptkit.skeletons.known import COCO_17, DEFAULT_OKS_SIGMA


def test_categories_of_coco_give_coco_17():
    category = {"keypoints": list(COCO_17.names), "skeleton": [[1, 2]]}
    assert schema_from_category(category, "X") == (COCO_17, [])


def test_known_names_take_cocos_sigmas_and_unknown_ones_give_a_notice():
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
