"""Shared parts of all SavedModels: checked picture inputs, named signatures, and writing.

A picture is given as the bytes of a file or as pixels; the batch is the first axis of both, as TF
Serving's batching needs. XLA is not used: TF Serving runs models compiled by it badly.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from kptkit.images.codec import MAX_FILE_BYTES
from kptkit.images.graph_codec import declared_pixels, decode_upright, require
from kptkit.images.headers import MAX_PIXELS

# The most pictures in a request.
MAX_PICTURES = 128

# The most pixels of all pictures in a request, by the sizes in their headers. Time grows with them:
# 50 million, in a flat JPEG of 0.8 MB, take a pose model 0.3 s of a core and a face model 11 s;
# memory is that of the pictures at once, 0.2 and 2 GB. With fewer, requests of one picture each,
# within its own limits, could fail only because TF Serving merged eight of them.
MAX_REQUEST_PIXELS = 8 * MAX_PIXELS

# Pictures of one request that are decoded in parallel: each may take a few hundred megabytes.
PICTURES_AT_ONCE = 4

# The limits, as stated in manifests.
PICTURE_LIMITS = {
    "pictures_in_a_request": MAX_PICTURES,
    "pixels_in_a_picture": MAX_PIXELS,
    "pixels_in_a_request": MAX_REQUEST_PIXELS,
    "bytes_in_a_file": MAX_FILE_BYTES,
}

Tensors = dict[str, tf.Tensor]

IMAGE_BYTES = tf.TensorSpec((None,), tf.string, "image_bytes")
IMAGES = tf.TensorSpec((None, None, None, 3), tf.uint8, "images")
# TF Serving's batching pads pictures of several sizes with their first value.
IMAGE_HW = tf.TensorSpec((None, 2), tf.int32, "image_hw")

# Meanings of the tensors, as given in manifest and model card.
PICTURE_MEANINGS = {
    "image_bytes": "the bytes of JPEG, PNG, BMP or WebP files; EXIF orientation is applied",
    "images": "upright pictures, RGB, from the top-left corner; what lies beyond is padding",
    "image_hw": "height and width of each picture in pixels",
}


def save_signatures(
    folder: str | os.PathLike,
    inputs: dict[str, tuple[Callable[..., Tensors], ...]],
    variables: Iterable[keras.Variable],
) -> dict[str, Any]:
    """Writes functions and their variables as a SavedModel.

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
    """An input, checked for `shape`, a batch of 1 or more, and at most `most` elements `of` a kind.

    The number of elements is the product of the first `sides` axes.

    The shape check repeats the signature's, but TF Serving only makes this one at run time: without
    it, some kernels abort the process on a tensor of another rank.
    """
    tensor = tf.ensure_shape(tensor, shape)
    lengths = tf.shape(tensor, tf.int64)
    fits = (lengths[0] >= 1) & (tf.reduce_prod(lengths[:sides]) <= most)
    return require(fits, f"no batch, or more than {most} {of} in a request", tensor)


def checked_pictures(
    pictures: tf.Tensor, image_hw: tf.Tensor | None = None
) -> tuple[tf.Tensor, ...]:
    """`image_bytes`, or `images` and `image_hw`, refused beyond `PICTURE_LIMITS`.

    Of files only the headers are read here, before any is decoded; `pixels` checks the rest,
    picture by picture. Of `images` only what `image_hw` says counts: TF Serving pads merged
    pictures to their largest sides.
    """
    shape = IMAGE_BYTES.shape if image_hw is None else IMAGES.shape
    pictures = checked(pictures, shape, sides=1, most=MAX_PICTURES, of="pictures")
    if image_hw is None:
        each = tf.map_fn(declared_pixels, pictures, fn_output_signature=tf.int64)
        return (_within_request(each, pictures),)
    image_hw = tf.ensure_shape(image_hw, IMAGE_HW.shape)
    image_hw = one_row_each(image_hw, pictures, "image_hw")
    own = tf.cast(image_hw, tf.int64)
    each = tf.reduce_prod(own, axis=1)
    fits = (own >= 1) & (own <= tf.shape(pictures, tf.int64)[1:3])
    fits = tf.reduce_all(fits) & tf.reduce_all(each <= MAX_PIXELS)
    message = f"images: no pixels, more than {MAX_PIXELS:,} in a picture, or fewer than image_hw"
    return _within_request(each, require(fits, message, pictures)), image_hw


def _within_request(pixels_each: tf.Tensor, pictures: tf.Tensor) -> tf.Tensor:
    """`pictures`, once the sum of their pixels (N,) int64 is checked."""
    message = f"more than {MAX_REQUEST_PIXELS:,} pixels in a request; send its pictures in several"
    return require(tf.reduce_sum(pixels_each) <= MAX_REQUEST_PIXELS, message, pictures)


def one_row_each(tensor: tf.Tensor, pictures: tf.Tensor, name: str) -> tf.Tensor:
    """An input, checked to have one row per picture."""
    same = tf.shape(tensor)[0] == tf.shape(pictures)[0]
    return require(same, f"{name}: not one row for each picture", tensor)


def pixels(picture: tf.Tensor, image_hw: tf.Tensor | None = None) -> tf.Tensor:
    """One picture of the batch (H, W, 3) uint8, upright, from its bytes or its pixels."""
    return decode_upright(picture) if image_hw is None else picture[: image_hw[0], : image_hw[1]]
