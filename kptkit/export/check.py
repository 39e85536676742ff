"""Whether a written program answers as the estimator or detector does that it was made of."""

from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from kptkit.demo.scene import draw_scene
from kptkit.export.pose_graph import cut_crops
from kptkit.face.detector import FaceDetector
from kptkit.geometry import affine
from kptkit.images.codec import decode_image, encode_jpeg
from kptkit.pose.estimator import PoseEstimator

# The signature `serving_default` of a program that was loaded again.
Signature = Callable[..., dict[str, tf.Tensor]]

# What a program may differ by: pixels, score. Where the peaks of heatmaps are above 1, as those of
# untrained networks may be, it is in proportion.
MAX_POSE_DIFFERENCES = np.array([0.05, 1e-3])
MAX_FACE_DIFFERENCES = np.array([0.01, 1e-5])

# By how much a box is moved, in pixels, to see which keypoints are fit for the comparison.
_NUDGES = (-1e-3, 1e-3)

# Drawn scenes on which faces are compared; on most a trained detector finds some.
_SCENES = 16


def compare_pose(served: Signature, estimator: PoseEstimator) -> dict[str, float]:
    """The largest differences between a program's answers and those of the estimator it came from.

    Its crops are up to a grey level apart from the estimator's, and some networks make more of that
    than others: the answers must agree where the estimator reads the same crops. A keypoint that
    leaps when its box moves by a thousandth of a pixel lies where two places of the heatmap are
    equally high; it says nothing about the program and is left out.

    Returns:
        How far keypoints and scores are from `estimator.predict`, and how many were compared.

    Raises:
        RuntimeError: on the same crops they differ by more than rounding explains.
    """
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    data = encode_jpeg(cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC))
    image = decode_image(data)
    boxes = np.array([[40, 30, 140, 220], [190, -20, 350, 180]], np.float32)
    padded = np.concatenate([boxes, np.zeros((1, 4), np.float32)])
    answer = served(image_bytes=tf.constant([data]), boxes=tf.constant(padded[None]))
    answer = np.concatenate([answer["keypoints"], answer["keypoint_scores"][..., None]], axis=-1)[0]
    if answer[2].any():
        raise RuntimeError("the written program finds keypoints in a padded box")

    expected = _predict_as_programs(estimator, image, boxes)
    bearable = MAX_POSE_DIFFERENCES * [1.0, max(1.0, np.abs(expected[..., 2]).max())]
    moved = [
        _differences(_predict_as_programs(estimator, image, boxes + by), expected) for by in _NUDGES
    ]
    steady = (np.max(moved, axis=0) <= bearable / 2).all(axis=-1)
    _refuse_beyond(_largest(answer[:2], expected, steady), bearable)
    predicted = estimator.predict(image, boxes).keypoints
    keypoints_px, scores = _largest(answer[:2], predicted, steady).tolist()
    return {"keypoints_px": keypoints_px, "scores": scores, "keypoints_compared": int(steady.sum())}


def _predict_as_programs(
    estimator: PoseEstimator, image: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """What the estimator answers (N, K, 3) of crops that are cut as programs cut them."""
    recipe = estimator.recipe
    crops, back = cut_crops(image, tf.constant(boxes), recipe.input_size_wh, recipe.convention)
    keypoints = estimator.predict_crops(crops)
    points = affine.transform_points(back.numpy(), keypoints[..., :2])
    return np.concatenate([points, keypoints[..., 2:]], axis=-1)


def _largest(keypoints: np.ndarray, others: np.ndarray, steady: np.ndarray) -> np.ndarray:
    """The largest of `_differences` among those that are `steady` (..., K): two numbers."""
    return _differences(keypoints, others)[steady].max(axis=0, initial=0.0)


def _differences(keypoints: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far apart keypoints (..., K, 3) are, in pixels and in score: (..., K, 2)."""
    far = np.linalg.norm(keypoints[..., :2] - others[..., :2], axis=-1)
    return np.stack([far, np.abs(keypoints[..., 2] - others[..., 2])], axis=-1)


def compare_face(served: Signature, detector: FaceDetector, max_faces: int) -> dict[str, float]:
    """The largest differences between a program's answers and those of the detector it came from.

    Drawn scenes of several sizes go into one request.

    Raises:
        RuntimeError: they exceed what rounding explains, or the faces are others.
    """
    scenes = [draw_scene(np.random.default_rng(seed)).image for seed in range(_SCENES)]
    files = [encode_jpeg(scene) for scene in scenes]
    answer = {name: t.numpy() for name, t in served(image_bytes=tf.constant(files)).items()}
    differences = [np.zeros((0, 15))]
    for row, file in enumerate(files):
        faces = detector.detect(decode_image(file))
        expected = _face_rows(faces.boxes_xyxy, faces.landmarks, faces.scores)[:max_faces]
        found = _face_rows(*(answer[name][row] for name in ("boxes", "landmarks", "scores")))
        count = answer["counts"][row]
        if count != len(expected) or found[count:].any():
            raise RuntimeError(
                f"the written program finds {count} faces on drawn scene {row}, expected the "
                f"detector's {len(expected)}, and zeros behind them"
            )
        differences.append(np.abs(found[:count] - expected))
    each = np.concatenate(differences)
    largest = np.array([each[:, :-1].max(initial=0.0), each[:, -1].max(initial=0.0)])
    _refuse_beyond(largest, MAX_FACE_DIFFERENCES)
    pixels, scores = largest.tolist()
    return {"boxes_and_landmarks_px": pixels, "scores": scores, "faces_compared": len(each)}


def _face_rows(boxes: np.ndarray, landmarks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Faces as rows (N, 15): box, landmarks, score."""
    return np.concatenate([boxes, landmarks.reshape(-1, 10), scores[:, None]], axis=1)


def _refuse_beyond(largest: np.ndarray, bearable: np.ndarray) -> None:
    if not (largest <= bearable).all():
        raise RuntimeError(
            f"the written program and what it was made of differ by {largest} px and score, "
            f"expected at most {bearable}"
        )
