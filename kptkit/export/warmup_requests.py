"""Warm-up requests: TF Serving runs them before a version serves clients.

They are written to `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLog messages,
and are real requests from drawn scenes. TF Serving refuses a version that fails on one of them, so
each is run on the SavedModel here first.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from kptkit.demo.scene import Scene, draw_scene
from kptkit.geometry import boxes
from kptkit.images.codec import encode_jpeg

WARMUP = Path("assets.extra", "tf_serving_warmup_requests")

# The name of a signature and its inputs.
Request = tuple[str, dict[str, np.ndarray]]


def pose_requests(size_wh: tuple[int, int]) -> list[Request]:
    """Requests to every signature of a pose SavedModel; `size_wh` is the size of its crops."""
    first, second = _scenes()
    files, persons = _files([first, second]), [_boxes(first), _boxes(second)]
    padded = np.zeros((2, max(map(len, persons)), 4), np.float32)
    for row, own in zip(padded, persons, strict=True):
        row[: len(own)] = own
    whole = _whole(first)
    return [
        ("serving_default", {"image_bytes": files[:1], "boxes": persons[0][None, :1]}),
        ("serving_default", {"image_bytes": files, "boxes": padded}),
        ("image_bytes", {"image_bytes": files[:1]}),
        ("images", {**whole, "boxes": persons[0][None]}),
        ("whole_images", whole),
        ("crops", {"crops": cv2.resize(first.image, size_wh)[None]}),
    ]


def face_requests() -> list[Request]:
    """Requests to every signature of a face SavedModel."""
    first, second = _scenes()
    return [
        ("serving_default", {"image_bytes": _files([first])}),
        ("serving_default", {"image_bytes": _files([first, second])}),
        ("images", _whole(first)),
    ]


def write_warmup(
    folder: Path, model: str, requests: list[Request], signatures: Mapping[str, Callable]
) -> int:
    """Writes the requests into a version's folder, after its SavedModel has answered each.

    Args:
        model: its name on the server, which is part of the messages.
        signatures: the signatures of the reloaded SavedModel.

    Returns:
        The number of requests.
    """
    path = folder / WARMUP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            tensors = {name: tf.constant(value) for name, value in inputs.items()}
            signatures[signature](**tensors)
            writer.write(_prediction_log(model, signature, tensors))
    return len(requests)


def _scenes() -> tuple[Scene, Scene]:
    """Two drawn scenes of different sizes and numbers of people."""
    scenes = (draw_scene(np.random.default_rng(seed)) for seed in range(100))
    first = next(scene for scene in scenes if len(scene.people) == 1)
    second = next(
        scene
        for scene in scenes
        if len(scene.people) > 1 and scene.image.shape != first.image.shape
    )
    return first, second


def _files(scenes: list[Scene]) -> np.ndarray:
    return np.array([encode_jpeg(scene.image) for scene in scenes], object)


def _whole(scene: Scene) -> dict[str, np.ndarray]:
    """The picture of a scene and its size, for the signatures that take pixels."""
    return {
        "images": scene.image[None],
        "image_hw": np.array([scene.image.shape[:2]], np.int32),
    }


def _boxes(scene: Scene) -> np.ndarray:
    """The boxes (N, 4) of the people of a scene, in pixels."""
    boxes_xywh = np.array([person.box_xywh for person in scene.people])
    return boxes.from_xywh(boxes_xywh).astype(np.float32)


def _prediction_log(model: str, signature: str, inputs: dict[str, tf.Tensor]) -> bytes:
    """A serialised PredictionLog of TF Serving's API, encoded by field numbers.

    Encoded by hand, so that an export does not need tensorflow-serving-api.
    """
    model_spec = _message((1, model.encode()), (3, signature.encode()))
    entries = [
        (2, _message((1, name.encode()), (2, tf.make_tensor_proto(t).SerializeToString())))
        for name, t in inputs.items()
    ]
    request = _message((1, model_spec), *entries)
    return _message((6, _message((1, request))))


def _message(*fields: tuple[int, bytes]) -> bytes:
    """A protocol buffer of length-delimited fields: each is its number, length and bytes."""
    return b"".join(_varint(number << 3 | 2) + _varint(len(data)) + data for number, data in fields)


def _varint(number: int) -> bytes:
    """A protocol-buffer varint: seven bits per byte, lowest first; the highest bit: more follow."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])
