"""A face detector as one graph from pictures to faces, which runs without kptkit.

Signatures by name; the batch N is the first axis of all inputs, as TF Serving's batching needs:

    serving_default  image_bytes [N]          pictures of any sizes
    images           images [N, H, W, 3], image_hw [N, 2]     the same as pixels

Both return boxes [N, M, 4], scores [N, M], landmarks [N, M, 5, 2] and counts [N]; M is the largest
count. Every request, however malformed, gets an answer or
InvalidArgumentError and never crashes the process.
"""

import os
from typing import Any

import tensorflow as tf

from kptkit.export.signatures import (
    IMAGE_BYTES,
    IMAGE_HW,
    IMAGES,
    PICTURE_MEANINGS,
    PICTURES_AT_ONCE,
    Tensors,
    checked_pictures,
    pixels,
    save_signatures,
)
from kptkit.face.cascade import Cascade

# Meanings of the tensors, as given in manifest and model card.
MEANINGS = {
    **PICTURE_MEANINGS,
    "boxes": "x1 y1 x2 y2 of faces in pixels of the upright picture, best first; zeros for padding",
    "scores": "how sure the last network is that a box holds a face, 0 to 1; zero for padding",
    "landmarks": "x y in pixels of the upright picture; the centre of the top-left pixel is 0 0; "
    "the eye at the image's left, the one at its right, nose, the mouth's corner at the left, at "
    "the right; zeros for padding",
    "counts": "how many faces each picture has; what stands behind them is padding",
}

_FACES = {
    "boxes": tf.TensorSpec((None, 4), tf.float32),
    "scores": tf.TensorSpec((None,), tf.float32),
    "landmarks": tf.TensorSpec((None, 5, 2), tf.float32),
}


class FaceGraph:
    """A cascade as TensorFlow functions with checked inputs, to be saved as a SavedModel.

    How many faces of a picture are returned at most is `max_faces` of the cascade's config.
    """

    def __init__(self, cascade: Cascade):
        self._cascade = cascade

    def save(self, folder: str | os.PathLike) -> dict[str, Any]:
        """Writes graph and weights as a SavedModel; returns its signatures by name."""
        inputs = {
            "serving_default": (self._faces, IMAGE_BYTES),
            "images": (self._faces, IMAGES, IMAGE_HW),
        }
        models = self._cascade.models.values()
        return save_signatures(folder, inputs, [v for model in models for v in model.variables])

    def _faces(self, pictures: tf.Tensor, image_hw: tf.Tensor | None = None) -> Tensors:
        pictures = checked_pictures(pictures, image_hw)
        limit = self._cascade.config.max_faces

        def find(picture: tuple[tf.Tensor, ...]) -> Tensors:
            faces = self._cascade(pixels(*picture))
            count = tf.shape(faces["scores"])[0]
            padded = {k: _padded(rows, limit - count) for k, rows in faces.items()}
            return {**padded, "counts": count}

        signature = {**_FACES, "counts": tf.TensorSpec((), tf.int32)}
        found = tf.map_fn(
            find,
            pictures,
            fn_output_signature=signature,
            parallel_iterations=PICTURES_AT_ONCE,
        )
        most = tf.reduce_max(found["counts"])
        return {name: found[name][:, :most] for name in _FACES} | {"counts": found["counts"]}


def _padded(rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Rows (N, ...) followed by `count` rows of zeros."""
    return tf.pad(rows, [[0, count], *([0, 0] for _ in rows.shape[1:])])
