"""The graph of a pose estimator from pictures to keypoints, for processes that have no kptkit.

Signatures by name; every input has the batch N first, as TF Serving's batching needs:

    serving_default  image_bytes [N], boxes [N, M, 4]
    image_bytes      image_bytes [N]                          the picture is the one box, M = 1
    images           images [N, H, W, 3], boxes [N, M, 4]
    whole_images     images [N, H, W, 3]                      the picture is the one box, M = 1
    crops            crops [N, h, w, 3]

Whatever a request holds, it gets an answer or InvalidArgumentError; the process lives on.
"""

import os
from typing import Any

import tensorflow as tf
from keras import ops

from kptkit import affine
from kptkit.image_graph import require
from kptkit.pose import PoseEstimator
from kptkit.pose_network import crops_to_heatmaps, heatmaps_to_crop
from kptkit.program import (
    IMAGE_BYTES,
    IMAGES,
    PICTURE_MEANINGS,
    PICTURES_AT_ONCE,
    Tensors,
    checked,
    checked_pictures,
    pixels,
    save_program,
)

# A request of more persons (N * M boxes, or N crops) is refused: its feature maps take gigabytes.
MAX_PERSONS = 128

# What the tensors of the signatures are, for whoever holds a program without its source.
MEANINGS = {
    **PICTURE_MEANINGS,
    "boxes": "x1 y1 x2 y2 of persons in pixels of the upright picture; without area: padding",
    "crops": "persons cut out as the network sees them, RGB",
    "heatmaps": "one map for each keypoint, at a quarter of the crop's resolution",
    "keypoints": "x y in pixels of the upright picture (of the crop, where crops are given); the "
    "centre of the top-left pixel is 0 0; zeros for padding",
    "keypoint_scores": "the peak of each keypoint's heatmap; zeros for padding",
    "scores": "the mean of a person's keypoint_scores; zero for padding",
}


