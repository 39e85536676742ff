"""Draws the predictions of pose networks."""

import numpy as np

from kptkit.data.batches.pose import pose_evaluation_batches
from kptkit.data.records.sources import ImageSource
from kptkit.data.skipped import SkippedPictures
from kptkit.images import drawing
from kptkit.images.codec import read_image
from kptkit.network import crops_to_heatmaps, heatmaps_to_crop
from kptkit.pose.estimator import PoseEstimator
from kptkit.samples import KeypointSamples

# How many persons a sheet shows.
SHEET_PERSONS = 8


def draw_pose_predictions(samples: KeypointSamples, keypoints: np.ndarray) -> np.ndarray:
    """A contact sheet (H, W, 3) uint8 of the first twelve pictures with their predictions.

    Args:
        keypoints: (N, K, 3), one row for each of the N samples: x, y in image pixels, score.
    """
    shown = np.unique(samples.image_index)[:12]
    pictures = [
        drawing.draw_skeleton(
            read_image(samples.image_paths[index], samples.orientation),
            keypoints[samples.image_index == index],
            samples.schema,
        )
        for index in shown
    ]
    return drawing.contact_sheet(pictures, columns=4, cell_wh=(320, 240))


class PredictionSheet:
    """Truth, prediction and heatmap of a few fixed persons, redrawn during training.

    Args:
        samples: the persons; at most `SHEET_PERSONS` of them, evenly chosen, are shown.
    """

    def __init__(self, estimator: PoseEstimator, samples: KeypointSamples):
        self.estimator = estimator
        chosen = np.linspace(0, len(samples) - 1, min(SHEET_PERSONS, len(samples))).astype(int)
        recipe = estimator.recipe
        batches = pose_evaluation_batches(
            ImageSource(samples.select(chosen)),
            size_wh=recipe.input_size_wh,
            batch_size=len(chosen),
            convention=recipe.convention,
            skipped=SkippedPictures(len(chosen)),
        )
        self.batch = next(iter(batches.as_numpy_iterator()))

    def draw(self) -> np.ndarray:
        """The sheet (H, W, 3) uint8 with the current predictions."""
        estimator = self.estimator
        heatmaps = crops_to_heatmaps(estimator.network, self.batch["image"])
        keypoints = heatmaps_to_crop(heatmaps, estimator.recipe)
        return drawing.training_sheet(
            self.batch["image"],
            self.batch["keypoints"],
            np.asarray(keypoints),
            np.asarray(heatmaps),
            estimator.schema,
        )
