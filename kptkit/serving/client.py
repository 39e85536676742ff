"""A client of TF Serving with the methods of `PoseEstimator` and `FaceDetector`.

    with Client("grpc://127.0.0.1:8500") as client:
        persons = client.predict("photo.jpg", boxes_xyxy=[[30, 20, 210, 400]])
        faces = client.detect("photo.jpg")

A picture is sent as the bytes of its file. Boxes and the header of every file, also of those that
are made of arrays, are checked before anything is sent, by the rules of exported models. That keeps
a bad picture from failing others: a server that merges requests refuses all of them as one. What a
header does not tell, pixels that are broken behind it, only `decode_first` finds. A request to a
server that is busy or starting up is repeated until the timeout.
"""

import os
import random
import time
from collections.abc import Iterable
from typing import Any, Self, overload
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from kptkit.checks import check_number
from kptkit.errors import InputError
from kptkit.export.pose_graph import MAX_PERSONS
from kptkit.face.detector import FacePrediction
from kptkit.geometry import boxes
from kptkit.images.arguments import (
    AnyPicture,
    Picture,
    Pictures,
    named_content,
    one_or_each,
)
from kptkit.images.codec import decode_image, encode_jpeg, encode_png
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
from kptkit.system import building

__all__ = ["Client", "ServingError"]


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
        decode_first: whether every file is decoded here too before it is sent, which takes some
            milliseconds for a megapixel: for servers that merge requests of several clients.
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
        decode_first: bool = False,
        credentials: Any = None,
    ):
        check_number("timeout", timeout, "seconds above 0", low=1e-6)
        check_number("retries", retries, "a whole number, 0 or more", low=0, whole=True)
        if jpeg_quality is not None:
            what = "a whole number from 1 to 100, or none for PNG"
            check_number("jpeg_quality", jpeg_quality, what, 1, 100, whole=True)
        if version is not None:
            what = "a whole number, or none for the newest"
            check_number("version", version, what, low=0, whole=True)
        for field, name in (("pose_model", pose_model), ("face_model", face_model)):
            if not isinstance(name, str) or not name:
                raise InputError(f"{field}: {name!r}, expected the name of a model on the server")
        self.address = address
        self._pose_model, self._face_model, self._version = pose_model, face_model, version
        self._timeout, self._retries, self._jpeg_quality = timeout, retries, jpeg_quality
        self._decode_first, self._credentials = decode_first, credentials
        # By process: connections survive neither a fork nor a pickle.
        self._transports = {os.getpid(): _transport_to(address, credentials)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        transport = self._transports.pop(os.getpid(), None)
        if transport is not None:
            transport.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_transports": {}}

    @property
    def _transport(self) -> Transport:
        """This process's connection."""
        process = os.getpid()
        if process not in self._transports:
            with building():
                if process not in self._transports:
                    made = _transport_to(self.address, self._credentials)
                    self._transports[process] = made
        return self._transports[process]

    @overload
    def predict(
        self, image: Picture, boxes_xyxy: npt.ArrayLike | None = None
    ) -> PosePrediction: ...
    @overload
    def predict(
        self,
        image: Pictures[AnyPicture],
        boxes_xyxy: Iterable[npt.ArrayLike | None] | None = None,
    ) -> list[PosePrediction]: ...
    def predict(self, image: Any, boxes_xyxy: Any = None) -> PosePrediction | list[PosePrediction]:
        """The keypoints of one picture, or of every picture in a list, as `PoseEstimator.predict`.

        Args:
            image: a picture: a path, the bytes of a file, a file open for bytes or a picture of PIL
                (EXIF orientation is applied), or an array or tensor (H, W, 3) uint8 RGB; or a list
                of these, of which each is sent as a request of its own.
            boxes_xyxy: (N, 4) persons in image pixels; default: one person, the whole picture. For
                several pictures, one such array, or None, for each of them.

        Raises:
            InputError: a picture or a box cannot be used; in a list, the message names its index.
            ServingError: the server was not reached in time, or has no such model.
        """
        return one_or_each(image, self._predict_one, boxes_xyxy, "boxes_xyxy")

    def _predict_one(self, image: Any, boxes_xyxy: npt.ArrayLike | None) -> PosePrediction:
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
    def detect(self, image: Pictures[AnyPicture]) -> list[FacePrediction]: ...
    def detect(self, image: Any) -> FacePrediction | list[FacePrediction]:
        """The faces of a picture, or of every picture in a list, as `FaceDetector.detect`.

        Args:
            image: as for `predict`.

        Raises:
            InputError: a picture cannot be used; in a list, the message names its index.
            ServingError: the server was not reached in time, or has no such model.
        """
        return one_or_each(image, self._detect_one)

    def _detect_one(self, image: Any, _: None) -> FacePrediction:
        data = self._file(image)[0]
        call = Call(self._face_model, self._version, "serving_default", {"image_bytes": [data]})
        return _face_prediction(self._send(call))

    def _file(self, image: Any) -> tuple[bytes, tuple[int, int]]:
        """The bytes to send for a picture, and the size_wh of the upright picture."""
        name, data = named_content(image)
        try:
            # What is made here is checked too: arrays and PNGs may be larger than files may be.
            if isinstance(data, np.ndarray):
                quality = self._jpeg_quality
                data = encode_png(data) if quality is None else encode_jpeg(data, quality)
                return data, check_file(data).header.size_wh
            checked = check_file(data)
            if not checked.served:  # what exported models do not decode is sent as PNG
                data = encode_png(decode_image(data, "exif"))
                return data, check_file(data).header.size_wh
            if self._decode_first:
                decode_image(data)
            return data, checked.header.upright_wh
        except ImageError as error:
            raise ImageError(f"{name}: {error}", error.reason) from None

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
    scheme, target, path = _split(address) if isinstance(address, str) else ("", "", "")
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
