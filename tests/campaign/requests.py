"""Requests to a model server by many clients at once, one in five of them malformed.

Right: a good request is answered as when it is alone, to the bit; a malformed one is refused for
its content; and the process lives.
"""

import functools
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from support import fake_tf_serving
from support.blob_pose import BOXES, blobs, estimator
from support.spoilt_requests import spoilt

from campaign.parts import FOLDER
from kptkit.errors import InputError
from kptkit.export.face_graph import FaceGraph
from kptkit.export.pose_graph import PoseGraph
from kptkit.face.detector import FaceDetector
from kptkit.images.codec import encode_jpeg, encode_png
from kptkit.serving.transport import Arrays, Call, GrpcTransport

CLIENTS, REQUESTS = 10, 100


def prepare(folder: str) -> None:
    """Exports a pose network that finds blobs, and the packaged face detector."""
    PoseGraph(estimator()).save(Path(folder, "pose"))
    FaceGraph(FaceDetector().cascade).save(Path(folder, "face"))


@functools.cache
def server() -> tuple[fake_tf_serving.ModelServer, str]:
    """The served models, and their address."""
    folder = Path(os.environ[FOLDER])
    models = {name: fake_tf_serving.ServedModel(folder / name) for name in ("pose", "face")}
    running = fake_tf_serving.ModelServer(**models)
    serving = fake_tf_serving.serve_grpc(running)
    address = serving.__enter__()
    _KEPT.append(serving)  # it runs as long as the process
    return running, address


_KEPT: list = []


def attempt(seed: int) -> str:
    """Sends a hundred requests from ten clients at once; "" if all answers are right."""
    rng = np.random.default_rng(seed)
    good = [good_call(rng, (encode_jpeg, encode_png)[i % 2]) for i in range(REQUESTS // 5)]
    running, address = server()
    alone = [running.models[call.model](call.signature, _fed(call)) for call in good]
    turns = [int(turn) for turn in rng.integers(0, len(good), REQUESTS)]
    malformed = [bool(dice < 0.2) for dice in rng.random(REQUESTS)]
    bad = {i: bad_call(rng) for i in range(REQUESTS) if malformed[i]}
    faults: list[str] = []

    def client(number: int) -> None:
        own = GrpcTransport(address.split("//")[1])
        for i in range(number, REQUESTS, CLIENTS):
            kind, call = bad.get(i, ("", good[turns[i]]))
            try:
                answer = own.send(call, 60)
            except InputError as error:
                if not kind or len(str(error)) > 2000:
                    faults.append(f"{call.model} {kind or 'good'}: {error}")
            except Exception as error:
                faults.append(f"{call.model} {kind or 'good'}: {error!r}")
            else:
                if kind:
                    faults.append(f"{call.model} {call.signature} answered: {kind}")
                elif not _same(answer, alone[turns[i]]):
                    faults.append(f"{call.model} {call.signature}: another answer than alone")
        own.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "; ".join(faults[:3])


def good_call(rng: np.random.Generator, encode: Callable[[np.ndarray], bytes]) -> Call:
    """A request with one picture of any size, in any form that the models take."""
    size_wh = tuple(int(side) for side in rng.integers(16, 240, 2))
    picture = cv2.resize(blobs(), size_wh)
    model, signature = (
        *(("pose", name) for name in ("serving_default", "image_bytes", "images", "whole_images")),
        *(("face", name) for name in ("serving_default", "images")),
    )[rng.integers(6)]
    as_pixels = "images" in signature
    inputs: dict = {"image_bytes": [encode(picture)]}
    if as_pixels:
        inputs = {"images": picture[None], "image_hw": np.int32([picture.shape[:2]])}
    if model == "pose" and signature in ("serving_default", "images"):
        inputs["boxes"] = BOXES[None, : rng.integers(1, 3)] + np.float32(rng.normal(0, 3))
    return Call(model, None, signature, inputs)


def bad_call(rng: np.random.Generator) -> tuple[str, Call]:
    """What is wrong, and the request that has it."""
    call = good_call(rng, encode_jpeg)
    kinds = [kind for kind in spoilt(_fed(call)) if sum(map(_size, kind[1].values())) < 10**6]
    kind, inputs = kinds[rng.integers(len(kinds))]
    return kind, replace(call, inputs=inputs)


def _fed(call: Call) -> Arrays:
    """The inputs of a call as the arrays that a session is fed."""
    return {
        name: np.array(value, object) if isinstance(value, list) else value
        for name, value in call.inputs.items()
    }


def _size(array: np.ndarray) -> int:
    return np.asarray(array).nbytes


def _same(answer: Arrays, alone: Arrays) -> bool:
    return answer.keys() == alone.keys() and all(
        np.array_equal(answer[name], array) for name, array in alone.items()
    )
