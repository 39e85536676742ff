"""The graph of a pose estimator from pictures to keypoints, for processes that have no kptkit.

Signatures by name; every input has the batch N first, as TF Serving's batching needs:

    serving_default  image_bytes [N], boxes [N, M, 4]
    image_bytes      image_bytes [N]                          the picture is the one box, M = 1
    images           images [N, H, W, 3], boxes [N, M, 4]
    whole_images     images [N, H, W, 3]                      the picture is the one box, M = 1
    crops            crops [N, h, w, 3]

Whatever a request holds, it gets an answer or InvalidArgumentError; the process lives on. XLA is
not asked for: TF Serving answers models compiled by it badly.
"""

import os
from typing import Any

import tensorflow as tf
from keras import ops

from kptkit import affine
from kptkit.image_graph import decode_upright, require
from kptkit.image_headers import MAX_PIXELS
from kptkit.pose import PoseEstimator
from kptkit.pose_network import crops_to_heatmaps, heatmaps_to_crop

# A request of more persons (N * M boxes, or N crops) is refused: its feature maps take gigabytes.
MAX_PERSONS = 128

# Pictures of one request that are decoded side by side: each may take a few hundred megabytes.
_PICTURES_AT_ONCE = 4

Tensors = dict[str, tf.Tensor]

# What the tensors of the signatures are, for whoever holds a program without its source.
MEANINGS = {
    "image_bytes": "the bytes of JPEG, PNG, BMP or WebP files; EXIF orientation is applied",
    "images": "upright pictures, RGB",
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
        self._weights = [variable.value for variable in estimator.model.variables]

        # Functions of their own, so that all signatures and the flip test share one network.
        network = tf.function(estimator.model, autograph=False)

        def read(crops: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            recipe = estimator.recipe
            heatmaps = crops_to_heatmaps(network, crops, recipe, estimator.schema)
            return heatmaps, heatmaps_to_crop(heatmaps, recipe)

        self._read = tf.function(read, input_signature=[self._crop_spec], autograph=False)

    def save(self, folder: str | os.PathLike) -> dict[str, Any]:
        """Writes the program and its weights as a SavedModel; returns the signatures by name."""
        keeper = tf.Module()
        keeper.weights = self._weights
        signatures = self._signatures()
        tf.saved_model.save(keeper, folder, signatures=signatures)
        return signatures

    def _signatures(self) -> dict[str, Any]:
        image_bytes = tf.TensorSpec((None,), tf.string, "image_bytes")
        images = tf.TensorSpec((None, None, None, 3), tf.uint8, "images")
        boxes = tf.TensorSpec((None, None, 4), tf.float32, "boxes")
        inputs = {
            "serving_default": (self._persons, image_bytes, boxes),
            "image_bytes": (self._whole_pictures, image_bytes),
            "images": (self._persons, images, boxes),
            "whole_images": (self._whole_pictures, images),
            "crops": (self._crops, self._crop_spec),
        }
        return {
            name: tf.function(function, autograph=False).get_concrete_function(*specs)
            for name, (function, *specs) in inputs.items()
        }

    def _crops(self, crops: tf.Tensor) -> Tensors:
        crops = _checked(crops, (None, *self._crop_spec.shape[1:]), persons_of=1)
        heatmaps, keypoints = self._read(crops)
        return {"heatmaps": heatmaps, **_named(keypoints)}

    def _persons(self, pictures: tf.Tensor, boxes: tf.Tensor) -> Tensors:
        pictures = _checked_pictures(pictures)
        boxes = _checked(boxes, (None, None, 4), persons_of=2)
        same = tf.shape(boxes)[0] == tf.shape(pictures)[0]
        boxes = require(same, "boxes: not one row of boxes for each picture", boxes)
        boxes = tf.debugging.check_numerics(boxes, "boxes")
        real = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        boxes = tf.where(real[..., None], boxes, [0.0, 0.0, 1.0, 1.0])

        def cut(picture_and_boxes: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            picture, boxes = picture_and_boxes
            return self._cut(_pixels(picture), boxes)

        return self._answer(*self._mapped(cut, (pictures, boxes)), real)

    def _whole_pictures(self, pictures: tf.Tensor) -> Tensors:
        pictures = _checked_pictures(pictures)

        def cut(picture: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = _pixels(picture)
            size_wh = tf.cast(tf.shape(image)[1::-1], tf.float32)
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
            parallel_iterations=_PICTURES_AT_ONCE,
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


def _pixels(picture: tf.Tensor) -> tf.Tensor:
    return decode_upright(picture) if picture.dtype == tf.string else picture


def _named(keypoints: tf.Tensor) -> Tensors:
    """The outputs that keypoints (..., K, 3) make."""
    return {
        "keypoints": keypoints[..., :2],
        "keypoint_scores": keypoints[..., 2],
        "scores": tf.reduce_mean(keypoints[..., 2], axis=-1),
    }


def _checked(tensor: tf.Tensor, shape: tuple[int | None, ...], persons_of: int) -> tf.Tensor:
    """An input of that shape, with a batch, whose first `persons_of` sides count the persons.

    The check of the shape looks idle beside a signature that states it, but only this one is made
    when a request comes in: without it a tensor of another rank aborts the process in some kernels.
    """
    tensor = tf.ensure_shape(tensor, shape)
    sides = tf.shape(tensor, tf.int64)
    fits = (sides[0] >= 1) & (tf.reduce_prod(sides[:persons_of]) <= MAX_PERSONS)
    return require(fits, f"no batch, or more than {MAX_PERSONS} persons in a request", tensor)


def _checked_pictures(pictures: tf.Tensor) -> tf.Tensor:
    if pictures.dtype == tf.string:
        return _checked(pictures, (None,), persons_of=1)
    pictures = _checked(pictures, (None, None, None, 3), persons_of=1)
    pixels = tf.reduce_prod(tf.shape(pictures, tf.int64)[1:3])
    fits = (pixels >= 1) & (pixels <= MAX_PIXELS)
    return require(fits, f"images: no pixels, or more than {MAX_PIXELS:,} in a picture", pictures)
