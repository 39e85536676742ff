"""A pose estimator as one graph from pictures to keypoints, which runs without kptkit.

Signatures by name; the batch N is the first axis of all inputs, as TF Serving's batching needs:

    serving_default  image_bytes [N], boxes [N, M, 4]
    image_bytes      image_bytes [N]                          one box, the whole picture, M = 1
    images           images [N, H, W, 3], boxes [N, M, 4], image_hw [N, 2]
    whole_images     images [N, H, W, 3], image_hw [N, 2]     one box, the whole picture, M = 1
    crops            crops [N, h, w, 3]

Every request, however malformed, gets an answer or InvalidArgumentError and never crashes the
process.
"""

import os
from dataclasses import replace
from functools import partial
from typing import Any

import tensorflow as tf
from keras import ops

from kptkit.export.signatures import (
    IMAGE_BYTES,
    IMAGE_HW,
    IMAGES,
    PICTURE_MEANINGS,
    PICTURES_AT_ONCE,
    Tensors,
    checked,
    checked_pictures,
    one_row_each,
    pixels,
    save_signatures,
)
from kptkit.images.graph_codec import require
from kptkit.network import crops_to_heatmaps, heatmaps_to_crop
from kptkit.pose.crops import cut_persons_in_graph, to_image
from kptkit.pose.estimator import PoseEstimator

# Limits of a request: boxes of one picture (M), all boxes (N * M), or crops. Eight requests of one
# picture each, merged by TF Serving, always stay below the limits.
MAX_PERSONS = 128
MAX_BOXES = 8 * MAX_PERSONS

# Crops per call of the network: their feature maps may take a gigabyte.
_CROPS_AT_ONCE = 64

# Meanings of the tensors, as given in manifest and model card.
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


