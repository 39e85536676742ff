"""Draws every n-th scene of a demo set; `kptkit.demo.dataset` starts one such process per core.

    python -m kptkit.demo.worker FOLDER SEED TRAIN_IMAGES VAL_IMAGES FIRST STEP

A separate command instead of a multiprocessing worker, which would import the parent's main module,
and with it TensorFlow, again. It writes FOLDER/images and prints one line of JSON per scene.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kptkit.demo.scene import Scene, draw_scene
from kptkit.images.codec import encode_jpeg

SPLITS = ("train", "val")


def main(folder: str, seed: int, counts: tuple[int, int], first: int, step: int) -> None:
    """Draws scenes first, first + step, ... of the list of training and then validation scenes.

    Args:
        counts: the number of training and of validation scenes.
    """
    cv2.setNumThreads(1)
    scenes = [(split, n) for split in range(2) for n in range(1, counts[split] + 1)]
    for split, number in scenes[first::step]:
        scene = draw_scene(np.random.default_rng([seed, split, number]))
        name = f"{SPLITS[split]}/{number:06d}.jpg"
        Path(folder, "images", name).write_bytes(encode_jpeg(scene.image, quality=92))
        print(json.dumps(_labels(scene, name)), flush=True)


def _labels(scene: Scene, name: str) -> dict[str, Any]:
    """The image and its people as COCO objects without ids, plus the labels of their faces."""
    height, width = scene.image.shape[:2]
    people = []
    for person in scene.people:
        labelled = person.keypoints[:, 2] > 0
        entry = {
            "category_id": 1,
            "iscrowd": 0,
            "bbox": list(person.box_xywh),
            "area": person.area,
            "num_keypoints": int(labelled.sum()),
            "keypoints": _rounded(person.keypoints),
        }
        if person.face is not None:
            entry["face_box"] = _rounded(person.face.box_xywh)
            entry["face_landmarks"] = np.round(person.face.landmarks_xy, 2).tolist()
            entry["face_flags"] = _wider_flags(scene, person.face.hidden, person.face.oblique)
        people.append(entry)
    return {"image": {"file_name": name, "width": width, "height": height}, "people": people}


def _wider_flags(scene: Scene, hidden: float, oblique: bool) -> list[int]:
    """WIDER FACE's flags of a face: blur, expression, illumination, invalid, occlusion, pose."""
    camera = scene.camera
    blur = int(camera.blur > 0.5) + int(camera.blur > 1)
    illumination = int(not 0.7 < camera.brightness < 1.4)
    occlusion = int(hidden > 0) + int(hidden > 0.3)
    return [blur, 0, illumination, 0, occlusion, int(oblique)]


def _rounded(values: Any) -> list[float]:
    return np.round(np.asarray(values, np.float64).ravel(), 2).tolist()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Windows has no process groups of this kind
    folder, *numbers = sys.argv[1:]
    seed, train_images, val_images, first, step = map(int, numbers)
    try:
        main(folder, seed, (train_images, val_images), first, step)
    except BrokenPipeError:  # the parent has ended; Python would report the pipe again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
