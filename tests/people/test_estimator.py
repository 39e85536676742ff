"""Matching of faces to persons, by hand and over all permutations, and whole predictions."""

import itertools

import numpy as np
import pytest

from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector
from kptkit.network import PoseNetwork, build_model
from kptkit.people.estimator import PeopleEstimator, head_keypoints, match_faces
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.known import COCO_17, LSP_14
from kptkit.skeletons.schema import KeypointSchema


def head(x, y, score=0.9):
    """Two keypoints of a head around a point, and a far third one of score 0."""
    return [[x - 3, y, score], [x + 3, y, score], [x + 500, y + 500, 0.0]]


def face(x, y, side=20):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


@pytest.mark.parametrize(
    ("heads", "faces", "expected"),
    [
        ([], [], []),
        ([], [face(50, 50)], []),
        ([head(50, 50)], [], [-1]),
        ([head(50, 50)], [face(52, 49)], [0]),
        ([head(50, 50)], [face(90, 50)], [-1]),  # too far
        ([head(50, 50), head(90, 50)], [face(90, 52), face(51, 50)], [1, 0]),
        # Both are nearest to the same face; the one that is nearer gets it.
        ([head(50, 50), head(58, 50)], [face(51, 50)], [0, -1]),
        # The first prefers the second's face, but has one of its own.
        ([head(50, 50), head(62, 50)], [face(55, 50), face(38, 50)], [1, 0]),
        ([head(50, 50)], [face(50, 50, side=0)], [-1]),
    ],
)
def test_pairs(heads, faces, expected):
    heads = np.array(heads, np.float32).reshape(-1, 3, 3)
    matched = match_faces(heads, np.array(faces, np.float32).reshape(-1, 4))
    assert matched.tolist() == expected
    assert matched.dtype == np.int64


def test_pairs_are_the_best_of_all_permutations():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.uniform(0, 60, (4, 2))
        heads = np.array([head(x, y) for x, y in points])
        faces = np.array([face(x, y, 40) for x, y in points + rng.normal(0, 15, (4, 2))])
        centres = (faces[:, :2] + faces[:, 2:]) / 2
        shares = np.minimum(np.linalg.norm(points[:, None] - centres, axis=-1) / 40, 0.75)
        best = min(sum(shares[i, p[i]] for i in range(4)) for p in itertools.permutations(range(4)))
        matched = match_faces(heads, faces)
        ours = sum(0.75 if f < 0 else shares[person, f] for person, f in enumerate(matched))
        assert ours == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize(
    ("names", "on_the_head"),
    [
        (COCO_17.names, [0, 1, 2, 3, 4]),
        (LSP_14.names, [12, 13]),
        (("leye", "LeftEar", "rear_left_paw", "forearm", "Nose"), [0, 1, 4]),
    ],
)
def test_which_keypoints_are_on_the_head(names, on_the_head):
    assert list(head_keypoints(schema_of(names))) == on_the_head


def test_a_body_without_a_head_is_refused():
    with pytest.raises(InputError, match="tail, rear: none is on the head; expected a nose"):
        head_keypoints(schema_of(("tail", "rear")))


def schema_of(names):
    return KeypointSchema(tuple(names), (), (), (0.1,) * len(names))


def test_one_call_gives_bodies_and_faces_in_image_pixels(cascade_file):
    """Random networks, and a detector that finds faces in noise."""
    photo = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    recipe = PoseRecipe(variant="demo", input_size_wh=(64, 64), decoder="dark")
    body = PoseEstimator(PoseNetwork(build_model(recipe, 17), recipe, COCO_17))
    five = KeypointSchema(tuple("abcde"), (), (), (0.1,) * 5)
    landmarks = PoseEstimator(PoseNetwork(build_model(recipe, 5), recipe, five))
    detector = FaceDetector(cascade_file, score_thresholds=(0.6, 0.6, 0.6))
    boxes_xyxy = np.array([[0, 0, 60, 90], [10, 5, 50, 70]])
    people = PeopleEstimator(body, detector, landmarks).predict(photo, boxes_xyxy)
    assert people.bodies.keypoints.shape == (2, 17, 3)
    np.testing.assert_array_equal(
        people.bodies.keypoints, body.predict(photo, boxes_xyxy).keypoints
    )
    faces = detector.detect(photo)
    assert len(faces)
    np.testing.assert_array_equal(people.faces.boxes_xyxy, faces.boxes_xyxy)
    assert people.face_keypoints.shape == (len(faces), 5, 3)
    heads = people.bodies.keypoints[:, :5]
    assert people.face_of_person.tolist() == match_faces(heads, faces.boxes_xyxy).tolist()
    alone = PeopleEstimator(body, detector).predict(photo)
    assert alone.face_keypoints is None
    assert alone.bodies.boxes_xyxy.tolist() == [[0, 0, photo.shape[1], photo.shape[0]]]
