"""Body keypoints and faces of the people in a picture, and which face belongs to whom."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector, FacePrediction
from kptkit.images.arguments import (
    AnyPicture,
    Picture,
    Pictures,
    one_or_each,
    upright_image,
)
from kptkit.pose.estimator import PoseEstimator, PosePrediction
from kptkit.skeletons.schema import KeypointSchema, name_words

# Words in the names of keypoints on the head: those on the face, else those on the rest.
_FACE_WORDS = {"nose", "eye", "leye", "reye", "ear"}
_HEAD_WORDS = {"head", "neck"}
# The largest distance from the centre of a head's keypoints to that of its face, in sides of the
# face box: in profile the keypoints' centre is at the edge of the box.
_MAX_DISTANCE = 0.75


@dataclass(frozen=True)
class PeoplePrediction:
    """The N persons and F faces of one picture, all in image pixels."""

    bodies: PosePrediction
    """N persons."""
    faces: FacePrediction
    """F faces, of the N persons or of others."""
    face_of_person: np.ndarray
    """(N,) int64 index of each person's face, -1 for persons without one."""
    face_keypoints: np.ndarray | None
    """(F, K, 3) float32 x, y and score; None without an estimator of face keypoints."""


class PeopleEstimator:
    """Finds bodies and faces, and matches each face to its person.

    Args:
        body: estimator of body keypoints; the names of some must be those of a head.
        faces: face detector.
        face: estimator of face keypoints, for example the 68 of 300W; default: none.

    Raises:
        InputError: no body keypoint is on the head.
    """

    def __init__(self, body: PoseEstimator, faces: FaceDetector, face: PoseEstimator | None = None):
        for name, part, kind in (
            ("body", body, PoseEstimator),
            ("faces", faces, FaceDetector),
            ("face", face, PoseEstimator),
        ):
            if not (isinstance(part, kind) or (name == "face" and part is None)):
                raise InputError(
                    f"{name}: {type(part).__name__}, expected a {kind.__name__}: "
                    "PeopleEstimator(body, faces, face), a PoseEstimator, a FaceDetector and, if "
                    "wanted, a PoseEstimator of face keypoints"
                )
        self.body, self.faces, self.face = body, faces, face
        self._head = head_keypoints(body.schema)

    @overload
    def predict(
        self, image: Picture, boxes_xyxy: npt.ArrayLike | None = None
    ) -> PeoplePrediction: ...
    @overload
    def predict(
        self,
        image: Pictures[AnyPicture],
        boxes_xyxy: Iterable[npt.ArrayLike | None] | None = None,
    ) -> list[PeoplePrediction]: ...
    def predict(
        self, image: Picture | Pictures[AnyPicture], boxes_xyxy: Any = None
    ) -> PeoplePrediction | list[PeoplePrediction]:
        """The bodies and faces of one picture, or of every picture in a list.

        Args:
            image: as for `PoseEstimator.predict`.
            boxes_xyxy: (N, 4) persons in image pixels; default: one person, the whole picture. For
                several pictures, one such array, or None, for each of them.

        Raises:
            InputError: a picture cannot be used, or a box is empty or not finite; in a list, the
                message names the index of the picture.
        """
        return one_or_each(image, self._predict_one, boxes_xyxy, "boxes_xyxy")

    def _predict_one(self, image: Any, boxes_xyxy: npt.ArrayLike | None) -> PeoplePrediction:
        image = upright_image(image)
        bodies = self.body.predict(image, boxes_xyxy)
        faces = self.faces.detect(image)
        heads = bodies.keypoints[:, list(self._head)]
        keypoints = self.face.predict(image, faces.boxes_xyxy).keypoints if self.face else None
        return PeoplePrediction(bodies, faces, match_faces(heads, faces.boxes_xyxy), keypoints)


def head_keypoints(schema: KeypointSchema) -> tuple[int, ...]:
    """The indices of the keypoints on the head: nose, eyes and ears, else head and neck.

    Raises:
        InputError: there are none.
    """
    for words in (_FACE_WORDS, _HEAD_WORDS):
        found = tuple(i for i, name in enumerate(schema.names) if words & set(name_words(name)))
        if found:
            return found
    raise InputError(
        f"body keypoints {', '.join(schema.names)}: none is on the head; expected a nose, eye, "
        "ear, head or neck, by which faces are matched"
    )


def match_faces(heads: np.ndarray, face_boxes_xyxy: np.ndarray) -> np.ndarray:
    """Matches persons to faces, at most one each (Hungarian algorithm).

    The cost of a pair is the distance from the centre of the head's keypoints, weighted by their
    scores, to the centre of the face box, in sides of the box.

    Args:
        heads: (N, K, 3) x, y in image pixels and score of the keypoints on each head.
        face_boxes_xyxy: (F, 4) in image pixels.

    Returns:
        (N,) int64 index of each person's face, -1 for persons without one.
    """
    matched = np.full(len(heads), -1)
    if not len(heads) or not len(face_boxes_xyxy):
        return matched
    weights = np.maximum(heads[..., 2:], 1e-6)
    centres = (heads[..., :2] * weights).sum(axis=1) / weights.sum(axis=1)
    low, high = face_boxes_xyxy[:, :2], face_boxes_xyxy[:, 2:]
    distances = np.linalg.norm(centres[:, None] - (low + high) / 2, axis=-1)
    shares = distances / np.maximum((high - low).max(axis=1), 1e-6)
    # Pairs too far apart all cost the same, so that no near pair is given up for their sake.
    persons, faces = linear_sum_assignment(np.minimum(shares, _MAX_DISTANCE))
    near = shares[persons, faces] < _MAX_DISTANCE
    matched[persons[near]] = faces[near]
    return matched
