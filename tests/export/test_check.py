"""A SavedModel that answers differently from its source is refused."""

import numpy as np
import pytest

from kptkit.export import check
from kptkit.face.detector import FacePrediction
from kptkit.pose.estimator import PosePrediction
from kptkit.recipes.pose import RECIPES


def outcome(message, compare, *arguments):
    """What a comparison gives, or None where it refuses as `message` says."""
    if message is None:
        return compare(*arguments)
    with pytest.raises(RuntimeError, match=message):
        compare(*arguments)
    return None


@pytest.mark.parametrize(
    ("changed", "by", "score", "message"),
    [
        (np.s_[0, 0, 0, 0], 0.0, 0.5, None),
        (np.s_[0, 0, 0, 0], 0.04, 0.5, None),
        (np.s_[0, 1, 0, 1], 0.06, 0.5, "differ by"),
        (np.s_[0, 0, 0, 2], 0.002, 0.5, "differ by"),
        # Heatmaps of untrained networks peak anywhere; pixels stay what they are.
        (np.s_[0, 0, 0, 2], 0.002, 4.0, None),
        (np.s_[0, 0, 0, 2], 0.005, 4.0, "differ by"),
        (np.s_[0, 1, 0, 1], 0.06, 4.0, "differ by"),
        (np.s_[0, 0, 0, 2], np.nan, 0.5, "differ by"),
        (np.s_[0, 2, 0, 0], 1.0, 0.5, "padded box"),
        # The last keypoint is undecided: whatever is served proves nothing.
        (np.s_[0, 0, -1, 0], 9.0, 0.5, None),
    ],
)
def test_poses(changed, by, score, message):
    calls = []

    class Estimator:
        """Sees three keypoints in the middle of every crop, and one that leaps every time."""

        recipe = RECIPES["demo"]

        def predict_crops(self, crops):
            calls.append(crops.shape)
            keypoints = np.tile(np.float32([48, 64, score]), (2, 4, 1))
            keypoints[:, -1, 0] += len(calls)
            return keypoints

        def predict(self, image, boxes):
            return PosePrediction(np.full((2, 4, 3), 7.0), np.full(2, 7.0), boxes)

    def served(image_bytes, boxes):
        assert (image_bytes.shape, boxes.shape) == ((1,), (1, 3, 4))
        answer = np.zeros((1, 3, 4, 3))
        # By the official convention the middle of a crop is the middle of its box.
        low, high = np.split(boxes[0, :2].numpy(), 2, axis=1)
        answer[0, :2, :, :2] = ((low + high) / 2)[:, None]
        answer[0, :2, :, 2] = score
        answer[changed] += by
        return {"keypoints": answer[..., :2], "keypoint_scores": answer[..., 2]}

    found = outcome(message, check.compare_saved_pose, served, Estimator())
    assert calls == [(2, 128, 96, 3)] * len(calls)
    if found:
        assert found["keypoints_compared"] == 6
        # Told is how far it is from `predict`, which cuts otherwise.
        assert found["scores"] == pytest.approx(7 - score, abs=2 * abs(by))


@pytest.mark.parametrize(
    ("name", "changed", "by", "message"),
    [
        ("boxes", np.s_[0, 0, 0], 0.0, None),
        ("boxes", np.s_[-1, 1, 3], 0.009, None),
        ("boxes", np.s_[-1, 1, 3], 0.02, "differ by"),
        ("landmarks", np.s_[0, 0, 4, 1], -0.02, "differ by"),
        ("landmarks", np.s_[0, 0, 0, 0], np.nan, "differ by"),
        ("scores", np.s_[0, 1], 9e-6, None),
        ("scores", np.s_[0, 1], -2e-5, "differ by"),
        ("scores", np.s_[1, 2], 1e-6, "zeros behind them"),
        ("counts", np.s_[3], 1, "finds 3 faces on drawn scene 3, expected the detector's 2"),
        ("counts", np.s_[0], -1, "finds 1 faces on drawn scene 0"),
    ],
)
def test_faces(name, changed, by, message):
    """Two faces on every scene are told; one padded row follows."""
    rng = np.random.default_rng(0)
    faces = FacePrediction(
        rng.uniform(0, 99, (3, 4)).astype(np.float32),
        rng.uniform(0, 1, 3).astype(np.float32),
        rng.uniform(0, 99, (3, 5, 2)).astype(np.float32),
    )
    told = {"boxes": faces.boxes_xyxy, "scores": faces.scores, "landmarks": faces.landmarks}

    class Detector:
        def detect(self, image):
            two = (rows[:2] for rows in (faces.boxes_xyxy, faces.scores, faces.landmarks))
            return FacePrediction(*two)

    class Array(np.ndarray):
        """As a tensor of TensorFlow has it."""

        def numpy(self):
            return np.asarray(self)

    def served(image_bytes):
        pictures = len(image_bytes)
        answer = {key: np.stack([rows] * pictures) for key, rows in told.items()}
        for rows in answer.values():
            rows[:, 2] = 0
        answer["counts"] = np.full(pictures, 2, np.int32)
        answer[name][changed] += by
        return {key: rows.view(Array) for key, rows in answer.items()}

    found = outcome(message, check.compare_saved_faces, served, Detector())
    assert found is None or found["faces_compared"] == 2 * 16
