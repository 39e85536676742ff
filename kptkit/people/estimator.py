"""People: body keypoints and the faces that belong to them, from one call."""

import os
import re
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector, FacePrediction
from kptkit.images.codec import upright_image
from kptkit.pose.estimator import PoseEstimator, PosePrediction
from kptkit.skeletons.schema import KeypointSchema

# Words in the names of keypoints that lie on a face, and of those that do where there are none.
_FACE = re.compile(r"(?<![a-z])(nose|[lr]?eye|ear)(?![a-z])")
_HEAD = re.compile(r"(?<![a-z])(head|neck)(?![a-z])")
# A face belongs to a head whose keypoints' centre is nearer to its own than this share of its side:
# of faces seen from the side the keypoints' centre lies at the edge of the box.
_REACH = 0.75


@dataclass(frozen=True)
class PeoplePrediction:
    """The N persons and F faces of one picture, all in image pixels."""

    bodies: PosePrediction
    """N persons."""
    faces: FacePrediction
    """F faces, some perhaps of people who are not among the N."""
    face_of_person: np.ndarray
    """(N,) int64: the face of each person, -1 for those whose face was not found."""
    face_keypoints: np.ndarray | None
    """(F, K, 3) float32 x, y and score of an estimator of face keypoints, where there is one."""


class PeopleEstimator:
    """Bodies and faces of a picture, and who has which face.

    Args:
        body: boxes of persons to their keypoints; some must lie on the head, by their names.
        faces: finds faces with five landmarks.
        face: boxes of faces to their keypoints, for example the 68 of 300W; may be left out.

    Raises:
        InputError: no keypoint of the body lies on the head.
    """

    def __init__(self, body: PoseEstimator, faces: FaceDetector, face: PoseEstimator | None = None):
        self.body, self.faces, self.face = body, faces, face
        self._head = head_keypoints(body.schema)

    def predict(
        self, image: np.ndarray | str | os.PathLike, boxes_xyxy: np.ndarray | None = None
    ) -> PeoplePrediction:
        """Everybody's body and face.

        Args:
            image: RGB uint8 (H, W, 3), or a path (EXIF orientation is applied).
            boxes_xyxy: (N, 4) persons in image pixels; none: one person, the whole picture.

        Raises:
            InputError: the picture cannot be used, or a box is empty or not finite.
        """
        image = upright_image(image)
        bodies = self.body.predict(image, boxes_xyxy)
        faces = self.faces.detect(image)
        heads = bodies.keypoints[:, list(self._head)]
        keypoints = self.face.predict(image, faces.boxes_xyxy).keypoints if self.face else None
        return PeoplePrediction(bodies, faces, match_faces(heads, faces.boxes_xyxy), keypoints)


def head_keypoints(schema: KeypointSchema) -> tuple[int, ...]:
    """The keypoints on the head: nose, eyes and ears, else head and neck.

    Raises:
        InputError: there are none.
    """
    names = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in schema.names]
    for words in (_FACE, _HEAD):
        found = tuple(index for index, name in enumerate(names) if words.search(name))
        if found:
            return found
    raise InputError(
        f"body keypoints {', '.join(schema.names)}: none lies on the head; expected a nose, eye, "
        "ear, head or neck, by which faces are matched"
    )


def match_faces(heads: np.ndarray, face_boxes_xyxy: np.ndarray) -> np.ndarray:
    """Which face is whose: each person has at most one, each face at most one person.

    Of all ways to pair them, that with the smallest sum of distances between the centre of a head's
    keypoints, weighted by their scores, and that of the face, in sides of the face.

    Args:
        heads: (N, K, 3) keypoints on the head with their scores.
        face_boxes_xyxy: (F, 4).

    Returns:
        (N,) int64, -1 for persons without a face.
    """
    matched = np.full(len(heads), -1)
    if not len(heads) or not len(face_boxes_xyxy):
        return matched
    weights = np.maximum(heads[..., 2:], 1e-6)
    centres = (heads[..., :2] * weights).sum(axis=1) / weights.sum(axis=1)
    low, high = face_boxes_xyxy[:, :2], face_boxes_xyxy[:, 2:]
    distances = np.linalg.norm(centres[:, None] - (low + high) / 2, axis=-1)
    shares = distances / np.maximum((high - low).max(axis=1), 1e-6)
    # Beyond the reach all are equally far, so that no pair is given up for a hopeless one.
    persons, faces = linear_sum_assignment(np.minimum(shares, _REACH))
    near = shares[persons, faces] < _REACH
    matched[persons[near]] = faces[near]
    return matched
