"""Person crops: boxes to crops, and the affine maps from crop to image pixels.

There are two implementations: NumPy with OpenCV, and TensorFlow ops for exported graphs. Their
pixels differ by at most one grey level.
"""

from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from kptkit.conventions import Convention
from kptkit.geometry import affine


def cut_persons(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    size_wh: tuple[int, int],
    convention: Convention,
) -> tuple[np.ndarray, np.ndarray]:
    """Crops persons out of a picture (H, W, 3) uint8; boxes (N, 4) are in image pixels.

    Returns:
        Crops (N, h, w, 3) uint8, and affine maps (N, 2, 3) float64 from crop to image pixels.
    """
    matrices = _image_to_crop(boxes_xyxy, size_wh, convention, np)
    warped = [affine.warp(image, matrix, size_wh) for matrix in matrices]
    crops = np.array(warped, np.uint8).reshape(-1, size_wh[1], size_wh[0], 3)
    return crops, affine.invert(matrices.astype(np.float64))


def cut_persons_in_graph(
    image: tf.Tensor,
    boxes_xyxy: tf.Tensor,
    size_wh: tuple[int, int],
    convention: Convention,
) -> tuple[tf.Tensor, tf.Tensor]:
    """As `cut_persons`, in TensorFlow ops; the maps are float32.

    Raises:
        InvalidArgumentError: a box is so large that its area overflows float32.
    """
    image_to_crop = _image_to_crop(boxes_xyxy, size_wh, convention, ops)
    crop_to_image = affine.invert(image_to_crop, ops)
    crop_to_image = tf.debugging.check_numerics(crop_to_image, "boxes: too large")
    # The check runs before any pixel is sampled with such a map.
    with tf.control_dependencies([crop_to_image]):
        image_to_crop = tf.identity(image_to_crop)
    crops = tf.round(affine.warp_tensor(image, image_to_crop, size_wh))
    return tf.cast(crops, tf.uint8), crop_to_image


def to_image(keypoints: Any, crop_to_image: Any, xp: ModuleType = np) -> Any:
    """Keypoints (N, K, 3), x, y and score, mapped from crop to image pixels.

    Args:
        crop_to_image: affine maps (N, 2, 3).
        xp: `numpy` or `keras.ops`.
    """
    points = affine.transform_points(crop_to_image, keypoints[..., :2], xp)
    return xp.concatenate([points, keypoints[..., 2:]], axis=-1)


def _image_to_crop(
    boxes_xyxy: Any, size_wh: tuple[int, int], convention: Convention, xp: ModuleType
) -> Any:
    centre_xy, window_wh = affine.crop_window(boxes_xyxy, size_wh, xp=xp)
    return affine.crop_matrix(centre_xy, window_wh, size_wh, convention=convention, xp=xp)
