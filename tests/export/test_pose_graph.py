"""Exported pose networks, on pictures whose keypoints are coloured blobs at known places."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from support.blob_pose import BLOBS, BOXES, assert_equal, blobs, estimator, png, with_orientation

from kptkit import images
from kptkit.export.pose_graph import MAX_BOXES, MAX_PERSONS, PoseGraph


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    PoseGraph(estimator()).save(folder)
    return folder


@pytest.fixture(scope="module")
def served(folder):
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


@pytest.mark.parametrize(
    "boxes", [np.zeros((2, 0, 4)), np.zeros((2, 3, 4)), np.full((2, 1, 4), [9, 9, 9, 90])]
)
def test_nobody(served, boxes):
    images = np.zeros((2, 8, 9, 3), np.uint8)
    answer = served("images", images=images, boxes=boxes.astype(np.float32))
    count = boxes.shape[1]
    assert {name: array.shape for name, array in answer.items()} == {
        "keypoints": (2, count, 3, 2),
        "keypoint_scores": (2, count, 3),
        "scores": (2, count),
    }
    assert not any(array.any() for array in answer.values())


@pytest.mark.parametrize("encode", [png, images.encode_jpeg], ids=["png", "jpeg"])
def test_keypoints_in_image_pixels(served, encode):
    data = encode(blobs())
    padded = np.insert(BOXES, [0, 1], 0, axis=0)
    answer = served("serving_default", image_bytes=[data], boxes=padded[None])
    real = {name: array[:, [1, 3]] for name, array in answer.items()}
    np.testing.assert_allclose(real["keypoints"][0], BLOBS, atol=0.25)
    assert_equal(real, estimator().predict(images.decode_image(data), BOXES))
    assert not any(array[:, [0, 2]].any() for array in answer.values())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(served, orientation):
    """The stored picture is the upright one turned and mirrored as EXIF's table says."""
    turns = (0, 0, 2, 2, 1, 1, 3, 3)[orientation - 1]
    mirrored = orientation in (2, 4, 5, 7)
    stored = np.rot90(blobs()[:, ::-1] if mirrored else blobs(), turns)
    data = with_orientation(images.encode_jpeg(np.ascontiguousarray(stored)), orientation)
    answer = served("serving_default", image_bytes=[data], boxes=BOXES[None])
    np.testing.assert_allclose(answer["keypoints"][0], BLOBS, atol=0.25)
    assert_equal(answer, estimator().predict(images.decode_image(data, "exif"), BOXES))


