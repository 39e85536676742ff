"""Compares an exported network with its source; an export that differs is never published.

A SavedModel is compared, on whole pictures, with the estimator or detector it was made from; LiteRT
and ONNX files, run by their runtimes, are compared with Keras on crops.

If a heatmap has two almost equal peaks, rounding can move the keypoint from one to the other. That
says nothing about the export, so such keypoints are left out: boxes or heatmaps are perturbed very
slightly, and keypoints that move by more than half the limit are not compared.
"""

from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from kptkit.demo.scene import draw_scene
from kptkit.export.check_inputs import face_windows, levels, person_crops
from kptkit.export.network_functions import NetworkFunction
from kptkit.export.target import Precision
from kptkit.face.detector import FaceDetector
from kptkit.images.codec import decode_image, encode_jpeg
from kptkit.network import heatmaps_to_crop
from kptkit.pose.crops import cut_persons_in_graph, to_image
from kptkit.pose.estimator import PoseEstimator

Arrays = dict[str, np.ndarray]
# A network in its runtime: named arrays in, named arrays out.
Runner = Callable[[Arrays], Arrays]
# The signature `serving_default` of a reloaded SavedModel.
Signature = Callable[..., dict[str, tf.Tensor]]

# The largest allowed differences. Pose scores and heatmaps are shares of the highest peak; for
# SavedModels only if that peak is above 1, as it may be before training.
SAVED_POSE_LIMITS = {"keypoints_px": 0.05, "scores": 1e-3}
SAVED_FACE_LIMITS = {"boxes_and_landmarks_px": 0.01, "scores": 1e-5}
CONVERTED_POSE_LIMITS: dict[Precision, dict[str, float]] = {
    "float32": {"heatmaps": 1e-4, "scores": 1e-4, "keypoints_px": 0.01},
    "float16": {"heatmaps": 1e-2, "scores": 1e-2, "keypoints_px": 0.25},
}
# For P-Net, R-Net and O-Net: scores, and offsets as shares of a window's side.
CONVERTED_STAGE_LIMITS: dict[Precision, float] = {"float32": 1e-4, "float16": 2e-2}

# Shifts of a box, in pixels, that reveal unstable keypoints.
_NUDGES = (-1e-3, 1e-3)
# Number of perturbations of a heatmap, and their amplitude as a multiple of its largest difference:
# if two pixels can change order, at least one perturbation in five makes them.
_SHAKES, _SHAKE = 16, 3.0
# Number of scenes on which faces are compared; a trained detector finds faces on most of them.
_FACE_SCENES = 16


def compare_saved_pose(served: Signature, estimator: PoseEstimator) -> dict[str, float]:
    """The largest differences between the outputs of a SavedModel and of its estimator.

    A SavedModel's crops differ from the estimator's by up to one grey level, which some networks
    amplify. So the limits apply to the estimator's output on the SavedModel's crops; the
    difference from `estimator.predict`, on its own crops, is only returned.

    Returns:
        Differences from `estimator.predict` in pixels and scores, and how many keypoints were
        compared.

    Raises:
        RuntimeError: on the same crops the outputs differ by more than `SAVED_POSE_LIMITS`.
    """
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    data = encode_jpeg(cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC))
    image = decode_image(data)
    boxes = np.array([[40, 30, 140, 220], [190, -20, 350, 180]], np.float32)
    padded = np.concatenate([boxes, np.zeros((1, 4), np.float32)])
    outputs = served(image_bytes=tf.constant([data]), boxes=tf.constant(padded[None]))
    answer = np.concatenate([outputs["keypoints"], outputs["keypoint_scores"][..., None]], axis=-1)
    answer = answer[0]
    if answer[2].any():
        raise RuntimeError("the SavedModel finds keypoints in a padded box")

    expected = _on_graph_crops(estimator, image, boxes)
    peak = max(1.0, np.abs(expected[..., 2]).max())
    limits = SAVED_POSE_LIMITS | {"scores": SAVED_POSE_LIMITS["scores"] * peak}
    moved = [_pose_apart(_on_graph_crops(estimator, image, boxes + by), expected) for by in _NUDGES]
    allowed = np.array([limits["keypoints_px"], limits["scores"]])
    steady = (np.max(moved, axis=0) <= allowed / 2).all(axis=-1)
    _refuse_beyond(_largest_pose(answer[:2], expected, steady), limits)
    predicted = estimator.predict(image, boxes).keypoints
    return _largest_pose(answer[:2], predicted, steady) | {"keypoints_compared": int(steady.sum())}


