"""Pictures of two persons whose keypoints are coloured blobs, and a network that finds them."""

import cv2
import keras
import numpy as np

from kptkit.network import PoseNetwork
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema

SCHEMA = KeypointSchema(("red", "green", "blue"), (), (), (0.05,) * 3)
BOXES = np.array([[10, 10, 70, 100], [95, 25, 155, 115]], np.float32)
# A red, a green and a blue blob for each of two persons, in image px.
BLOBS = np.array(
    [[[40.0, 30.0], [25.5, 60.25], [58.0, 84.0]], [[125.0, 40.0], [140.75, 66.0], [104.0, 99.5]]]
)


def blobs(size_wh=(160, 120)):
    columns, rows = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    square = (columns[..., None, None] - BLOBS[..., 0]) ** 2
    square = square + (rows[..., None, None] - BLOBS[..., 1]) ** 2
    return np.round(250 * np.exp(-square / 50).max(axis=2)).astype(np.uint8)


def estimator(convention="official"):
    """A network that finds the blobs: every fourth pixel, one map for each colour."""
    recipe = PoseRecipe(input_size_wh=(64, 96), convention=convention, decoder="dark")
    crop = keras.Input((96, 64, 3))
    maps = keras.layers.Conv2D(3, 1, strides=4, use_bias=False)(crop)
    model = keras.Model(crop, maps)
    model.set_weights([np.eye(3).reshape(1, 1, 3, 3) / 255])
    return PoseEstimator(PoseNetwork(model, recipe, SCHEMA))


def png(image):
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def with_orientation(jpeg, orientation):
    exif = (
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
        + bytes([orientation])
        + b"\0" * 6
    )
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def assert_equal(answer, prediction, row=0):
    """One picture of an answer is what the estimator says, to 0.01 heatmap px.

    Here and there a crop differs by a grey level, which moves the top of so small a blob.
    """
    count = len(prediction.scores)
    heatmap_pixel = 4 * 1.25 * np.ptp(prediction.boxes_xyxy[:, ::2], axis=1).max() / 64
    for name, expected, atol in (
        ("keypoints", prediction.keypoints[..., :2], 0.01 * heatmap_pixel),
        ("keypoint_scores", prediction.keypoints[..., 2], 1e-3),
        ("scores", prediction.scores, 1e-3),
    ):
        assert answer[name].dtype == np.float32
        np.testing.assert_allclose(answer[name][row, :count], expected, rtol=0, atol=atol)
        assert not answer[name][row, count:].any()