@pytest.mark.parametrize("shape", [(1, MAX_PERSONS), (MAX_BOXES // MAX_PERSONS, MAX_PERSONS)])
def test_as_many_boxes_as_are_allowed(served, shape):
    """Only the very last is a person."""
    boxes = np.zeros((*shape, 4), np.float32)
    boxes[-1, -1] = BOXES[0]
    answer = served("images", images=np.stack([blobs()] * shape[0]), boxes=boxes)
    assert answer["keypoints"].shape == (*shape, 3, 2)
    expected = estimator().predict(blobs(), BOXES[:1])
    assert_equal({name: array[-1:, -1:] for name, array in answer.items()}, expected)
    assert np.count_nonzero(answer["scores"]) == 1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, MAX_PERSONS + 1), f"boxes: more than {MAX_PERSONS} on a picture"),
        ((25, (MAX_BOXES + 1) // 25), f"more than {MAX_BOXES} boxes in a request"),
    ],
)
def test_one_box_more_is_refused(served, shape, message):
    assert np.prod(shape) in (MAX_PERSONS + 1, MAX_BOXES + 1)
    images = np.zeros((shape[0], 8, 9, 3), np.uint8)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served("images", images=images, boxes=np.zeros((*shape, 4), np.float32))


def test_pictures_of_a_batch_keep_to_themselves(served):
    """Different sizes, different numbers of persons, boxes beyond the border."""
    large = cv2.resize(blobs(), (640, 480))
    pictures = [blobs(), large, np.zeros((1, 1, 3), np.uint8)]
    boxes = np.zeros((3, 2, 4), np.float32)
    boxes[0], boxes[1, 0], boxes[2, 0] = BOXES, [-40, -100, 300, 420], [-3, -4, 5, 6]
    answer = served("serving_default", image_bytes=[png(p) for p in pictures], boxes=boxes)
    for row, (picture, count) in enumerate(zip(pictures, (2, 1, 1), strict=True)):
        assert_equal(answer, estimator().predict(picture, boxes[row, :count]), row)


@pytest.mark.parametrize("size_wh", [(160, 120), (97, 203)])
def test_the_whole_picture_and_plain_tensors(served, size_wh):
    image = cv2.resize(blobs(), size_wh)
    whole = estimator().predict(image)
    assert_equal(served("image_bytes", image_bytes=[png(image)]), whole)
    assert_equal(served("whole_images", images=image[None]), whole)
    answer = served("images", images=image[None], boxes=BOXES[None])
    assert_equal(answer, estimator().predict(image, BOXES))


def test_crops(served):
    crops = cv2.resize(blobs(), (64, 96))[None].repeat(2, axis=0)
    answer = served("crops", crops=crops)
    expected = estimator().predict_crops(crops)
    np.testing.assert_allclose(answer["heatmaps"], crops[:, ::4, ::4] / 255, atol=1e-6)
    np.testing.assert_allclose(answer["keypoints"], expected[..., :2], atol=1e-4)
    np.testing.assert_allclose(answer["keypoint_scores"], expected[..., 2], atol=1e-6)
    np.testing.assert_allclose(answer["scores"], expected[..., 2].mean(axis=1), atol=1e-6)


def test_the_other_convention(tmp_path):
    PoseGraph(estimator("udp")).save(tmp_path)
    signature = tf.saved_model.load(tmp_path).signatures["images"]
    picture = {"images": tf.constant(blobs()[None]), "image_hw": tf.constant([[120, 160]])}
    answer = signature(**picture, boxes=tf.constant(BOXES[None]))
    expected = estimator("udp").predict(blobs(), BOXES)
    assert_equal({name: tensor.numpy() for name, tensor in answer.items()}, expected)
    assert np.abs(expected.keypoints - estimator().predict(blobs(), BOXES).keypoints).max() > 0.05


# Malformed requests, in a process without Keras and kptkit that must outlive them.
STRANGER = """
import sys
import numpy as np
import tensorflow as tf
for name in list(sys.modules):
    if name.split(".")[0] in ("keras", "kptkit"):
        sys.modules[name] = None
sys.modules["keras"] = sys.modules["kptkit"] = None

folder, picture, answers = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
data = open(picture, "rb").read()
jpeg, box = tf.constant([data]), tf.constant([[[10.0, 10, 70, 100]]])
good = {"image_bytes": jpeg, "boxes": box}
answer = signatures["serving_default"](**good)
np.savez(answers, **{name: tensor.numpy() for name, tensor in answer.items()})

def refused(signature, **request):
    try:
        signatures[signature](**request)
    except (tf.errors.InvalidArgumentError, TypeError):
        return
    shapes = {name: tensor.shape for name, tensor in request.items()}
    print("ANSWERED:", signature, shapes, flush=True)

for shape in ((), (0,), (3,), (96, 64, 3), (0, 96, 64, 3), (1, 96, 64, 1), (1, 96, 64, 4),
              (1, 95, 64, 3), (1, 96, 96, 3), (1, 1, 96, 64, 3), (129, 96, 64, 3)):
    refused("crops", crops=tf.zeros(shape, tf.uint8))
for shape in ((), (3,), (8, 8, 3), (0, 8, 8, 3), (1, 0, 8, 3), (1, 8, 0, 3), (1, 8, 8, 1),
              (1, 8, 8, 4), (1, 1, 8, 8, 3), (129, 8, 8, 3), (1, 1, 50_000_001, 3)):
    images = tf.zeros(shape, tf.uint8)
    sides = np.int32(shape[1:3] if len(shape) == 4 else (8, 8))
    image_hw = tf.constant([sides] * 129)[:shape[0] if shape else 1]
    refused("images", images=images, boxes=box, image_hw=image_hw)
    refused("whole_images", images=images, image_hw=image_hw)
for shape in ((), (4,), (1, 4), (1, 1, 3), (1, 1, 5), (1, 1, 1, 4), (0, 1, 4), (2, 1, 4),
              (1, 129, 4), (1, 1_000_000, 4)):
    refused("serving_default", image_bytes=jpeg, boxes=tf.ones(shape))
for value in (np.nan, np.inf, -np.inf, 1e30, 3e38):
    refused("serving_default", image_bytes=jpeg, boxes=tf.constant([[[0, 0, value, 9]]]))
for strings in (data, [[data]], [], [b""], [b"x" * 999], [data[:400]], [data, b"x" * 999]):
    strings = tf.constant(strings, tf.string)
    refused("image_bytes", image_bytes=strings)
    refused("serving_default", image_bytes=strings, boxes=tf.ones((len(strings.shape), 1, 4)))
wide = data.replace(bytes([0, 120, 0, 160]), bytes([255, 220, 255, 220]), 1)
refused("image_bytes", image_bytes=tf.constant([wide]))
for dtype in (tf.int32, tf.float64, tf.string):
    refused("serving_default", image_bytes=jpeg, boxes=tf.constant([[[""]]]) if dtype == tf.string
            else tf.cast(box, dtype))
refused("crops", crops=tf.zeros((1, 96, 64, 3)))
refused("crops", crops=tf.fill((1, 96, 64, 3), "a"))
refused("images", images=tf.zeros((1, 8, 8, 3)), boxes=box)
refused("image_bytes", image_bytes=tf.zeros((1,)))
refused("serving_default", image_bytes=jpeg)
refused("serving_default", images=jpeg, boxes=box)

again = signatures["serving_default"](**good)
print("ALIVE", all((again[name].numpy() == answer[name].numpy()).all() for name in answer))
"""


def test_strangers_and_their_malformed_requests(folder, tmp_path):
    data = images.encode_jpeg(blobs())
    (tmp_path / "picture.jpg").write_bytes(data)
    arguments = [str(folder), str(tmp_path / "picture.jpg"), str(tmp_path / "answers.npz")]
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, *arguments],
        cwd=tmp_path,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "ALIVE True\n"
    expected = estimator().predict(images.decode_image(data), BOXES[:1])
    assert_equal(np.load(tmp_path / "answers.npz"), expected)