def compare_saved_faces(served: Signature, detector: FaceDetector) -> dict[str, float]:
    """The largest differences between the outputs of a SavedModel and of its detector.

    One request holds drawn scenes of several sizes.

    Raises:
        RuntimeError: they exceed `SAVED_FACE_LIMITS`, or other faces are found.
    """
    scenes = [draw_scene(np.random.default_rng(seed)).image for seed in range(_FACE_SCENES)]
    files = [encode_jpeg(scene) for scene in scenes]
    answer = {name: t.numpy() for name, t in served(image_bytes=tf.constant(files)).items()}
    differences = [np.zeros((0, 15))]
    for row, file in enumerate(files):
        faces = detector.detect(decode_image(file))
        expected = _face_rows(faces.boxes_xyxy, faces.landmarks, faces.scores)
        found = _face_rows(*(answer[name][row] for name in ("boxes", "landmarks", "scores")))
        count = answer["counts"][row]
        if count != len(expected) or found[count:].any():
            raise RuntimeError(
                f"the SavedModel finds {count} faces on drawn scene {row}, expected the "
                f"detector's {len(expected)}, and zeros behind them"
            )
        differences.append(np.abs(found[:count] - expected))
    each = np.concatenate(differences)
    largest = {
        "boxes_and_landmarks_px": float(each[:, :-1].max(initial=0.0)),
        "scores": float(each[:, -1].max(initial=0.0)),
    }
    _refuse_beyond(largest, SAVED_FACE_LIMITS)
    return largest | {"faces_compared": len(each)}


def compare_converted_pose(
    runner: Runner, network: NetworkFunction, estimator: PoseEstimator, precision: Precision
) -> dict[str, float]:
    """The largest differences between the outputs of a runtime and of the estimator on equal crops.

    Raises:
        RuntimeError: they exceed `CONVERTED_POSE_LIMITS` of this precision.
    """
    crops = person_crops(estimator)
    found, expected = _answers(runner, network, crops), _keras_answers(network, crops)
    keypoints = estimator.predict_crops(crops)
    peak = expected["heatmaps"].max()
    apart = np.abs(found["heatmaps"] - expected["heatmaps"]).max(axis=(1, 2), keepdims=True)
    limits = CONVERTED_POSE_LIMITS[precision]
    leaps = _leaps(expected["heatmaps"], keypoints, _SHAKE * apart, estimator)
    steady = leaps <= limits["keypoints_px"] / 2
    far = _distances(found["keypoints"], keypoints)[steady]
    largest = {
        "heatmaps": float(apart.max() / peak),
        "scores": float(np.abs(found["keypoint_scores"] - keypoints[..., 2]).max() / peak),
        "keypoints_px": float(far.max(initial=0.0)),
    }
    _refuse_beyond(largest, limits)
    return largest | {"keypoints_compared": int(steady.sum()), "keypoints": steady.size}


def compare_converted_stage(
    runner: Runner, network: NetworkFunction, precision: Precision
) -> dict[str, float]:
    """The largest differences between a runtime's P-Net, R-Net or O-Net and Keras's.

    Raises:
        RuntimeError: they exceed `CONVERTED_STAGE_LIMITS` of this precision.
    """
    size = network.spec.shape[1]
    # P-Net gets pyramid levels of two sizes, so that a file with a hard-coded size fails.
    pictures = [face_windows(size)] if size else levels()
    largest: dict[str, float] = {}
    for images in pictures:
        found, expected = _answers(runner, network, images), _keras_answers(network, images)
        for name, values in expected.items():
            apart = float(np.abs(found[name] - values).max())
            largest[name] = max(largest.get(name, 0.0), apart)
    _refuse_beyond(largest, dict.fromkeys(largest, CONVERTED_STAGE_LIMITS[precision]))
    return largest


