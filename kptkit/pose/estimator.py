"""From pictures and boxes to keypoints: the one path of evaluation, prediction and export."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kptkit.geometry import affine, boxes
from kptkit.images.codec import upright_image
from kptkit.network import build_model, crops_to_heatmaps, heatmaps_to_crop, stacks_to_crop
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import load_run
from kptkit.skeletons.schema import KeypointSchema
from kptkit.weights.assign import load, load_weights


@dataclass(frozen=True)
class PosePrediction:
    """The persons of one picture."""

    keypoints: np.ndarray
    """(N, K, 3) float32: x and y in image pixels, and the peak of the heatmap as a score."""
    scores: np.ndarray
    """(N,) float32: the mean score of a person's keypoints."""
    boxes_xyxy: np.ndarray
    """(N, 4) float32 in image pixels: the boxes that were looked at."""


class PoseEstimator:
    """A trained pose network with its geometry: boxes to crops, crops to keypoints, and back.

    Args:
        model: crops to heatmaps, as `recipe` describes it.
        recipe: input size, convention, decoder and flip test.
        schema: the keypoints' names, pairs and edges.
    """

    def __init__(self, model: keras.Model, recipe: PoseRecipe, schema: KeypointSchema):
        self.model, self.recipe, self.schema = model, recipe, schema
        width, height = recipe.input_size_wh
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
        """The estimator of a run folder; it needs nothing else.

        Raises:
            InputError: the folder or its weights are missing or damaged.
        """
        run = load_run(folder)
        model = build_model(run.recipe, run.schema.num_keypoints)
        load_weights(model, Path(folder) / weights)
        return cls(model, run.recipe, run.schema)

    @classmethod
    def from_weights(cls, source: str | os.PathLike) -> "PoseEstimator":
        """The estimator of a known name, such as ``coco-w32-256x192``, or of converted weights.

        Raises:
            InputError: as `kptkit.weights.load`.
        """
        loaded = load(source)
        return cls(loaded.model, loaded.recipe, loaded.schema)

    def predict(
        self, image: np.ndarray | str | os.PathLike, boxes_xyxy: np.ndarray | None = None
    ) -> PosePrediction:
        """The keypoints of one picture.

        Args:
            image: RGB uint8 (H, W, 3), or a path (EXIF orientation is applied).
            boxes_xyxy: (N, 4) persons in image pixels; none: one person, the whole picture.

        Raises:
            InputError: the picture cannot be used, or a box is empty or not finite.
        """
        image = upright_image(image)
        if boxes_xyxy is None:
            boxes_xyxy = np.array([[0, 0, image.shape[1], image.shape[0]]])
        boxes_xyxy = boxes.checked(boxes_xyxy)
        crops, matrices = self.cut(image, boxes_xyxy)
        keypoints = self._in_image(self.predict_crops(crops), matrices)
        return PosePrediction(keypoints, keypoints[..., 2].mean(axis=1), boxes_xyxy)

    def cut(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees of persons (N, 4) in image pixels of a picture (H, W, 3) uint8.

        Returns:
            Crops (N, h, w, 3) uint8, and the maps (N, 2, 3) from image to crop pixels.
        """
        size_wh = self.recipe.input_size_wh
        centre_xy, window_wh = affine.crop_window(boxes_xyxy, size_wh)
        matrices = affine.crop_matrix(
            centre_xy, window_wh, size_wh, convention=self.recipe.convention
        )
        crops = [affine.warp(image, matrix, size_wh) for matrix in matrices]
        return np.array(crops, np.uint8).reshape(-1, size_wh[1], size_wh[0], 3), matrices

    def predict_crops(self, crops: np.ndarray) -> np.ndarray:
        """Keypoints (B, K, 3) in crop pixels, with scores, of crops (B, H, W, 3) uint8."""
        if len(crops) == 0:  # TensorFlow's convolutions on a CPU refuse an empty batch
            return np.zeros((0, self.schema.num_keypoints, 3), np.float32)
        return self._predict(crops).numpy()

    def predict_batches(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sample ids (N,) and keypoints (N, K, 3) in image pixels of evaluation batches."""
        return self._over(batches, self._predict, self.schema.num_keypoints)

    def predict_stacks(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `predict_batches`, of every stack of an hourglass, without the flip test.

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
            in_image = self._in_image(in_crop, batch["image_to_crop"].numpy())
            ids.append(batch["sample_id"].numpy()[real])
            points.append(in_image[real])
        return np.concatenate(ids), np.concatenate(points)

    def _crops_to_keypoints(self, crops: tf.Tensor) -> tf.Tensor:
        heatmaps = crops_to_heatmaps(self.model, crops, self.recipe, self.schema)
        return heatmaps_to_crop(heatmaps, self.recipe)

    def _crops_to_stacks(self, crops: tf.Tensor) -> tf.Tensor:
        return stacks_to_crop(self.model, crops, self.recipe)

    def _in_image(self, keypoints: np.ndarray, image_to_crop: np.ndarray) -> np.ndarray:
        back = affine.invert(image_to_crop.astype(np.float64))
        points = affine.transform_points(back, keypoints[..., :2])
        return np.concatenate([points, keypoints[..., 2:]], axis=-1).astype(np.float32)
