"""Augmentation of face crops: mirroring, with the regression targets, and colour changes.

The colour change of a crop is one affine map of RGB, so a batch takes one matrix product.
Saturation scales and hue rotates the two chroma axes of YIQ (Haeberli 1993, "Matrix operations for
image processing"); contrast scales around the crop's mean grey, and brightness adds a constant.
"""

import math

import numpy as np
import tensorflow as tf
from keras import ops

from kptkit.data.augment.settings import FaceAugment
from kptkit.geometry.face_windows import mirror_box_offsets, mirror_landmark_offsets

Batch = dict[str, tf.Tensor]

# RGB to YIQ: luma and chroma of NTSC television.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_RGB = np.linalg.inv(_YIQ)


def augment(batch: Batch, config: FaceAugment, seed: tf.Tensor) -> Batch:
    """Augments a batch as `kptkit.data.batches.face` makes it.

    Args:
        seed: (2,) int64; all random numbers come from it.
    """
    count = batch["image"].shape[0]
    draws = tf.unstack(tf.random.stateless_uniform((6, count), seed))
    batch = mirror(batch, draws[0] < config.flip_probability)
    saturation = _around_one(draws[1], config.saturation)
    return batch | {
        "image": change_colours(
            batch["image"],
            saturation=tf.where(draws[2] < config.grey_probability, 0.0, saturation),
            hue=(2 * draws[3] - 1) * config.hue,
            contrast=_around_one(draws[4], config.contrast),
            brightness=(2 * draws[5] - 1) * config.brightness,
        )
    }


def mirror(batch: Batch, which: tf.Tensor) -> Batch:
    """Mirrors crops left to right, with their box and landmark, where `which` (B,) is true."""
    image, box, landmark = batch["image"], batch["box"], batch["landmark"]
    mirrored, places = which[:, None], tf.range(image.shape[2])[None]
    columns = tf.where(mirrored, places[:, ::-1], places)
    return batch | {
        "image": tf.gather(image, columns, axis=2, batch_dims=1),
        "box": tf.where(mirrored, mirror_box_offsets(box, ops), box),
        "landmark": tf.where(mirrored, mirror_landmark_offsets(landmark, ops), landmark),
    }


def change_colours(
    images: tf.Tensor,
    saturation: tf.Tensor,
    hue: tf.Tensor,
    contrast: tf.Tensor,
    brightness: tf.Tensor,
) -> tf.Tensor:
    """Changes the colours of crops (B, S, S, 3) uint8 RGB; rounds and clips to 0..255.

    Args:
        saturation: (B,) factors; 1 changes nothing, 0 makes grey.
        hue: (B,) rotations, as fractions of the full circle.
        contrast: (B,) factors; 1 changes nothing.
        brightness: (B,) summands, as fractions of white.
    """
    count, side = images.shape[0], images.shape[1]
    pixels = tf.cast(tf.reshape(images, (count, side * side, 3)), tf.float32)
    matrices = contrast[:, None, None] * _colour_matrices(saturation, hue)
    # Saturation and hue do not change the mean grey.
    mean = tf.linalg.matvec(tf.reduce_mean(pixels, axis=1), tf.constant(_YIQ[:1], tf.float32))[:, 0]
    shift = (1 - contrast) * mean + 255 * brightness
    changed = tf.matmul(pixels, matrices) + shift[:, None, None]
    changed = tf.cast(tf.round(tf.clip_by_value(changed, 0, 255)), tf.uint8)
    return tf.reshape(changed, images.shape)


def _colour_matrices(saturation: tf.Tensor, hue: tf.Tensor) -> tf.Tensor:
    """Matrices (B, 3, 3) to multiply RGB row vectors by."""
    real = saturation * tf.cos(2 * math.pi * hue)
    imaginary = saturation * tf.sin(2 * math.pi * hue)
    zero, one = tf.zeros_like(hue), tf.ones_like(hue)
    rows = [[one, zero, zero], [zero, real, -imaginary], [zero, imaginary, real]]
    turned = tf.transpose(tf.stack(rows), (2, 1, 0))
    to_yiq, to_rgb = tf.constant(_YIQ.T, tf.float32), tf.constant(_RGB.T, tf.float32)
    return tf.einsum("ij,bjk,kl->bil", to_yiq, turned, to_rgb)


def _around_one(draws: tf.Tensor, spread: float) -> tf.Tensor:
    """Uniform draws in [0, 1) as factors from 1 - spread to 1 + spread."""
    return 1 + (2 * draws - 1) * spread
