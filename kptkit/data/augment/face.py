"""How crops of faces vary in training: mirrored with their targets, and in other colours.

A change of colours is one affine map of RGB for each crop, so a batch takes one matrix product:
saturation and hue scale and turn the two chroma axes of YIQ (Haeberli 1993, "Matrix operations for
image processing"), contrast stretches around the crop's mean grey, brightness shifts.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
import tensorflow as tf
from keras import ops

from kptkit.errors import InputError
from kptkit.geometry.face_windows import mirror_box_offsets, mirror_landmark_offsets

Batch = dict[str, tf.Tensor]

# Luma and chroma of NTSC television, from RGB.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_RGB = np.linalg.inv(_YIQ)


@dataclass(frozen=True)
class FaceAugment:
    """How strongly crops vary: every crop draws its own change, uniformly up to these bounds."""

    flip_probability: float = 0.5
    """Share of crops that are mirrored, box offsets and landmarks with the pixels."""
    brightness: float = 0.15
    """How much is added to the pixels, as a share of white."""
    contrast: float = 0.3
    """By how much more or less than 1 the distance from the crop's mean grey is multiplied."""
    saturation: float = 0.4
    """The same for the distance of each pixel from its own grey."""
    hue: float = 0.04
    """How far colours turn, as a share of the whole circle."""
    grey_probability: float = 0.1
    """Share of crops without any colour."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= 1:
                raise InputError(f"augment: {name}: {value}; expected a number from 0 to 1")


def augment(batch: Batch, config: FaceAugment, seed: tf.Tensor) -> Batch:
    """A varied batch; see `kptkit.data.batches.face` for what is in it.

    Args:
        seed: (2,) int64; decides everything.
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
    """A batch whose crops are mirrored left to right where `which` (B,) says."""
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
    """Crops (B, S, S, 3) uint8 RGB in other colours, rounded and cut to 0..255.

    Args:
        saturation, contrast: (B,) factors; 1 changes nothing, a saturation of 0 makes grey.
        hue: (B,) shares of the whole circle.
        brightness: (B,) shares of white.
    """
    count, side = images.shape[0], images.shape[1]
    pixels = tf.cast(tf.reshape(images, (count, side * side, 3)), tf.float32)
    matrices = contrast[:, None, None] * _colour_matrices(saturation, hue)
    # Saturation and hue leave the mean grey as it is.
    mean = tf.linalg.matvec(tf.reduce_mean(pixels, axis=1), tf.constant(_YIQ[:1], tf.float32))[:, 0]
    shift = (1 - contrast) * mean + 255 * brightness
    changed = tf.matmul(pixels, matrices) + shift[:, None, None]
    changed = tf.cast(tf.round(tf.clip_by_value(changed, 0, 255)), tf.uint8)
    return tf.reshape(changed, images.shape)


def _colour_matrices(saturation: tf.Tensor, hue: tf.Tensor) -> tf.Tensor:
    """(B, 3, 3), by which rows of RGB are multiplied."""
    real = saturation * tf.cos(2 * math.pi * hue)
    imaginary = saturation * tf.sin(2 * math.pi * hue)
    zero, one = tf.zeros_like(hue), tf.ones_like(hue)
    rows = [[one, zero, zero], [zero, real, -imaginary], [zero, imaginary, real]]
    turned = tf.transpose(tf.stack(rows), (2, 1, 0))
    to_yiq, to_rgb = tf.constant(_YIQ.T, tf.float32), tf.constant(_RGB.T, tf.float32)
    return tf.einsum("ij,bjk,kl->bil", to_yiq, turned, to_rgb)


def _around_one(draws: tf.Tensor, spread: float) -> tf.Tensor:
    return 1 + (2 * draws - 1) * spread
