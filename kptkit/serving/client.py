"""A client of TF Serving with the methods of `PoseEstimator` and `FaceDetector`.

    with Client("grpc://127.0.0.1:8500") as client:
        persons = client.predict("photo.jpg", boxes_xyxy=[[30, 20, 210, 400]])
        faces = client.detect("photo.jpg")

A picture is sent as the bytes of its file. Inputs are checked before anything is sent. A request to
a server that is busy or starting up is repeated until the timeout.
"""

import os
import random
import time
from typing import Any, Self, TypeVar, overload
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from kptkit.errors import InputError
from kptkit.export.pose_graph import MAX_PERSONS
from kptkit.face.detector import FacePrediction
from kptkit.geometry import boxes
from kptkit.images.codec import (
    as_image,
    decode_image,
    encode_jpeg,
    encode_png,
    printable,
    read_bytes,
)
from kptkit.images.headers import ImageError, check_file
from kptkit.pose.estimator import PosePrediction
from kptkit.serving.transport import (
    Arrays,
    Call,
    GrpcTransport,
    RestTransport,
    ServingError,
    TooLate,
    Transport,
    Unavailable,
)

__all__ = ["Client", "ServingError"]

Picture = np.ndarray | bytes | str | os.PathLike
# The type of the pictures in a list, which may be narrower: a `list[Path]` is no `list[Picture]`.
AnyPicture = TypeVar("AnyPicture", bound=Picture)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds


class Client:
    """The pose and face models of a model server. Threads may share a client.

    Args:
        address: ``grpc://HOST:PORT`` (TF Serving's port 8500) or ``http://HOST:PORT`` (8501); for a
            proxy also ``https://`` and a path prefix.
        pose_model, face_model: names of the models on the server.
        version: of the models; default: the newest that the server has.
        timeout: seconds that a call may take, retries and pauses included.
        retries: how often a request to an unavailable server is repeated.
        jpeg_quality: 1 to 100, for pictures passed as arrays; None: lossless PNG.
        credentials: from `grpc.ssl_channel_credentials`, for gRPC with TLS; default: no TLS.

    Raises:
        InputError: the address or a number is invalid, or gRPC is not installed.
    """

    def __init__(
        self,
        address: str = "grpc://127.0.0.1:8500",
        *,
        pose_model: str = "pose",
        face_model: str = "face",
        version: int | None = None,
        timeout: float = 10.0,
        retries: int = 5,
        jpeg_quality: int | None = 95,
        credentials: Any = None,
    ):
        if not 0 < timeout < float("inf"):
            raise InputError(f"timeout: {timeout}, expected seconds above 0")
        if retries < 0:
            raise InputError(f"retries: {retries}, expected 0 or more")
        if jpeg_quality is not None and not 1 <= jpeg_quality <= 100:
            raise InputError(f"jpeg_quality: {jpeg_quality}, expected 1 to 100, or none for PNG")
        self.address = address
        self._pose_model, self._face_model, self._version = pose_model, face_model, version
        self._timeout, self._retries, self._jpeg_quality = timeout, retries, jpeg_quality
        self._transport = _transport_to(address, credentials)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def predict(self, image: Picture, boxes_xyxy: npt.ArrayLike | None = None) -> PosePrediction:
        """The keypoints of one picture, as `PoseEstimator.predict` gives them.

        Args:
            image: a path or the bytes of a file (EXIF orientation is applied), or an array
                (H, W, 3) uint8 RGB.
            boxes_xyxy: (N, 4) persons in image pixels; default: one person, the whole picture.

        Raises:
            InputError: the picture or a box cannot be used.
            ServingError: the server was not reached in time, or has no such model.
        """
        data, size_wh = self._file(image)
        if boxes_xyxy is None:
            box = np.array([[0, 0, *size_wh]], np.float32)
            return _pose_prediction(self._send_pose("image_bytes", {"image_bytes": [data]}), box)
        boxes_xyxy = boxes.checked(boxes_xyxy)
        # Without boxes one request is sent all the same: only the server knows K.
        parts = [
            boxes_xyxy[start : start + MAX_PERSONS]
            for start in range(0, max(len(boxes_xyxy), 1), MAX_PERSONS)
        ]
        predictions = []
        for part in parts:
            # TF Serving's batching refuses empty tensors; the model ignores a box without area.
            sent = part if len(part) else np.zeros((1, 4), np.float32)
            inputs = {"image_bytes": [data], "boxes": sent[None]}
            predictions.append(_pose_prediction(self._send_pose("serving_default", inputs), part))
        if len(predictions) == 1:
            return predictions[0]
        return PosePrediction(
            np.concatenate([p.keypoints for p in predictions]),
            np.concatenate([p.scores for p in predictions]),
            boxes_xyxy,
        )

    @overload
    def detect(self, image: Picture) -> FacePrediction: ...
    @overload
    def detect(self, image: list[AnyPicture] | tuple[Picture, ...]) -> list[FacePrediction]: ...
    def detect(
        self, image: Picture | list[AnyPicture] | tuple[Picture, ...]
    ) -> FacePrediction | list[FacePrediction]:
        """The faces of a picture, or of every picture in a list, as `FaceDetector.detect`.

        Args:
            image: a path or the bytes of a file (EXIF orientation is applied), an array (H, W, 3)
                uint8 RGB, or a list of these, of which each is sent as a request of its own.

        Raises:
            InputError: a picture cannot be used; in a list, the message names its index.
            ServingError: the server was not reached in time, or has no such model.
        """
        if not isinstance(image, (list, tuple)):
            data, _ = self._file(image)
            call = Call(self._face_model, self._version, "serving_default", {"image_bytes": [data]})
            return _face_prediction(self._send(call))
        faces = []
        for index, one in enumerate(image):
            try:
                faces.append(self.detect(one))
            except InputError as error:
                raise InputError(f"images[{index}]: {error}") from None
        return faces

    def _file(self, image: Picture) -> tuple[bytes, tuple[int, int]]:
        """The bytes to send for a picture, and the size_wh of the upright picture."""
        if isinstance(image, np.ndarray):
            image = as_image(image)
            quality = self._jpeg_quality
            data = encode_png(image) if quality is None else encode_jpeg(image, quality)
            return data, (image.shape[1], image.shape[0])
        if not isinstance(image, (bytes, str, os.PathLike)):
            expected = "expected a path, the bytes of a file or a NumPy array"
            raise ImageError(f"image: {type(image).__name__}, {expected}", "not an image")
        name = "image" if isinstance(image, bytes) else printable(image)
        try:
            data = image if isinstance(image, bytes) else read_bytes(image)
            checked = check_file(data)
            if not checked.served:  # what exported models do not decode is sent as PNG
                pixels = decode_image(data, "exif")
                return encode_png(pixels), (pixels.shape[1], pixels.shape[0])
        except ImageError as error:
            text = str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}"
            raise ImageError(text, error.reason) from None
        return data, checked.header.upright_wh

    def _send_pose(self, signature: str, inputs: dict[str, Any]) -> Arrays:
        return self._send(Call(self._pose_model, self._version, signature, inputs))

    def _send(self, call: Call) -> Arrays:
        """The answer to a request, retried while the server is unavailable and time is left."""
        start = time.monotonic()
        deadline = start + self._timeout
        for attempt in range(self._retries + 1):
            try:
                return self._transport.send(call, max(deadline - time.monotonic(), 1e-3))
            except Unavailable as error:
                pause = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.5)
                left = deadline - time.monotonic()
                if attempt == self._retries or pause >= left:
                    raise ServingError(
                        f"{self.address}: unavailable in {attempt + 1} attempts over "
                        f"{time.monotonic() - start:.1f} s: {error}; is the server up?"
                    ) from None
                time.sleep(pause)
            except TooLate:
                raise ServingError(
                    f"{self.address}: no answer from model {call.model!r} within "
                    f"{self._timeout:g} s; give a longer timeout, or look at the server's load"
                ) from None
            except ServingError as error:
                raise ServingError(f"{self.address}: {error}") from None
            except InputError as error:
                raise InputError(f"{self.address}: {error}") from None
        raise AssertionError("every attempt returns or raises")


