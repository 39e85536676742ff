"""The client of served networks, against TF Serving's contract over sockets on loopback."""

import contextlib
import json
import socket
import struct
import sys
import threading
import time
import zlib
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from PIL import Image
from support import fake_tf_serving
from support.blob_pose import BOXES, blobs, estimator, png, with_orientation

from kptkit.errors import InputError
from kptkit.export.face_graph import FaceGraph
from kptkit.export.pose_graph import MAX_PERSONS, PoseGraph
from kptkit.face.detector import FaceDetector
from kptkit.images.codec import encode_jpeg
from kptkit.serving import transport
from kptkit.serving.client import Client, ServingError

JPEG = encode_jpeg(blobs())


@pytest.fixture(scope="module")
def detector(cascade_file):
    return FaceDetector(cascade_file, score_thresholds=(0.6, 0.6, 0.6))


@pytest.fixture(scope="module")
def local():
    return estimator()


@pytest.fixture(scope="module")
def server(local, detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    PoseGraph(local).save(folder / "pose")
    FaceGraph(detector.cascade).save(folder / "face")
    return fake_tf_serving.ModelServer(
        pose=fake_tf_serving.ServedModel(folder / "pose"),
        face=fake_tf_serving.ServedModel(folder / "face"),
    )


@pytest.fixture(scope="module", params=["grpc", "http"])
def address(request, server):
    servers = {"grpc": fake_tf_serving.serve_grpc, "http": fake_tf_serving.serve_rest}
    with servers[request.param](server) as address:
        yield address


@pytest.fixture
def client(address):
    with Client(address, timeout=60) as client:
        yield client


@pytest.fixture
def trouble(server):
    """Sets a function that is called with the number of each request; gives the server."""

    def make(function):
        server.requests, server.trouble = 0, function
        return server

    yield make
    server.trouble = lambda number: None


def assert_persons(found, expected):
    """As `blob_pose.assert_equal`."""
    assert type(found) is type(expected)
    for array in (found.keypoints, found.scores, found.boxes_xyxy):
        assert array.dtype == np.float32
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    assert found.keypoints.shape == expected.keypoints.shape
    if len(expected.scores):
        pixel = 4 * 1.25 * np.ptp(expected.boxes_xyxy[:, ::2], axis=1).max() / 64
        np.testing.assert_allclose(
            found.keypoints[..., :2], expected.keypoints[..., :2], rtol=0, atol=0.01 * pixel
        )
    grey = 1.01 / 255  # of a level in a crop
    np.testing.assert_allclose(found.keypoints[..., 2], expected.keypoints[..., 2], atol=grey)
    np.testing.assert_allclose(found.scores, expected.scores, atol=grey)


def assert_faces(found, expected):
    assert type(found) is type(expected)
    for array, other, atol in (
        (found.boxes_xyxy, expected.boxes_xyxy, 1e-2),
        (found.landmarks, expected.landmarks, 1e-2),
        (found.scores, expected.scores, 1e-5),
    ):
        assert (array.dtype, array.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(array, other, rtol=0, atol=atol)


def noise(size_wh=(160, 120), seed=1):
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("boxes", [np.zeros((0, 4)), BOXES[:1], BOXES, BOXES.tolist(), None])
def test_persons(local, client, boxes, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(JPEG)
    expected = local.predict(path, boxes)
    for image in (path, str(path), JPEG):
        assert_persons(client.predict(image, boxes), expected)


def test_arrays_are_sent_as_jpeg_or_without_loss(local, address):
    with Client(address) as jpeg, Client(address, jpeg_quality=None) as exact:
        expected = local.predict(blobs(), BOXES)
        near = jpeg.predict(blobs(), BOXES)
        assert np.abs(near.keypoints - expected.keypoints).max() < 0.5
        assert_persons(exact.predict(blobs(), BOXES), expected)
        assert_persons(exact.predict(blobs()[..., 0]), local.predict(blobs()[..., 0]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(local, client, orientation, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(with_orientation(encode_jpeg(blobs((150, 120))), orientation))
    assert_persons(client.predict(path), local.predict(path))


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_formats_that_models_do_not_decode_are_sent_as_png(local, client, tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(blobs()).convert("CMYK" if suffix == "jpg" else "RGB").save(path)
    assert_persons(client.predict(path, BOXES), local.predict(path, BOXES))


def test_more_persons_than_a_request_may_have(client):
    many = np.resize(BOXES, (MAX_PERSONS + 3, 4))
    data = png(blobs())
    found = client.predict(data, many)
    two = client.predict(data, BOXES)
    assert found.keypoints.shape == (MAX_PERSONS + 3, 3, 3)
    assert_persons(
        found,
        type(two)(
            np.resize(two.keypoints, found.keypoints.shape),
            np.resize(two.scores, found.scores.shape),
            many,
        ),
    )


def test_faces(client, detector, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(png(noise()))
    expected = detector.detect(path)
    assert len(expected) > 1
    assert_faces(client.detect(path), expected)
    nobody = np.zeros((9, 9, 3), np.uint8)
    listed = client.detect([path, png(nobody), png(noise((97, 203)))])
    assert_faces(listed[0], expected)
    assert_faces(listed[1], detector.detect(nobody))
    assert_faces(listed[2], detector.detect(noise((97, 203))))
    assert client.detect([]) == []


ANIMATED = b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0" + b"\2" + bytes(60)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.predict(None), "image: NoneType, expected .*; a path; the bytes of a file or"),
        (lambda c: c.predict(b""), "image: empty"),
        (lambda c: c.predict(b"x" * 99), "image: not an image"),
        (lambda c: c.predict(ANIMATED), "image: an animated WebP; save one frame"),
        (lambda c: c.detect([JPEG, ANIMATED]), r"images\[1\]: image: an animated WebP"),
        (lambda c: c.predict(JPEG[:-2]), "image: truncated, broken"),
        (lambda c: c.predict("no.jpg"), "no.jpg: no such file"),
        (lambda c: c.predict(np.zeros((8, 8))), "image: float64 array"),
        (lambda c: c.predict(JPEG, [[9, 9, 9, 90]]), "box"),
        (lambda c: c.predict(JPEG, [[0, 0, np.nan, 90]]), "box"),
        (lambda c: c.detect(b""), "image: empty"),
        (lambda c: c.detect([JPEG, "no.jpg"]), r"images\[1\]: no.jpg: no such file"),
    ],
)
def test_invalid_inputs_are_refused_before_anything_is_sent(client, trouble, call, message):
    server = trouble(lambda number: None)
    with pytest.raises(InputError, match=message):
        call(client)
    assert server.requests <= 1  # of the list, the first picture


def test_errors_that_only_the_server_can_find(client):
    whole = png(noise())
    broken = whole[:-999] + bytes(400) + whole[-599:]
    for call in (client.predict, client.detect):
        with pytest.raises(InputError, match=r"^(grpc|http)://127.0.0.1:\d+: refused: .{9,}"):
            call(broken)


def test_models_that_do_not_exist(local, address):
    with (
        Client(address, pose_model="other") as client,
        pytest.raises(ServingError, match=r"model 'other'.*Servable not found"),
    ):
        client.predict(JPEG)
    with (
        Client(address, version=9) as client,
        pytest.raises(ServingError, match=r"Specific\(9\)\(pose\)"),
    ):
        client.predict(JPEG)
    with Client(address, version=1) as client:
        assert_persons(client.predict(JPEG), local.predict(cv2_decode(JPEG)))
    with (
        Client(address, face_model="pose") as client,
        pytest.raises(InputError, match="input keys"),
    ):
        client.detect(JPEG)


def cv2_decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_a_server_that_is_busy_is_asked_again(local, address, trouble):
    def busy(number):
        if number < 3:
            raise fake_tf_serving.Refusal("UNAVAILABLE", "The batch scheduling queue is full")

    server = trouble(busy)
    with Client(address) as client:
        assert_persons(client.predict(JPEG), local.predict(cv2_decode(JPEG)))
    assert server.requests == 3

    server = trouble(lambda number: busy(0))
    with (
        Client(address, retries=1) as client,
        pytest.raises(ServingError, match=r"unavailable in 2 attempts .*queue is full"),
    ):
        client.predict(JPEG)
    assert server.requests == 2
    with (
        Client(address, timeout=0.3, retries=99) as client,
        pytest.raises(ServingError, match=r"unavailable in \d+ attempts over 0|no answer"),
    ):
        client.predict(JPEG)


def test_an_answer_that_does_not_come(address, trouble):
    gate = threading.Event()
    trouble(lambda number: gate.wait(30))
    start = time.monotonic()
    try:
        with (
            Client(address, timeout=0.3) as client,
            pytest.raises(ServingError, match=r"no answer from model 'pose' within 0.3 s"),
        ):
            client.predict(JPEG)
        assert time.monotonic() - start < 5
    finally:
        gate.set()


def test_errors_of_the_server_itself(address, trouble):
    def fails(number):
        raise fake_tf_serving.Refusal("INTERNAL", "out of luck\nsecond line")

    server = trouble(fails)
    with (
        Client(address) as client,
        pytest.raises(ServingError, match=r"(INTERNAL|HTTP 500): out of luck$"),
    ):
        client.predict(JPEG)
    assert server.requests == 1


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_listens(scheme):
    with (
        Client(f"{scheme}://127.0.0.1:{free_port()}", retries=1) as client,
        pytest.raises(ServingError, match=r"unavailable in 2 attempts.*is the server up"),
    ):
        client.predict(JPEG)


def test_a_server_that_starts_during_a_call(local, server):
    port = free_port()
    with Client(f"grpc://127.0.0.1:{port}", timeout=30, retries=20) as client:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(client.predict(JPEG)))
        thread.start()
        time.sleep(0.5)
        with fake_tf_serving.serve_grpc(server, f"127.0.0.1:{port}"):
            thread.join()
    assert_persons(answers[0], local.predict(cv2_decode(JPEG)))


@contextmanager
def raw_server(answer):
    """Answers every connection with the same pieces of bytes once its request has begun."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(2**20)
                    for piece in answer:
                        time.sleep(0.01)
                        try:
                            connection.sendall(piece)
                        except OSError:
                            break
                    # Closing with unread data would reset the connection before the client reads.
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)
                        connection.settimeout(2)
                        while connection.recv(2**20):
                            pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def http_answer(body, status=200):
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return [head.encode() + body]


def outputs(**changes):
    good = {"keypoints": [[[[1, 2]]]], "keypoint_scores": [[[0.5]]], "scores": [[0.5]]}
    return http_answer(json.dumps({"outputs": good | changes}).encode())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (outputs(), None),
        ([], "unavailable"),
        ([b"HTTP/1.1 200 OK\r\nContent-Le"], "expected an answer of TF Serving"),
        ([b"nonsense\r\n\r\n"], "unavailable"),
        (http_answer(b""), "expected an answer of TF Serving"),
        (http_answer(b"<html>", 404), "HTTP 404 and b'<html>'"),
        (http_answer(b"<html>", 500), "HTTP 500 and b'<html>'"),
        *((http_answer(b"<html>", status), f"HTTP {status}; is the") for status in (502, 503, 504)),
        (http_answer(b"[" * 100_000), "expected an answer of TF Serving"),
        (http_answer(b'{"outputs": [1]}'), "expected an answer of TF Serving"),
        (http_answer(b'{"outputs": {"keypoints": [[1], []]}}'), "expected an answer of TF Serving"),
        (http_answer(b'{"outputs": {}}'), "keypoints .* is it a model that kptkit exported"),
        (outputs(keypoints=[[[["a", "b"]]]]), "keypoints .* expected numbers"),
        (outputs(keypoint_scores=[[[0.5, 0.5]]]), "keypoint_scores"),
        (outputs(scores=[]), "scores"),
        (outputs(keypoints=[[]], keypoint_scores=[[]], scores=[[]]), "keypoints"),
        ([b"HTTP/1.1 200 OK\r\n\r\n", *[b"[" * 2**16] * 2000], "no answer|more than"),
        ([b"HTTP/1.1 200 OK\r\n\r\n", *[b"["] * 400], "no answer"),
    ],
)
def test_malformed_answers(answer, message, monkeypatch):
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 2**20)
    with raw_server(answer) as address, Client(address, timeout=1, retries=1) as client:
        if message is None:
            assert client.predict(JPEG).keypoints.tolist() == [[[1, 2, 0.5]]]
        else:
            with pytest.raises(ServingError, match=message):
                client.predict(JPEG)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_rows_behind_counts_are_no_faces(count):
    """They fill the picture up to the one with most faces of those answered together."""
    rows = {
        "boxes": [[1, 2, 3, 4], [0, 0, 9, 9]],
        "scores": [0.75, 0.5],
        "landmarks": [[[1, 2]] * 5, [[0, 0]] * 5],
    }
    answer = {name: [array] for name, array in rows.items()} | {"counts": [count]}
    body = json.dumps({"outputs": answer}).encode()
    with raw_server(http_answer(body)) as address, Client(address) as client:
        faces = client.detect(JPEG)
    assert faces.boxes_xyxy.tolist() == rows["boxes"][:count]
    assert faces.scores.tolist() == rows["scores"][:count]
    assert faces.landmarks.tolist() == rows["landmarks"][:count]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": "127.0.0.1:8500"}, "expected grpc://HOST:PORT"),
        ({"address": "grpc://localhost"}, "expected grpc://HOST:PORT"),
        ({"address": "grpc://localhost:x"}, "expected grpc://HOST:PORT"),
        ({"address": "ftp://localhost:1"}, "expected grpc://HOST:PORT"),
        ({"timeout": 0}, "timeout: 0"),
        ({"timeout": float("nan")}, "timeout: nan"),
        ({"retries": -1}, "retries: -1"),
        ({"jpeg_quality": 0}, "jpeg_quality: 0"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Client(**arguments)


def test_without_the_serving_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(InputError, match=r'pip install "kptkit\[serving\]"'):
        Client("grpc://127.0.0.1:8500")
    Client("http://127.0.0.1:8501").close()


def png_without_pixels(size_wh=(64, 48)):
    """A PNG that is sound but for its pixels, whose bytes are no deflated rows."""
    data = bytearray(png(np.zeros((*size_wh[::-1], 3), np.uint8)))
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[start - 8 : start - 4])
    data[start : start + length] = b"\xff" * length
    data[start + length : start + length + 4] = struct.pack(
        ">I", zlib.crc32(data[start - 4 : start + length])
    )
    return bytes(data)


ARRAY = np.zeros((5001, 10_000, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "boxes", "message"),
    [
        (b"", None, "image: empty"),
        (b"<html>" * 99, None, "image: not an image"),
        (JPEG[:99], None, "image: "),
        (JPEG[:-2], None, "image: "),
        (lambda: ARRAY, None, "image: 10000 x 5001 pixels, at most 50,000,000"),
        (lambda: np.zeros((1, 70_000, 3), np.uint8), None, "image: "),
        (lambda: Image.fromarray(ARRAY), None, "image: 10000 x 5001 pixels"),
        (JPEG, [[0, 0, np.nan, 9]], r"boxes\[0\]"),
        (JPEG, [[0, 0, 9, 9], [0, 0, np.inf, 9]], r"boxes\[1\]"),
        (JPEG, [[0, 0, 1e30, 9]], r"boxes\[0\]: .* up to 1,000,000"),
        (JPEG, [[-1e19, 0, 9, 9]], r"boxes\[0\]"),
        (JPEG, [[0, 0, 1e-30, 1e-30]], r"boxes\[0\]"),
        (JPEG, [[9, 9, 9, 10]], r"boxes\[0\]"),
    ],
)
def test_what_would_fail_a_merged_request_is_not_sent(image, boxes, message):
    """Nobody listens: whatever were sent would end in another error."""
    with Client("http://127.0.0.1:9", retries=0, timeout=5) as client:
        with pytest.raises(InputError, match=f"^{message}"):
            client.predict(image() if callable(image) else image, boxes)
        if boxes is None:
            with pytest.raises(InputError, match=f"^{message}"):
                client.detect(image() if callable(image) else image)


@pytest.mark.parametrize("given", ["bytes", "path"])
def test_pixels_that_are_broken_are_found_if_decoded_first(tmp_path, given):
    data = png_without_pixels()
    path = tmp_path / "broken.png"
    path.write_bytes(data)
    image, name = (data, "image") if given == "bytes" else (path, str(path))
    client = Client("http://127.0.0.1:9", retries=0, timeout=5)
    with client, pytest.raises(ServingError, match="unavailable"):
        client.detect(image)
    with Client("http://127.0.0.1:9", retries=0, timeout=5, decode_first=True) as client:
        with pytest.raises(InputError, match=f"{name}: truncated, broken"):
            client.detect(image)
        with pytest.raises(ServingError, match="unavailable"):
            client.detect(JPEG)


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 1e-3, 1e-3],
        [0, 0, 1e-3, 1e6],
        [-1e6, -1e6, 1e6, 1e6],
        [999_999, 999_999, 1e6, 1e6],
        [-1e6, 0, 1e6, 1e-3],
    ],
)
def test_boxes_that_are_sent_are_answered(address, box):
    """The most that `boxes.checked` lets pass."""
    with Client(address, timeout=60) as client:
        assert np.isfinite(client.predict(JPEG, [box]).keypoints).all()
