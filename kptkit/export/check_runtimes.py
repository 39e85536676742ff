"""Whether a network in another runtime answers as the one that it was made of, on drawn scenes."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import tensorflow as tf

from kptkit.demo.scene import Scene, draw_scene
from kptkit.export.portable_networks import PortableNetwork, Precision
from kptkit.geometry import boxes
from kptkit.geometry.face_windows import square
from kptkit.images.area_resize import area_crops
from kptkit.models.mtcnn import STAGES
from kptkit.network import heatmaps_to_crop
from kptkit.pose.estimator import PoseEstimator

Arrays = dict[str, np.ndarray]
Runner = Callable[[Arrays], Arrays]

# What a pose network may differ by: heatmaps and scores as shares of the highest peak, keypoints in
# crop pixels.
MAX_POSE_DIFFERENCES: dict[Precision, dict[str, float]] = {
    "float32": {"heatmaps": 1e-4, "scores": 1e-4, "keypoints_px": 0.01},
    "float16": {"heatmaps": 1e-2, "scores": 1e-2, "keypoints_px": 0.25},
}
# What P-Net, R-Net and O-Net may differ by: in scores, and in offsets as shares of a window's side.
MAX_STAGE_DIFFERENCES: dict[Precision, float] = {"float32": 1e-4, "float16": 2e-2}

# How often a heatmap is shaken, and by how many times its largest difference: of two pixels that
# may change places, one shake in five at least then makes them.
_SHAKES, _SHAKE = 16, 3.0

# Drawn scenes of one to five people, on some of whom a face is seen.
_SCENES = 6


def compare_pose(
    runner: Runner, network: PortableNetwork, estimator: PoseEstimator, precision: Precision
) -> dict[str, float]:
    """The largest differences between a runtime's answers and the estimator's.

    A keypoint that leaps when its heatmap is shaken by little more than it differs lies where two
    places are equally high; it says nothing about the program and is left out.

    Raises:
        RuntimeError: they exceed what rounding explains at this precision.
    """
    crops = person_crops(estimator)
    found, expected = _answers(runner, network, crops), _keras_answers(network, crops)
    keypoints = estimator.predict_crops(crops)
    peak = expected["heatmaps"].max()
    apart = np.abs(found["heatmaps"] - expected["heatmaps"]).max(axis=(1, 2), keepdims=True)
    bearable = MAX_POSE_DIFFERENCES[precision]
    leaps = _leaps(expected["heatmaps"], keypoints, _SHAKE * apart, estimator)
    steady = leaps <= bearable["keypoints_px"] / 2
    far = _distances(found["keypoints"], keypoints)[steady]
    largest = {
        "heatmaps": float(apart.max() / peak),
        "scores": float(np.abs(found["keypoint_scores"] - keypoints[..., 2]).max() / peak),
        "keypoints_px": float(far.max(initial=0.0)),
    }
    _refuse_beyond(largest, bearable)
    return largest | {"keypoints_compared": int(steady.sum()), "keypoints": steady.size}


def compare_stage(
    runner: Runner, network: PortableNetwork, precision: Precision
) -> dict[str, float]:
    """The largest differences between a runtime's P-Net, R-Net or O-Net and Keras's.

    Raises:
        RuntimeError: they exceed what rounding explains at this precision.
    """
    size = STAGES[network.name].size
    # P-Net's levels are of two sizes, so that none is baked in.
    pictures = [face_windows(size)] if network.spec.shape[1] else levels()
    largest: dict[str, float] = {}
    for images in pictures:
        found, expected = _answers(runner, network, images), _keras_answers(network, images)
        for name, values in expected.items():
            apart = float(np.abs(found[name] - values).max())
            largest[name] = max(largest.get(name, 0.0), apart)
    _refuse_beyond(largest, dict.fromkeys(largest, MAX_STAGE_DIFFERENCES[precision]))
    return largest


def person_crops(estimator: PoseEstimator) -> np.ndarray:
    """People of drawn scenes as the estimator cuts them out: (N, h, w, 3) uint8."""
    crops = []
    for scene in _scenes():
        persons = boxes.from_xywh(np.array([person.box_xywh for person in scene.people]))
        crops.append(estimator.cut(scene.image, persons)[0])
    return np.concatenate(crops)


def face_windows(size: int) -> np.ndarray:
    """Squares around faces of drawn scenes, and as many beside them: (N, size, size, 3) float32."""
    crops = []
    for scene in _scenes():
        faces = [person.face.box_xywh for person in scene.people if person.face]
        if faces:
            windows = square(boxes.from_xywh(np.array(faces)))
            beside = windows + (windows[:, 2:] - windows[:, :2]).max(axis=1, keepdims=True)
            windows = np.concatenate([windows, beside]).astype(np.int32)
            crops.append(area_crops(tf.constant(scene.image), tf.constant(windows), size).numpy())
    return np.concatenate(crops)


def levels() -> list[np.ndarray]:
    """Two drawn scenes at half their sizes, twice each: (2, h, w, 3) float32."""
    scenes = {scene.image.shape: scene.image for scene in _scenes()}
    halves = [
        cv2.resize(image, (shape[1] // 2, shape[0] // 2), interpolation=cv2.INTER_AREA)
        for shape, image in list(scenes.items())[:2]
    ]
    return [np.float32([half, half[:, ::-1]]) for half in halves]


@cache
def _scenes() -> list[Scene]:
    scenes = [draw_scene(np.random.default_rng(seed)) for seed in range(_SCENES)]
    return [scene for scene in scenes if scene.people]


def _keras_answers(network: PortableNetwork, images: np.ndarray) -> Arrays:
    def run(inputs: Arrays) -> Arrays:
        outputs = network.function(tf.constant(inputs[network.spec.name]))
        return {name: output.numpy() for name, output in outputs.items()}

    return _answers(run, network, images)


def _answers(runner: Runner, network: PortableNetwork, images: np.ndarray) -> Arrays:
    """What a runtime says of images, in batches of its number; of any number: one, then all others.

    Images that fill up the last batch are dropped again.
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
    """How far keypoints (N, K, 3) move at most when noise is added to heatmaps: (N, K).

    Args:
        noise: of each heatmap (N, 1, 1, K).
    """
    rng = np.random.default_rng(0)
    far = np.zeros(keypoints.shape[:-1])
    for _ in range(_SHAKES):
        shaken = heatmaps + noise * rng.uniform(-1, 1, heatmaps.shape)
        shaken = heatmaps_to_crop(np.float32(shaken), estimator.recipe)
        far = np.maximum(far, _distances(shaken, keypoints))
    return far


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Between points (..., 2 or more) and others, by their x and y: (...)."""
    return np.linalg.norm(np.asarray(points)[..., :2] - others[..., :2], axis=-1)


def _refuse_beyond(largest: dict[str, float], bearable: dict[str, float]) -> None:
    for name, difference in largest.items():
        if not difference <= bearable[name]:
            raise RuntimeError(
                f"the written program and what it was made of differ by {difference:.3g} in "
                f"{name}, expected at most {bearable[name]:g}"
            )