def _transport_to(address: str, credentials: Any) -> Transport:
    scheme, target, path = _split(address)
    if target and scheme == "grpc" and not path.strip("/"):
        return GrpcTransport(target, credentials)
    if target and scheme in ("http", "https") and credentials is None:
        return RestTransport(target, tls=scheme == "https", path=path)
    raise InputError(
        f"address: {address!r}, expected grpc://HOST:PORT or http://HOST:PORT, such as "
        "grpc://127.0.0.1:8500"
    )


def _split(address: str) -> tuple[str, str, str]:
    """Scheme, HOST:PORT and path of an address; all empty if it is none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is not a number
        return "", "", ""
    host = f"[{host}]" if ":" in host else host
    return parts.scheme, f"{host}:{port}" if host and port else "", parts.path


def _pose_prediction(answer: Arrays, boxes_xyxy: np.ndarray) -> PosePrediction:
    """The persons (N) of an answer to one picture, without the padding that batching may add."""
    count = len(boxes_xyxy)
    points = _output(answer, "keypoints", (None, None, 2))
    scores = _output(answer, "keypoint_scores", points.shape[:2])
    means = _output(answer, "scores", points.shape[:1])
    if len(points) < count:
        raise ServingError(f"an answer of {len(points)} persons, {count} were asked for")
    keypoints = np.concatenate([points, scores[..., None]], axis=-1)
    return PosePrediction(keypoints[:count], means[:count], boxes_xyxy)


def _face_prediction(answer: Arrays) -> FacePrediction:
    """The faces of an answer to one picture, without the padding behind `counts` of them."""
    counts = np.asarray(answer.get("counts"))
    if counts.shape != (1,) or counts.dtype.kind not in "iu" or counts[0] < 0:
        raise ServingError(f"an answer with counts {counts!r}; is it a face model of kptkit?")
    count = int(counts[0])
    shapes: dict[str, tuple[int, ...]] = {"boxes": (4,), "scores": (), "landmarks": (5, 2)}
    rows = {}
    for name, shape in shapes.items():
        if count == 0:  # JSON has no shape for a tensor without elements
            rows[name] = np.zeros((0, *shape), np.float32)
            continue
        rows[name] = _output(answer, name, (None, *shape))[:count]
        if len(rows[name]) < count:
            raise ServingError(f"an answer of {len(rows[name])} {name} for {count} faces")
    return FacePrediction(rows["boxes"], rows["scores"], rows["landmarks"])


def _output(answer: Arrays, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """A tensor of an answer to one picture, as float32 of a shape without the batch side."""
    array = np.asarray(answer.get(name))
    fits = array.ndim == 1 + len(shape) and len(array) == 1 and array.dtype.kind in "iuf"
    if not fits or any(e not in (None, f) for e, f in zip(shape, array.shape[1:], strict=True)):
        wanted = ", ".join("?" if side is None else str(side) for side in (1, *shape))
        raise ServingError(
            f"an answer with {name} {array.dtype}{list(array.shape)}, expected numbers "
            f"[{wanted}]; is it a model that kptkit exported?"
        )
    return array[0].astype(np.float32)
