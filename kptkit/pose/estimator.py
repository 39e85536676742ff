"""From pictures and boxes to keypoints, for prediction, evaluation and export."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kptkit import opener
from kptkit.geometry import affine, boxes
from kptkit.images.codec import upright_image
from kptkit.network import PoseNetwork, crops_to_heatmaps, heatmaps_to_crop, stacks_to_crop
from kptkit.pose.crops import cut_persons, to_image
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema


@dataclass(frozen=True)
class PosePrediction:
    """The persons of one picture."""

    keypoints: np.ndarray
    """(N, K, 3) float32: x and y in image pixels, and the peak of the heatmap as a score."""
    scores: np.ndarray
    """(N,) float32: the mean score of a person's keypoints."""
    boxes_xyxy: np.ndarray
    """(N, 4) float32 in image pixels: the boxes that were given."""


class PoseEstimator:
    """A trained pose network with its geometry: boxes to crops, crops to keypoints, and back.

    Args:
        source: a run folder, a weights file or a published name, as in `kptkit.load`; or a loaded
            network.

    Raises:
        InputError: the network cannot be loaded; see `kptkit.load`.
    """

    def __init__(self, source: PoseNetwork | str | os.PathLike):
        self.network = source if isinstance(source, PoseNetwork) else opener.load(source)
        width, height = self.recipe.input_size_wh
        self._predict, self._predict_stacks = (
            tf.function(
                function,
                input_signature=[tf.TensorSpec((None, height, width, 3), tf.uint8)],
                autograph=False,
            )
            for function in (self._crops_to_keypoints, self._crops_to_stacks)
        )

    @classmethod
    def from_run(cls, folder: str | os.PathLike, weights: str = "best.npz") -> "PoseEstimator":
        """The estimator of a run folder, with the weights file `weights` in it."""
        return cls(opener.build(opener.find(folder, weights)))

    @classmethod
    def from_weights(cls, source: str | os.PathLike) -> "PoseEstimator":
        """Earlier name of `PoseEstimator(source)`."""
        return cls(source)

    @property
    def model(self) -> keras.Model:
        """The Keras model, from crops to heatmaps."""
        return self.network.model

    @property
    def recipe(self) -> PoseRecipe:
        """Input size, convention, decoder and flip test."""
        return self.network.recipe

    @property
    def schema(self) -> KeypointSchema:
        """The keypoints' names, pairs and edges."""
        return self.network.schema

    def predict(
        self, image: np.ndarray | str | os.PathLike, boxes_xyxy: npt.ArrayLike | None = None
    ) -> PosePrediction:
        """The keypoints of one picture.

        Args:
            image: RGB uint8 (H, W, 3), or a path (EXIF orientation is applied).
            boxes_xyxy: (N, 4) persons in image pixels; default: one person, the whole picture.

        Raises:
            InputError: the picture cannot be used, or a box is empty or not finite.
        """
        image = upright_image(image)
        if boxes_xyxy is None:
            boxes_xyxy = np.array([[0, 0, image.shape[1], image.shape[0]]])
        boxes_xyxy = boxes.checked(boxes_xyxy)
        crops, crop_to_image = self.cut(image, boxes_xyxy)
        keypoints = to_image(self.predict_crops(crops), crop_to_image).astype(np.float32)
        return PosePrediction(keypoints, keypoints[..., 2].mean(axis=1), boxes_xyxy)

    def cut(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Crops persons out of a picture (H, W, 3) uint8; boxes (N, 4) are in image pixels.

        Returns:
            Crops (N, h, w, 3) uint8, and affine maps (N, 2, 3) from crop to image pixels.
        """
        return cut_persons(image, boxes_xyxy, self.recipe.input_size_wh, self.recipe.convention)

    def predict_crops(self, crops: np.ndarray) -> np.ndarray:
        """Keypoints (B, K, 3) of crops (B, H, W, 3) uint8: x, y in crop pixels, score."""
        if len(crops) == 0:  # TensorFlow's convolutions on a CPU refuse an empty batch
            return np.zeros((0, self.schema.num_keypoints, 3), np.float32)
        return self._predict(crops).numpy()

    def predict_batches(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sample ids (N,) and keypoints (N, K, 3), in image pixels, of evaluation batches."""
        return self._over(batches, self._predict, self.schema.num_keypoints)

    def predict_stacks(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `predict_batches`, for every stack of an hourglass, without the flip test.

        Returns:
            Sample ids (N,) and keypoints (N, S, K, 3).
        """
        stacks, num_keypoints = self.recipe.num_stacks, self.schema.num_keypoints
        ids, keypoints = self._over(batches, self._predict_stacks, stacks * num_keypoints)
        return ids, keypoints.reshape(-1, stacks, num_keypoints, 3)

    def _over(
        self,
        batches: Iterable[dict[str, tf.Tensor]],
        predict: tf.types.experimental.Callable,
        num_points: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        ids, points = [np.zeros(0, np.int64)], [np.zeros((0, num_points, 3), np.float32)]
        for batch in batches:
            real = batch["sample_id"].numpy() >= 0
            in_crop = predict(batch["image"]).numpy()
            image_to_crop = batch["image_to_crop"].numpy().astype(np.float64)
            in_image = to_image(in_crop, affine.invert(image_to_crop)).astype(np.float32)
            ids.append(batch["sample_id"].numpy()[real])
            points.append(in_image[real])
        return np.concatenate(ids), np.concatenate(points)

    def _crops_to_keypoints(self, crops: tf.Tensor) -> tf.Tensor:
        return heatmaps_to_crop(crops_to_heatmaps(self.network, crops), self.recipe)

    def _crops_to_stacks(self, crops: tf.Tensor) -> tf.Tensor:
        return stacks_to_crop(self.network, crops)
