"""The known schemas against the tables of published code."""

import pytest

from kptkit.skeletons.known import (
    COCO_17,
    COCO_17_KEYPOINT_WEIGHTS,
    COFW_29,
    DEFAULT_OKS_SIGMA,
    FACE_68,
    FLIC_11,
    LSP_14,
    MPII_16,
    WFLW_98,
)
from kptkit.skeletons.schema import infer_flip_pairs

# Flip pairs of published code. Ranges are (first, last, mirror): first mirrors `mirror`, first + 1
# mirrors `mirror` - 1, and so on up to last.
MIRRORS = {
    "mpii": (MPII_16, [(0, 2, 5), (10, 12, 15)]),
    "lsp": (LSP_14, [(0, 2, 5), (6, 8, 11)]),
    "flic": (FLIC_11, {(0, 3), (1, 4), (2, 5), (6, 7), (8, 9)}),
    "cofw": (
        COFW_29,
        {
            *((0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15), (16, 17)),
            *((18, 19), (22, 23)),
        },
    ),
    "300w": (
        FACE_68,
        [
            *((0, 7, 16), (17, 21, 26), (31, 32, 35), (36, 39, 45), (40, 41, 47)),
            *((48, 50, 54), (55, 56, 59), (60, 61, 64), (65, 65, 67)),
        ],
    ),
    "wflw": (
        WFLW_98,
        [
            *((0, 15, 32), (33, 37, 46), (38, 41, 50), (55, 56, 59), (60, 64, 72), (65, 67, 75)),
            *((76, 78, 82), (83, 84, 87), (88, 89, 92), (93, 93, 95), (96, 96, 97)),
        ],
    ),
}


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


@pytest.mark.parametrize("name", MIRRORS)
def test_mirrors_are_the_published_ones(name):
    schema, expected = MIRRORS[name]
    if isinstance(expected, list):
        expected = {
            (first + n, mirror - n)
            for first, last, mirror in expected
            for n in range(last - first + 1)
        }
    assert {tuple(sorted(pair)) for pair in schema.flip_pairs} == expected
    for left, right in schema.flip_pairs:
        assert "left" in schema.names[left]
        assert schema.names[right] == schema.names[left].replace("left", "right")


@pytest.mark.parametrize("name", MIRRORS)
def test_edges_are_symmetric_and_reach_every_keypoint(name):
    schema, _ = MIRRORS[name]
    edges = {frozenset(edge) for edge in schema.edges}
    assert len(edges) == len(schema.edges)
    mirror = schema.flip_permutation
    assert {frozenset(mirror[index] for index in edge) for edge in edges} == edges
    alone = set(range(schema.num_keypoints)) - {i for edge in edges for i in edge}
    # Pupils and, in COFW, the chin have no edge.
    assert {schema.names[index].split("_")[-1] for index in alone} <= {"pupil", "chin"}


def test_sigmas_are_cocos_where_coco_has_the_joint():
    for schema in (MPII_16, LSP_14, FLIC_11):
        for name, sigma in zip(schema.names, schema.oks_sigmas, strict=True):
            known = name in COCO_17.names
            expected = COCO_17.oks_sigmas[COCO_17.names.index(name)] if known else DEFAULT_OKS_SIGMA
            assert sigma == expected
    assert DEFAULT_OKS_SIGMA not in FLIC_11.oks_sigmas


def test_sigmas_of_the_face_are_coco_wholebodys():
    # The sum of the 68 numbers of its evaluation code, the first and the last.
    assert sum(FACE_68.oks_sigmas) == pytest.approx(1.137)
    assert FACE_68.oks_sigmas[0] == 0.042
    assert FACE_68.oks_sigmas[-1] == 0.008


def test_upper_half_of_mpii_is_what_stands_above_the_pelvis():
    lower = {"ankle", "knee", "hip", "pelvis"}
    above = [n for n, name in enumerate(MPII_16.names) if name.split("_")[-1] not in lower]
    assert list(MPII_16.upper_body) == above