class PoseGraph:
    """A pose estimator as TensorFlow functions with checked inputs, to be saved as a SavedModel.

    `crops` returns heatmaps [N, h / 4, w / 4, K], keypoints [N, K, 2] in crop pixels,
    keypoint_scores [N, K] and scores [N]. The others give keypoints [N, M, K, 2] in image pixels,
    keypoint_scores [N, M, K] and scores [N, M]; only boxes with an area reach the network.
    """

    def __init__(self, estimator: PoseEstimator):
        width, height = size_wh = estimator.recipe.input_size_wh
        self._num_keypoints = estimator.schema.num_keypoints
        self._cut = partial(
            cut_persons_in_graph, size_wh=size_wh, convention=estimator.recipe.convention
        )
        self._crop_spec = tf.TensorSpec((None, height, width, 3), tf.uint8, "crops")
        self._variables = estimator.model.variables

        # A tf.function, so that all signatures and the flip test share one copy of the network.
        network = replace(estimator.network, model=tf.function(estimator.model, autograph=False))

        def read(crops: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            heatmaps = crops_to_heatmaps(network, crops)
            return heatmaps, heatmaps_to_crop(heatmaps, network.recipe)

        self._read = tf.function(read, input_signature=[self._crop_spec], autograph=False)

    def save(self, folder: str | os.PathLike) -> dict[str, Any]:
        """Writes graph and weights as a SavedModel; returns its signatures by name."""
        boxes = tf.TensorSpec((None, None, 4), tf.float32, "boxes")
        inputs = {
            "serving_default": (self._persons, IMAGE_BYTES, boxes),
            "image_bytes": (self._whole_pictures, IMAGE_BYTES),
            "images": (self._persons, IMAGES, boxes, IMAGE_HW),
            "whole_images": (self._whole_pictures, IMAGES, IMAGE_HW),
            "crops": (self._crops, self._crop_spec),
        }
        return save_signatures(folder, inputs, self._variables)

    def _crops(self, crops: tf.Tensor) -> Tensors:
        shape = (None, *self._crop_spec.shape[1:])
        crops = checked(crops, shape, sides=1, most=MAX_PERSONS, of="crops")
        heatmaps, keypoints = self._read(crops)
        return {"heatmaps": heatmaps, **keypoint_outputs(keypoints)}

    def _persons(
        self, pictures: tf.Tensor, boxes: tf.Tensor, image_hw: tf.Tensor | None = None
    ) -> Tensors:
        pictures = checked_pictures(pictures, image_hw)
        boxes = checked(boxes, (None, None, 4), sides=2, most=MAX_BOXES, of="boxes")
        message = f"boxes: more than {MAX_PERSONS} on a picture"
        boxes = require(tf.shape(boxes)[1] <= MAX_PERSONS, message, boxes)
        boxes = one_row_each(boxes, pictures[0], "boxes")
        boxes = tf.debugging.check_numerics(boxes, "boxes")
        real = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)

        def cut(row: tuple[Any, ...]) -> tuple[tf.Tensor, tf.Tensor]:
            picture, boxes, real = row
            return self._cut(pixels(*picture), tf.boolean_mask(boxes, real))

        return self._answer(cut, (pictures, boxes, real), real)

    def _whole_pictures(self, pictures: tf.Tensor, image_hw: tf.Tensor | None = None) -> Tensors:
        pictures = checked_pictures(pictures, image_hw)

        def cut(picture: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
            image = pixels(*picture)
            # Not [1::-1], on which TensorFlow's layout optimizer fails for the whole graph.
            size_wh = tf.cast(tf.reverse(tf.shape(image)[:2], [0]), tf.float32)
            return self._cut(image, tf.concat([[0.0, 0.0], size_wh], axis=0)[None])

        return self._answer(cut, pictures, tf.ones((tf.shape(pictures[0])[0], 1), tf.bool))

    def _answer(self, cut: Any, rows: Any, real: tf.Tensor) -> Tensors:
        """Keypoints in image pixels of the real boxes (N, M); zeros for padding.

        Args:
            cut: maps a row of `rows` to the crops of its real boxes and their crop-to-image maps.
        """
        specs = self._crop_spec, tf.TensorSpec((None, 2, 3))
        crops, crop_to_image = _map_rows(cut, rows, specs, PICTURES_AT_ONCE)
        keypoints = to_image(self._read_all(crops), crop_to_image, ops)
        shape = tf.concat([tf.shape(real), tf.shape(keypoints)[1:]], axis=0)
        return keypoint_outputs(tf.scatter_nd(tf.where(real), keypoints, tf.cast(shape, tf.int64)))

    def _read_all(self, crops: tf.Tensor) -> tf.Tensor:
        """Keypoints (P, K, 3) of crops (P, h, w, 3), `_CROPS_AT_ONCE` at a time.

        The network is never called on an empty batch, on which convolutions fail.
        """
        starts = tf.range(0, tf.shape(crops)[0], _CROPS_AT_ONCE)
        spec = tf.TensorSpec((None, self._num_keypoints, 3))

        def read(start: tf.Tensor) -> tuple[tf.Tensor]:
            return (self._read(crops[start : start + _CROPS_AT_ONCE])[1],)

        return _map_rows(read, starts, (spec,), 1)[0]


def _map_rows(
    function: Any, elements: Any, specs: tuple[tf.TensorSpec, ...], at_once: int
) -> tuple[tf.Tensor, ...]:
    """Applies `function` to each element and concatenates the rows, any number per element."""
    outputs = tf.map_fn(
        function,
        elements,
        fn_output_signature=tuple(
            tf.RaggedTensorSpec(spec.shape, spec.dtype, ragged_rank=0) for spec in specs
        ),
        parallel_iterations=at_once,
    )
    # Without any row, `values` has lost its static shape.
    pairs = zip(outputs, specs, strict=True)
    return tuple(tf.reshape(output.values, (-1, *spec.shape[1:])) for output, spec in pairs)


def keypoint_outputs(keypoints: tf.Tensor) -> Tensors:
    """The named outputs for keypoints (..., K, 3)."""
    return {
        "keypoints": keypoints[..., :2],
        "keypoint_scores": keypoints[..., 2],
        "scores": tf.reduce_mean(keypoints[..., 2], axis=-1),
    }
