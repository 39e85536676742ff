"""Exported face detectors, with untrained networks: these find faces in noise, at many places."""

import io
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kptkit import images
from kptkit.export.face_graph import FaceGraph
from kptkit.face.cascade import Cascade
from kptkit.face.detector import FaceDetector

THRESHOLDS = (0.6, 0.6, 0.6)


def noise(size_wh=(160, 120), seed=1):
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC)


def file_of(image, kind="PNG", orientation=None):
    """The bytes of a picture, with EXIF's orientation where one is given."""
    tags, file = Image.Exif(), io.BytesIO()
    if orientation:
        tags[0x112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(image).save(file, kind, **lossless, **({"exif": tags} if orientation else {}))
    return file.getvalue()


@pytest.fixture(scope="module")
def detector(cascade_file):
    return FaceDetector(cascade_file, score_thresholds=THRESHOLDS)


@pytest.fixture(scope="module")
def folder(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    FaceGraph(detector.cascade).save(folder)
    return folder


def opened(folder):
    """The SavedModel as others see it: a signature's name and NumPy arrays in, NumPy arrays out."""
    loaded = tf.saved_model.load(folder)

    def call(name, **inputs):
        if "images" in inputs and "image_hw" not in inputs:
            inputs["image_hw"] = np.tile(
                np.int32(inputs["images"].shape[1:3]), (len(inputs["images"]), 1)
            )
        answer = loaded.signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
        return {k: v.numpy() for k, v in answer.items()}

    return call


@pytest.fixture(scope="module")
def served(folder):
    return opened(folder)


def assert_equal(answer, faces, row=0, most=1000):
    """One picture of an answer has the detector's faces in its order, then zeros."""
    count = min(len(faces.scores), most)
    assert answer["counts"].dtype == np.int32
    assert answer["counts"][row] == count
    for name, expected, atol in (
        ("boxes", faces.boxes_xyxy, 1e-2),
        ("landmarks", faces.landmarks, 1e-2),
        ("scores", faces.scores, 1e-5),
    ):
        assert answer[name].dtype == np.float32
        np.testing.assert_allclose(answer[name][row, :count], expected[:count], rtol=0, atol=atol)
        assert not answer[name][row, count:].any()


@pytest.mark.parametrize("size_wh", [(1, 1), (11, 40), (1, 6000)])
def test_pictures_without_faces(served, size_wh):
    picture = np.zeros((*size_wh[::-1], 3), np.uint8)
    for answer in (
        served("serving_default", image_bytes=[file_of(picture)] * 2),
        served("images", images=np.stack([picture] * 2)),
    ):
        assert {name: array.shape for name, array in answer.items()} == {
            "boxes": (2, 0, 4),
            "scores": (2, 0),
            "landmarks": (2, 0, 5, 2),
            "counts": (2,),
        }
        assert not answer["counts"].any()


def test_pictures_of_a_batch_keep_to_themselves(served, detector):
    """Different sizes, different numbers of faces, none among them; M is the largest number."""
    pictures = [noise(), noise((401, 300)), np.zeros((9, 9, 3), np.uint8), noise((97, 203))]
    kinds = ("PNG", "BMP", "PNG", "WEBP")
    files = [file_of(picture, kind) for picture, kind in zip(pictures, kinds, strict=True)]
    answer = served("serving_default", image_bytes=files)
    expected = [detector.detect(picture) for picture in pictures]
    assert len({len(faces.scores) for faces in expected}) == 4
    assert answer["scores"].shape == (4, max(len(faces.scores) for faces in expected))
    for row, faces in enumerate(expected):
        assert_equal(answer, faces, row)


def test_plain_tensors(served, detector):
    pictures = [noise((203, 97), seed) for seed in range(3)]
    answer = served("images", images=np.stack(pictures))
    assert answer["counts"].any()
    for row, picture in enumerate(pictures):
        assert_equal(answer, detector.detect(picture), row)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_the_detector_does(served, detector, orientation, tmp_path):
    """The stored picture is the upright one turned and mirrored as EXIF's table says."""
    turns = (0, 0, 2, 2, 1, 1, 3, 3)[orientation - 1]
    mirrored = orientation in (2, 4, 5, 7)
    upright = noise((160, 90))
    stored = np.ascontiguousarray(np.rot90(upright[:, ::-1] if mirrored else upright, turns))
    path = tmp_path / "picture.jpg"
    path.write_bytes(file_of(stored, "JPEG", orientation))
    files = [path.read_bytes(), file_of(stored, "PNG", orientation)]
    answer = served("serving_default", image_bytes=files)
    assert_equal(answer, detector.detect(path), row=0)
    assert_equal(answer, detector.detect(upright), row=1)
    assert answer["counts"].all()


def test_of_many_faces_the_best(detector, tmp_path):
    config = replace(detector.cascade.config, max_faces=3)
    FaceGraph(Cascade(detector.cascade.models, config)).save(tmp_path)
    answer = opened(tmp_path)("images", images=noise()[None])
    faces = detector.detect(noise())
    assert len(faces.scores) > 3
    assert answer["scores"].shape == (1, 3)
    np.testing.assert_allclose(answer["scores"][0], np.sort(faces.scores)[:-4:-1], atol=1e-5)
    assert_equal(answer, faces, most=3)


# Malformed requests, in a process without Keras and kptkit that must outlive them.
STRANGER = """
import resource, sys, zlib
import numpy as np
import tensorflow as tf
for name in list(sys.modules):
    if name.split(".")[0] in ("keras", "kptkit"):
        sys.modules[name] = None
sys.modules["keras"] = sys.modules["kptkit"] = None

kind, folder, answers, *files = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
jpeg, png = (open(file, "rb").read() for file in files)
good = {"image_bytes": tf.constant([jpeg, png])}
answer = signatures["serving_default"](**good)
np.savez(answers, **{name: tensor.numpy() for name, tensor in answer.items()})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def refused(signature, **request):
    try:
        signatures[signature](**request)
    except (tf.errors.InvalidArgumentError, TypeError):
        return
    shapes = {name: tensor.shape for name, tensor in request.items()}
    print("ANSWERED:", signature, shapes, flush=True)

def refused_files(*strings):
    for string in strings:
        refused("serving_default", image_bytes=tf.constant([string]))
        refused("serving_default", image_bytes=tf.constant([jpeg, string]))

def ihdr(width, height, depth, colours):
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    chunk += bytes([depth, colours, 0, 0, 0])
    return chunk + zlib.crc32(chunk).to_bytes(4, "big")

if kind == "tensors":
    for shape in ((), (3,), (8, 8, 3), (0, 8, 8, 3), (1, 0, 8, 3), (1, 8, 0, 3), (1, 8, 8, 1),
                  (1, 8, 8, 4), (1, 1, 8, 8, 3), (129, 8, 8, 3), (1, 1, 50_000_001, 3)):
        sides = np.int32(shape[1:3] if len(shape) == 4 else (8, 8))
        image_hw = tf.constant([sides] * 129)[:shape[0] if shape else 1]
        refused("images", images=tf.zeros(shape, tf.uint8), image_hw=image_hw)
    for dtype in (tf.int32, tf.float32, tf.float64, tf.bool):
        refused("images", images=tf.zeros((1, 8, 8, 3), dtype))
    refused("images", images=tf.fill((1, 8, 8, 3), "a"))
    for strings in (jpeg, [[jpeg]], [], [[]], [jpeg] * 129):
        refused("serving_default", image_bytes=tf.constant(strings, tf.string))
    refused("serving_default", image_bytes=tf.zeros((1,)))
    refused("serving_default", images=tf.zeros((1, 8, 8, 3), tf.uint8))
    refused("images", image_bytes=tf.constant([jpeg]))
    refused("images")
if kind == "garbage":
    refused_files(b"", b"x" * 999, bytes(999), jpeg[:3], jpeg[:40], jpeg[:400], jpeg[:-999],
                  png[:40], png[:-999], png[:60] + b"x" * 60 + png[120:], b"RIFF" + b"x" * 99,
                  b"BM" + b"x" * 99, b"GIF89a" + png)
if kind == "bombs":
    at = jpeg.index(b"\\xff\\xc0") + 5
    for side in (0, 20_000, 65_500):
        size = side.to_bytes(2, "big")
        refused_files(jpeg[:at] + size + size + jpeg[at + 4:])
    rows = zlib.compress(bytes(2501 * 20_000), 9)
    bomb = b"IDAT" + rows
    bomb = len(rows).to_bytes(4, "big") + bomb + zlib.crc32(bomb).to_bytes(4, "big")
    for side in (0, 20_000, 2**31 - 1):
        refused_files(png[:12] + ihdr(side, side, 1, 0) + bomb + png[-12:])
    body = (10_000).to_bytes(4, "big") + b"IDAT" + bytes(10_004)
    crowd = [png[:8] + (13).to_bytes(4, "big") + ihdr(10_000, 4_000, 1, 0) + body + png[-12:]] * 11
    refused("serving_default", image_bytes=tf.constant(crowd))
    head = b"BM" + bytes(16)
    for side in (20_000, 2**31 - 1):
        refused_files(head + side.to_bytes(4, "little") * 2 + bytes(99))
    rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if rise > 64:
        print(f"ROSE by {rise:.0f} MiB")

again = signatures["serving_default"](**good)
print("ALIVE", all((again[name].numpy() == answer[name].numpy()).all() for name in answer))
"""


@pytest.mark.parametrize("kind", ["tensors", "garbage", "bombs"])
def test_strangers_and_their_malformed_requests(folder, detector, tmp_path, kind):
    files = [file_of(noise(), "JPEG"), file_of(noise((97, 203)))]
    paths = [tmp_path / "picture.jpg", tmp_path / "picture.png"]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    arguments = [kind, folder, tmp_path / "answers.npz", *paths]
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "ALIVE True\n"
    answer = np.load(tmp_path / "answers.npz")
    for row, data in enumerate(files):
        assert_equal(answer, detector.detect(images.decode_image(data)), row)
