"""What all programs for strangers share: checked pictures in, named signatures, one SavedModel.

A picture comes as the bytes of a file or as pixels; both have the batch first, as TF Serving's
batching needs. XLA is not asked for: TF Serving answers models compiled by it badly.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from kptkit.image_graph import decode_upright, require
from kptkit.image_headers import MAX_PIXELS

# A request of more pictures is refused.
MAX_PICTURES = 128

# Pictures of one request that are decoded side by side: each may take a few hundred megabytes.
PICTURES_AT_ONCE = 4

Tensors = dict[str, tf.Tensor]

IMAGE_BYTES = tf.TensorSpec((None,), tf.string, "image_bytes")
IMAGES = tf.TensorSpec((None, None, None, 3), tf.uint8, "images")

# What the tensors are, for whoever holds a program without its source.
PICTURE_MEANINGS = {
    "image_bytes": "the bytes of JPEG, PNG, BMP or WebP files; EXIF orientation is applied",
    "images": "upright pictures, RGB",
}


def save_program(
    folder: str | os.PathLike,
    inputs: dict[str, tuple[Callable[..., Tensors], ...]],
    variables: Iterable[keras.Variable],
) -> dict[str, Any]:
    """Writes functions and the variables they use as a SavedModel.

    Args:
        inputs: the function of each signature, followed by the specs of its arguments.

    Returns:
        The signatures by name.
    """
    keeper = tf.Module()
    keeper.weights = [variable.value for variable in variables]
    signatures = {
        name: tf.function(function, autograph=False).get_concrete_function(*specs)
        for name, (function, *specs) in inputs.items()
    }
    tf.saved_model.save(keeper, folder, signatures=signatures)
    return signatures


def checked(
    tensor: tf.Tensor, shape: tuple[int | None, ...], *, sides: int, most: int, of: str
) -> tf.Tensor:
    """An input of that shape, with a batch, whose first `sides` sides count at most `most`.

    The check of the shape looks idle beside a signature that states it, but only this one is made
    when a request comes in: without it a tensor of another rank aborts the process in some kernels.
    """
    tensor = tf.ensure_shape(tensor, shape)
    lengths = tf.shape(tensor, tf.int64)
    fits = (lengths[0] >= 1) & (tf.reduce_prod(lengths[:sides]) <= most)
    return require(fits, f"no batch, or more than {most} {of} in a request", tensor)


def checked_pictures(pictures: tf.Tensor) -> tf.Tensor:
    """`image_bytes` or `images` of bearable number and size; bytes are looked at by `pixels`."""
    shape = (None,) if pictures.dtype == tf.string else (None, None, None, 3)
    pictures = checked(pictures, shape, sides=1, most=MAX_PICTURES, of="pictures")
    if pictures.dtype == tf.string:
        return pictures
    count = tf.reduce_prod(tf.shape(pictures, tf.int64)[1:3])
    fits = (count >= 1) & (count <= MAX_PIXELS)
    return require(fits, f"images: no pixels, or more than {MAX_PIXELS:,} in a picture", pictures)


def pixels(picture: tf.Tensor) -> tf.Tensor:
    """One picture (H, W, 3) uint8 of the batch, upright, whichever way it came."""
    return decode_upright(picture) if picture.dtype == tf.string else picture
