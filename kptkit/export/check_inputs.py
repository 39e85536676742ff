"""Drawn people and faces, the inputs on which an export is compared with its source."""

from functools import cache

import cv2
import numpy as np
import tensorflow as tf

from kptkit.demo.scene import Scene, draw_scene
from kptkit.geometry import boxes
from kptkit.geometry.face_windows import square
from kptkit.images.area_resize import area_crops
from kptkit.pose.estimator import PoseEstimator

# Scenes of one to five people, some of whose faces are visible.
_SCENES = 6


def person_crops(estimator: PoseEstimator) -> np.ndarray:
    """Crops (N, h, w, 3) uint8 of the people of drawn scenes, as the estimator cuts them."""
    crops = []
    for scene in _scenes():
        persons = boxes.from_xywh(np.array([person.box_xywh for person in scene.people]))
        crops.append(estimator.cut(scene.image, persons)[0])
    return np.concatenate(crops)


def face_windows(size: int) -> np.ndarray:
    """Windows (N, size, size, 3) float32 of drawn scenes, half of them on faces, half beside."""
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
    """Two arrays (2, h, w, 3) float32: a drawn scene at half size and its mirror image."""
    scenes = {scene.image.shape: scene.image for scene in _scenes()}
    halves = [
        cv2.resize(image, (shape[1] // 2, shape[0] // 2), interpolation=cv2.INTER_AREA)
        for shape, image in list(scenes.items())[:2]
    ]
    return [np.array([half, half[:, ::-1]], np.float32) for half in halves]


@cache
def _scenes() -> list[Scene]:
    scenes = [draw_scene(np.random.default_rng(seed)) for seed in range(_SCENES)]
    return [scene for scene in scenes if scene.people]