class PoseProgram:
    """A pose estimator as a TensorFlow program with checked inputs.

    `crops` gives heatmaps [N, h / 4, w / 4, K], keypoints [N, K, 2] in crop pixels,
    keypoint_scores [N, K] and scores [N]. The others give keypoints [N, M, K, 2] in image pixels,
    keypoint_scores [N, M, K] and scores [N, M]; only boxes with an area reach the network.
    """

    def __init__(self, estimator: PoseEstimator):
        self._size_wh = width, height = estimator.recipe.input_size_wh
        self._num_keypoints = estimator.schema.num_keypoints
        self._convention = estimator.recipe.convention
        self._crop_spec = tf.TensorSpec((None, height, width, 3), tf.uint8, "crops")
        self._variables = estimator.model.variables

        # Functions of their own, so that all signatures and the flip test share one network.
        network = tf.function(estimator.model, autograph=False)

        def read(crops: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            recipe = estimator.recipe
            heatmaps = crops_to_heatmaps(network, crops, recipe, estimator.schema)
            return heatmaps, heatmaps_to_crop(heatmaps, recipe)

        self._read = tf.function(read, input_signature=[self._crop_spec], autograph=False)

    def save(self, folder: str | os.PathLike) -> dict[str, Any]:
        """Writes the program and its weights as a SavedModel; returns the signatures by name."""
        boxes = tf.TensorSpec((None, None, 4), tf.float32, "boxes")
        inputs = {
            "serving_default": (self._persons, IMAGE_BYTES, boxes),
            "image_bytes": (self._whole_pictures, IMAGE_BYTES),
            "images": (self._persons, IMAGES, boxes),
            "whole_images": (self._whole_pictures, IMAGES),
            "crops": (self._crops, self._crop_spec),
        }
        return save_program(folder, inputs, self._variables)

    def _crops(self, crops: tf.Tensor) -> Tensors:
        crops = _persons_checked(crops, (None, *self._crop_spec.shape[1:]), sides=1)
        heatmaps, keypoints = self._read(crops)
        return {"heatmaps": heatmaps, **_named(keypoints)}

    def _persons(self, pictures: tf.Tensor, boxes: tf.Tensor) -> Tensors:
        pictures = checked_pictures(pictures)
        boxes = _persons_checked(boxes, (None, None, 4), sides=2)
        same = tf.shape(boxes)[0] == tf.shape(pictures)[0]
        boxes = require(same, "boxes: not one row of boxes for each picture", boxes)
        boxes = tf.debugging.check_numerics(boxes, "boxes")
        real = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        boxes = tf.where(real[..., None], boxes, [0.0, 0.0, 1.0, 1.0])

        def cut(picture_and_boxes: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            picture, boxes = picture_and_boxes
            return self._cut(pixels(picture), boxes)

        return self._answer(*self._mapped(cut, (pictures, boxes)), real)

    def _whole_pictures(self, pictures: tf.Tensor) -> Tensors:
        pictures = checked_pictures(pictures)

        def cut(picture: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = pixels(picture)
            # Not [1::-1], at which TensorFlow's layout optimizer gives up the whole graph.
            size_wh = tf.cast(tf.reverse(tf.shape(image)[:2], [0]), tf.float32)
            return self._cut(image, tf.concat([[0.0, 0.0], size_wh], axis=0)[None])

        crops, crop_to_image = self._mapped(cut, pictures)
        return self._answer(crops, crop_to_image, tf.ones(tf.shape(crops)[:2], tf.bool))

    def _mapped(self, cut: Any, pictures: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Crops (N, M, h, w, 3) and their maps to image pixels (N, M, 2, 3), by `cut`."""
        crops = tf.TensorSpec(self._crop_spec.shape, tf.uint8)
        crop_to_image = tf.TensorSpec((None, 2, 3), tf.float32)
        return tf.map_fn(
            cut,
            pictures,
            fn_output_signature=(crops, crop_to_image),
            parallel_iterations=PICTURES_AT_ONCE,
        )

    def _cut(self, image: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The crops (M, h, w, 3) uint8 of boxes (M, 4), and their maps to image pixels."""
        size_wh = self._size_wh
        centre_xy, window_wh = affine.crop_window(boxes, size_wh, xp=ops)
        image_to_crop = affine.crop_matrix(
            centre_xy, window_wh, size_wh, convention=self._convention, xp=ops
        )
        crop_to_image = affine.invert(image_to_crop, ops)
        # Finite boxes whose area is beyond float32 get here.
        crop_to_image = tf.debugging.check_numerics(crop_to_image, "boxes: too large")
        crops = tf.round(affine.warp_tensor(image, image_to_crop, size_wh))
        return tf.cast(crops, tf.uint8), crop_to_image

    def _answer(self, crops: tf.Tensor, crop_to_image: tf.Tensor, real: tf.Tensor) -> Tensors:
        """Keypoints in image pixels; only crops of real boxes (N, M) are looked at."""
        places = tf.where(real)
        keypoints = tf.cond(
            tf.reduce_any(real),
            lambda: self._read(tf.gather_nd(crops, places))[1],
            lambda: tf.zeros((0, self._num_keypoints, 3)),  # networks fail on no crop at all
        )
        points = affine.transform_points(
            tf.gather_nd(crop_to_image, places), keypoints[..., :2], ops
        )
        keypoints = tf.concat([points, keypoints[..., 2:]], axis=-1)
        shape = tf.concat([tf.shape(real), tf.shape(keypoints)[1:]], axis=0)
        return _named(tf.scatter_nd(places, keypoints, tf.cast(shape, tf.int64)))


def _named(keypoints: tf.Tensor) -> Tensors:
    """The outputs that keypoints (..., K, 3) make."""
    return {
        "keypoints": keypoints[..., :2],
        "keypoint_scores": keypoints[..., 2],
        "scores": tf.reduce_mean(keypoints[..., 2], axis=-1),
    }


def _persons_checked(tensor: tf.Tensor, shape: tuple[int | None, ...], sides: int) -> tf.Tensor:
    """An input of that shape, whose first `sides` sides count the persons."""
    return checked(tensor, shape, sides=sides, most=MAX_PERSONS, of="persons")