def _refuse_beyond(largest: dict[str, float], limits: dict[str, float]) -> None:
    for name, difference in largest.items():
        if not difference <= limits[name]:  # NaN is refused too
            raise RuntimeError(
                f"the exported network and its source differ by {difference:.3g} in {name}, "
                f"expected at most {limits[name]:g}"
            )


def _on_graph_crops(estimator: PoseEstimator, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The estimator's keypoints (N, K, 3) on crops as a SavedModel cuts them."""
    recipe = estimator.recipe
    crops, crop_to_image = cut_persons_in_graph(
        image, tf.constant(boxes), recipe.input_size_wh, recipe.convention
    )
    return to_image(estimator.predict_crops(crops), crop_to_image.numpy())


def _largest_pose(
    keypoints: np.ndarray, others: np.ndarray, steady: np.ndarray
) -> dict[str, float]:
    """The largest distance and score difference of the `steady` (..., K) bool keypoints."""
    pixels, scores = _pose_apart(keypoints, others)[steady].max(axis=0, initial=0.0).tolist()
    return {"keypoints_px": pixels, "scores": scores}


def _pose_apart(keypoints: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far apart keypoints (..., K, 3) are, in pixels and in score: (..., K, 2)."""
    scores = np.abs(keypoints[..., 2] - others[..., 2])
    return np.stack([_distances(keypoints, others), scores], axis=-1)


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distances (...) between points (..., 2 or more) in x and y."""
    return np.linalg.norm(np.asarray(points)[..., :2] - others[..., :2], axis=-1)


def _face_rows(boxes: np.ndarray, landmarks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Faces as rows (N, 15): box, landmarks, score."""
    return np.concatenate([boxes, landmarks.reshape(-1, 10), scores[:, None]], axis=1)


def _keras_answers(network: NetworkFunction, images: np.ndarray) -> Arrays:
    def run(inputs: Arrays) -> Arrays:
        outputs = network.function(tf.constant(inputs[network.spec.name]))
        return {name: output.numpy() for name, output in outputs.items()}

    return _answers(run, network, images)


def _answers(runner: Runner, network: NetworkFunction, images: np.ndarray) -> Arrays:
    """The outputs for images (N, ...), in batches of the network's batch size.

    The last batch is filled up, and the extra outputs are dropped. A network of any batch size gets
    the first image alone, then all others.
    """
    size = network.spec.shape[0]
    count = len(images) + -len(images) % (size or 1)
    filled = np.resize(images, (count, *images.shape[1:]))
    batches = np.split(filled, range(size, len(filled), size) if size else [1])
    answers = [runner({network.spec.name: batch}) for batch in batches]
    joined = {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}
    return {name: rows[: len(images)] for name, rows in joined.items()}


def _leaps(
    heatmaps: np.ndarray, keypoints: np.ndarray, noise: np.ndarray, estimator: PoseEstimator
) -> np.ndarray:
    """Largest movements (N, K) of keypoints (N, K, 3) when noise is added to heatmaps.

    Args:
        noise: amplitude of the noise on each heatmap, (N, 1, 1, K).
    """
    rng = np.random.default_rng(0)
    far = np.zeros(keypoints.shape[:-1])
    for _ in range(_SHAKES):
        shaken = heatmaps + noise * rng.uniform(-1, 1, heatmaps.shape)
        shaken = heatmaps_to_crop(np.float32(shaken), estimator.recipe)
        far = np.maximum(far, _distances(shaken, keypoints))
    return far
