"""A fake TF Serving over real sockets, for tests that run where its binary is not installed.

SavedModels are run as TF Serving does: as a graph in a session, whose inputs are fed unchecked.
Requests arrive through tensorflow-serving-api's own stubs, or as the JSON of g3doc/api_rest.md.
`merge` and `split` batch requests as batching_session.cc does.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

CODES = {code.value[0]: code.name for code in grpc.StatusCode}
HTTP = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503}


class Refusal(Exception):
    """A status other than OK: its name and TF Serving's message."""


class ServedModel:
    """A SavedModel in a session."""

    def __init__(self, folder: Path):
        v1 = tf.compat.v1
        self._session = v1.Session(graph=v1.Graph())
        with self._session.graph.as_default():
            loaded = v1.saved_model.loader.load(self._session, ["serve"], str(folder))
        self.signatures = {
            name: signature
            for name, signature in loaded.signature_def.items()
            if not name.startswith("__")
        }
        self._calls = {}

    def signature(self, name: str):
        """The signature of that name, with the tensors to feed and to fetch."""
        if name not in self.signatures:
            raise Refusal("INVALID_ARGUMENT", f'Serving signature name: "{name}" not found')
        return self.signatures[name]

    def __call__(self, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        signature = self.signature(name)
        if set(inputs) != set(signature.inputs):
            expected, sent = sorted(signature.inputs), sorted(inputs)
            message = f"input keys: sent {sent}, expected {expected}"
            raise Refusal("INVALID_ARGUMENT", message)
        if name not in self._calls:
            options = config_pb2.CallableOptions()
            options.feed.extend(signature.inputs[key].name for key in sorted(inputs))
            options.fetch.extend(tensor.name for tensor in signature.outputs.values())
            self._calls[name] = self._session._make_callable_from_options(options)
        try:
            outputs = self._calls[name](*(inputs[key] for key in sorted(inputs)))
        except tf.errors.OpError as error:
            raise Refusal(CODES[error.error_code], error.message) from None
        return dict(zip(signature.outputs, outputs, strict=True))


class ModelServer:
    """Served models by name.

    `trouble` is called with the number of each request and may raise or wait.
    """

    def __init__(self, **models: ServedModel):
        self.models, self.requests, self.trouble = models, 0, lambda number: None
        self._lock = threading.Lock()

    def predict(self, model, version, signature, inputs) -> dict[str, np.ndarray]:
        with self._lock:
            self.requests += 1
            number = self.requests
        self.trouble(number)
        if model not in self.models or version not in (None, 1):
            wanted = "Latest" if version is None else f"Specific({version})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}({model})")
        try:
            return self.models[model](signature or "serving_default", inputs(self.models[model]))
        except Refusal as refusal:
            code, message = refusal.args
            raise Refusal(
                {"InvalidArgument": "INVALID_ARGUMENT"}.get(code, code), message
            ) from None


@contextmanager
def serve_grpc(server: ModelServer, address: str = "127.0.0.1:0") -> Iterator[str]:
    """Runs a PredictionService on loopback; yields the address for a client."""

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None

            def inputs(_):
                return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}

            try:
                outputs = server.predict(spec.name, version, spec.signature_name, inputs)
            except Refusal as refusal:
                code, message = refusal.args
                context.abort(getattr(grpc.StatusCode, code), message)
            response = predict_pb2.PredictResponse()
            for name, array in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
            return response

    service = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), service)
    port = service.add_insecure_port(address)
    service.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        service.stop(None).wait()


@contextmanager
def serve_rest(server: ModelServer) -> Iterator[str]:
    """Runs TF Serving's Predict API over HTTP on loopback; yields the address for a client."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, answer = 200, self._answer(body)
            except Refusal as refusal:
                code, message = refusal.args
                status, answer = HTTP.get(code, 500), {"error": message}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _answer(self, body):
            names, _, verb = self.path.rpartition(":")
            _, v1, models, model, *version = names.split("/")
            if (v1, models, verb) != ("v1", "models", "predict") or version[:1] not in (
                [],
                ["versions"],
            ):
                raise Refusal("NOT_FOUND", f"Malformed request: POST {self.path}")
            try:
                request = json.loads(body)
                values = request["inputs"]
            except (ValueError, KeyError):
                raise Refusal("INVALID_ARGUMENT", "JSON Parse error") from None
            name = request.get("signature_name", "serving_default")

            def inputs(model):
                specs = model.signature(name).inputs
                if set(values) - set(specs):
                    raise Refusal("INVALID_ARGUMENT", f"unexpected inputs: {sorted(values)}")
                return {key: tensor_of(value, specs[key].dtype) for key, value in values.items()}

            outputs = server.predict(model, int(version[1]) if version else None, name, inputs)
            return {"outputs": {name: array.tolist() for name, array in outputs.items()}}

        def log_message(self, *_):
            pass

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http_server.server_address[1]}"
    finally:
        http_server.shutdown()
        http_server.server_close()
        thread.join()


def tensor_of(value, dtype) -> np.ndarray:
    """A tensor from JSON; an object with `b64`, whatever the input's name, is bytes in Base64."""
    if dtype == tf.string.as_datatype_enum:

        def plain(value):
            if isinstance(value, list):
                return [plain(one) for one in value]
            return base64.b64decode(value["b64"], validate=True)

        return np.array(plain(value), object)
    try:
        return np.array(value, tf.as_dtype(dtype).as_numpy_dtype)
    except (ValueError, TypeError):
        raise Refusal("INVALID_ARGUMENT", "JSON Value is not formatted as a tensor") from None


def merge(
    requests: list[dict[str, np.ndarray]], allowed_batch_sizes: list[int]
) -> dict[str, np.ndarray]:
    """Several requests as one, padded to equal shapes and to an allowed batch size.

    Every side but the first is padded to the longest, with the first value of the request's own
    tensor. The batch is filled up with copies of the last request's first row.
    """
    merged = {}
    for name in requests[0]:
        tensors = [request[name] for request in requests]
        longest = np.max([tensor.shape for tensor in tensors], axis=0)
        rows = []
        for tensor in tensors:
            padding = [(0, 0), *((0, side) for side in (longest - tensor.shape)[1:])]
            if tensor.ndim > 1:  # strings have no other sides
                tensor = np.pad(tensor, padding, constant_values=tensor.flat[0])
            rows.append(tensor)
        count = sum(map(len, rows))
        allowed = next(size for size in allowed_batch_sizes if size >= count)
        merged[name] = np.concatenate([*rows, *[rows[-1][:1]] * (allowed - count)])
    return merged


def split(
    answer: dict[str, np.ndarray], requests: list[dict[str, np.ndarray]]
) -> list[dict[str, np.ndarray]]:
    """The answers to merged requests, each with its own rows."""
    counts = [len(next(iter(request.values()))) for request in requests]
    ends = np.cumsum(counts)
    return [
        {name: array[end - count : end] for name, array in answer.items()}
        for count, end in zip(counts, ends, strict=True)
    ]


def malformed_kinds(folder: Path) -> dict[str, int]:
    """Sends an export all kinds of malformed requests; returns their number for each signature.

    Asserts that all were refused and that the process survived them.
    """
    command = [sys.executable, Path(__file__).with_name("malformed_requests.py"), folder]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *counts, last = done.stdout.splitlines()
    assert all(len(line.split()) == 2 for line in counts), done.stdout
    assert last == "ALIVE", done.stdout
    return {name: int(count) for name, count in map(str.split, counts)}
