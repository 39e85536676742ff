"""Requests to a model server by TF Serving's gRPC and REST APIs.

Both send the input tensors of a signature by name and return its output tensors by name. A request
is sent once; `kptkit.serving.client` retries.
"""

import base64
import http.client
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kptkit.errors import InputError
from kptkit.wording import printable

Arrays = dict[str, np.ndarray]

# Larger answers are refused; the keypoints of 1,024 persons take less than a megabyte.
MAX_ANSWER_BYTES = 64 * 2**20

# A channel reconnects within a second of the server's return; by default it may wait two minutes.
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.max_send_message_length", -1),
)


class ServingError(RuntimeError):
    """The server was not reached, or its answer is not that of a model that kptkit exported.

    The message may quote the server, and is made printable.
    """

    def __init__(self, message: str = ""):
        super().__init__(printable(message))


class Unavailable(ServingError):
    """The server cannot take the request now, but may later."""


class TooLate(ServingError):
    """The answer did not come in time."""


@dataclass(frozen=True)
class Call:
    """One request to a signature of a model."""

    model: str
    version: int | None
    """Version of the model; default: the newest that the server has."""
    signature: str
    inputs: dict[str, list[bytes] | np.ndarray]
    """Tensors by name; strings as a list of bytes, numbers as float32."""


class Transport(Protocol):
    """A connection to a model server."""

    def send(self, call: Call, timeout: float) -> Arrays:
        """Sends a request once; returns the output tensors by name.

        Args:
            timeout: seconds to wait for the answer.

        Raises:
            InputError: the server refuses the content of the request.
            Unavailable: the server cannot take the request now.
            TooLate: no answer in time.
            ServingError: any other failure.
        """

    def close(self) -> None:
        """Closes the connection."""


class GrpcTransport:
    """A connection to TF Serving's PredictionService by gRPC.

    Args:
        target: ``HOST:PORT``.
        credentials: from `grpc.ssl_channel_credentials`, for TLS; default: no TLS.

    Raises:
        InputError: tensorflow-serving-api is not installed.
    """

    def __init__(self, target: str, credentials: Any = None):
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError:
            raise InputError(
                f"grpc://{target}: gRPC needs tensorflow-serving-api: pip install "
                '"kptkit[serving]"; REST (http://) works without'
            ) from None
        self._grpc, self._request = grpc, predict_pb2.PredictRequest
        if credentials is None:
            self._channel = grpc.insecure_channel(target, _CHANNEL_OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials, _CHANNEL_OPTIONS)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict

    def send(self, call: Call, timeout: float) -> Arrays:
        """As `Transport.send`."""
        import tensorflow as tf

        request = self._request()
        request.model_spec.name = call.model
        request.model_spec.signature_name = call.signature
        if call.version is not None:
            request.model_spec.version.value = call.version
        for name, value in call.inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            outputs = self._predict(request, timeout=timeout).outputs
        except self._grpc.RpcError as error:
            raise _error_of(error.code().name, error.details() or "", call) from None
        try:
            return {name: tf.make_ndarray(tensor) for name, tensor in outputs.items()}
        except (TypeError, ValueError) as error:
            raise ServingError(f"not tensors in the answer: {error}") from None

    def close(self) -> None:
        """As `Transport.close`."""
        self._channel.close()


class RestTransport:
    """TF Serving's REST API; every request opens a connection of its own.

    Args:
        target: ``HOST:PORT``.
        tls: HTTPS instead of HTTP.
        path: prefix of TF Serving's own paths, as a proxy may need it.
    """

    def __init__(self, target: str, tls: bool = False, path: str = ""):
        self._connection = http.client.HTTPSConnection if tls else http.client.HTTPConnection
        self._target, self._path = target, path.rstrip("/")

    def send(self, call: Call, timeout: float) -> Arrays:
        """As `Transport.send`."""
        version = "" if call.version is None else f"/versions/{call.version}"
        inputs = {name: _to_json(value) for name, value in call.inputs.items()}
        body = json.dumps({"signature_name": call.signature, "inputs": inputs})
        path = f"{self._path}/v1/models/{call.model}{version}:predict"
        status, data = self._post(path, body.encode(), time.monotonic() + timeout)
        try:
            answer = json.loads(data)
            if status != 200:
                code = _CODES.get(status, f"HTTP {status}")
                raise _error_of(code, str(answer["error"]), call)
            return {name: np.asarray(value) for name, value in answer["outputs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            if status in (502, 503, 504):  # from a proxy that cannot reach the server
                raise Unavailable(f"HTTP {status}") from None
            found = f"HTTP {status} and {data[:99]!r}"
            raise ServingError(f"{found}, expected an answer of TF Serving") from None

    def close(self) -> None:
        """As `Transport.close`."""

    def _post(self, path: str, body: bytes, deadline: float) -> tuple[int, bytes]:
        connection = self._connection(self._target, timeout=_left(deadline))
        try:
            connection.connect()
            socket = connection.sock  # kept, since `getresponse` may detach it
            socket.settimeout(_left(deadline))
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            socket.settimeout(_left(deadline))
            response = connection.getresponse()
            data = bytearray()
            while True:
                socket.settimeout(_left(deadline))
                piece = response.read1(2**16)
                if not piece:
                    return response.status, bytes(data)
                data += piece
                if len(data) > MAX_ANSWER_BYTES:
                    raise ServingError(f"an answer of more than {MAX_ANSWER_BYTES:,} bytes")
        except TimeoutError:
            raise TooLate from None
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(str(error) or type(error).__name__) from None
        finally:
            connection.close()


# The gRPC codes of TF Serving's HTTP statuses, as far as `_error_of` tells them apart.
_CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _error_of(code: str, details: str, call: Call) -> Exception:
    """The exception for a status other than OK."""
    # TensorFlow's messages have more lines and parts, on where in the graph the error was.
    line = (details.strip() or "it does not say why").splitlines()[0]
    line = re.sub(r"\{\{function_node [^}]*\}\} ?", "", line)
    if "assertion failed: [" in line:
        line = line.split("assertion failed: [", 1)[1].split("]", 1)[0]
    line = line[:300]
    if code == "INVALID_ARGUMENT":
        return InputError(f"refused: {line}")
    if code == "UNAVAILABLE":
        return Unavailable(line)
    if code == "DEADLINE_EXCEEDED":
        return TooLate()
    if code == "NOT_FOUND":
        return ServingError(f"model {call.model!r}, signature {call.signature!r}: {line}")
    return ServingError(f"{code}: {line}")


def _to_json(value: list[bytes] | np.ndarray) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [{"b64": base64.b64encode(data).decode()} for data in value]


def _left(deadline: float) -> float:
    """Seconds until a deadline, a `time.monotonic`; more than 0, at which sockets do not block.

    Raises:
        TimeoutError: the deadline has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
