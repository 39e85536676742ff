"""Persons cut out of pictures: boxes to crops and to the maps that lead back into the picture.

The same arithmetic twice: on NumPy arrays, by OpenCV, and inside TensorFlow graphs, for exports.
Their pixels differ by at most one grey level.
"""

from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from kptkit.geometry import affine


def cut_persons(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    size_wh: tuple[int, int],
    convention: affine.Convention,
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts persons (N, 4), in image pixels, out of a picture (H, W, 3) uint8.

    Returns:
        Crops (N, h, w, 3) uint8, and the maps (N, 2, 3) float64 from crop to image pixels.
    """
    matrices = _image_to_crop(boxes_xyxy, size_wh, convention, np)
    crops = [affine.warp(image, matrix, size_wh) for matrix in matrices]
    crops = np.array(crops, np.uint8).reshape(-1, size_wh[1], size_wh[0], 3)
    return crops, affine.invert(matrices.astype(np.float64))


def cut_persons_in_graph(
    image: tf.Tensor,
    boxes_xyxy: tf.Tensor,
    size_wh: tuple[int, int],
    convention: affine.Convention,
) -> tuple[tf.Tensor, tf.Tensor]:
    """As `cut_persons`, in TensorFlow's ops; the maps are float32.

    Boxes so large that their area leaves float32 are an InvalidArgumentError.
    """
    image_to_crop = _image_to_crop(boxes_xyxy, size_wh, convention, ops)
    crop_to_image = affine.invert(image_to_crop, ops)
    crop_to_image = tf.debugging.check_numerics(crop_to_image, "boxes: too large")
    # The check comes before any pixel is looked up at such a place.
    with tf.control_dependencies([crop_to_image]):
        image_to_crop = tf.identity(image_to_crop)
    crops = tf.round(affine.warp_tensor(image, image_to_crop, size_wh))
    return tf.cast(crops, tf.uint8), crop_to_image


def to_image(keypoints: Any, crop_to_image: Any, xp: ModuleType = np) -> Any:
    """Keypoints (N, K, 3), x, y and score, moved from crop to image pixels.

    Args:
        crop_to_image: (N, 2, 3).
        xp: `numpy` or `keras.ops`.
    """
    points = affine.transform_points(crop_to_image, keypoints[..., :2], xp)
    return xp.concatenate([points, keypoints[..., 2:]], axis=-1)


def _image_to_crop(
    boxes_xyxy: Any, size_wh: tuple[int, int], convention: affine.Convention, xp: ModuleType
) -> Any:
    centre_xy, window_wh = affine.crop_window(boxes_xyxy, size_wh, xp=xp)
    return affine.crop_matrix(centre_xy, window_wh, size_wh, convention=convention, xp=xp)
