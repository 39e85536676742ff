"""The score of a perfect network: true keypoints through crop, encoding, decoding, evaluation.

    python benchmarks/roundtrip.py --data $KPTKIT_DATA/coco

takes half a minute on 2 cores and uses no network. Heatmaps are the training targets of the true
keypoints, so any loss below AP 1 comes from the crop, the heatmap grid and the decoder. Required:
AP of at least 0.99 on val for unbiased targets decoded by DARK.
"""

from kptkit import flags, quiet
from kptkit.conventions import Convention

quiet.import_tensorflow()

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kptkit import files
from kptkit.data.formats.coco import load_coco
from kptkit.data.pose_sets import PoseSet
from kptkit.data.records.sources import ImageSource
from kptkit.data.to_samples import keypoint_samples
from kptkit.encode import encode
from kptkit.evaluate.pose import PoseEvaluation, evaluate_pose
from kptkit.geometry import affine
from kptkit.metrics import oks
from kptkit.models.sizes import STRIDE
from kptkit.network import PoseNetwork, heatmaps_to_crop
from kptkit.pose.crops import to_image
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import RECIPES, PoseRecipe
from kptkit.skeletons.schema import KeypointSchema

SPLITS = ("val", "train")
SIZES_WH = ((192, 256), (288, 384))
CONVENTIONS: tuple[Convention, ...] = ("official", "udp", "darkpose")
# The first one is used for the list of persons.
CODECS = (("unbiased", "dark"), ("msra", "quarter"))
COLUMNS = ("AP", "AP50", "AP75", "APM", "APL", "AR")


@dataclass(frozen=True)
class Config:
    """Which data to use."""

    data: Path
    """Folder with annotations/person_keypoints_{val,train}.json and images."""
    worst: int = 5
    """Number of persons with the largest loss to list."""
    out: Path | None = None
    """JSON file for the numbers; default: none is written."""


class Oracle(PoseEstimator):
    """An estimator that predicts its training targets exactly."""

    def __init__(self, recipe: PoseRecipe, schema: KeypointSchema):
        super().__init__(PoseNetwork(keras.Sequential(), recipe, schema))

    def predict_batches(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `PoseEstimator.predict_batches`, from the keypoints instead of the pixels."""
        recipe, ids, keypoints = self.recipe, [], []
        sizes = recipe.input_size_wh, recipe.heatmap_wh
        factor, shift = affine.crop_to_heatmap(*sizes, recipe.convention)
        for batch in batches:
            real = batch["sample_id"].numpy() >= 0
            in_heatmap = batch["keypoints"] * tf.constant([*factor, 1.0])
            in_heatmap += tf.constant([*shift, 0.0])
            heatmaps, _ = encode(in_heatmap, recipe.heatmap_wh, recipe.heatmap_sigma, recipe.target)
            in_crop = ops.convert_to_numpy(heatmaps_to_crop(heatmaps, recipe))
            ids.append(batch["sample_id"].numpy()[real])
            crop_to_image = affine.invert(batch["image_to_crop"].numpy().astype(np.float64))
            keypoints.append(to_image(in_crop, crop_to_image).astype(np.float32)[real])
        return np.concatenate(ids), np.concatenate(keypoints)


def main(config: Config) -> None:
    """Prints one row per pair of encoding and decoding."""
    metrics = {}
    for split in SPLITS:
        persons = load_split(config.data, split)
        names = []
        for size_wh, convention, codec in itertools.product(SIZES_WH, CONVENTIONS, CODECS):
            target, decoder = codec
            recipe = replace(
                RECIPES["w32-256x192"],
                input_size_wh=size_wh,
                convention=convention,
                target=target,
                decoder=decoder,
            )
            oracle = Oracle(recipe, persons.source.samples.schema)
            evaluation = evaluate_pose(oracle, persons.source, persons.truth)
            if not names:
                print_worst(evaluation, persons, recipe, config.worst)
            names.append(f"{split} {size_wh[1]}x{size_wh[0]} {convention} {target}+{decoder}")
            metrics[names[-1]] = evaluation.metrics
        print(f"\n{'':36}" + "".join(f"{column:>8}" for column in COLUMNS))
        for name in names:
            print(f"{name:36}" + "".join(f"{metrics[name][column]:8.4f}" for column in COLUMNS))
        print()
    if config.out:
        files.write_json(config.out, metrics)


def load_split(folder: Path, split: str) -> PoseSet:
    """The persons of one annotation file, with their ground truth."""
    coco = load_coco(folder / f"annotations/person_keypoints_{split}.json")
    return PoseSet(ImageSource(keypoint_samples(coco, folder / "images")), coco.annotations)


def print_worst(
    evaluation: PoseEvaluation, persons: PoseSet, recipe: PoseRecipe, count: int
) -> None:
    """Prints the losses of crop and decoder, and the persons with the largest loss."""
    samples = evaluation.samples
    size_wh = recipe.input_size_wh
    centre_xy, window_wh = affine.crop_window(samples.boxes_xyxy, size_wh)
    matrices = affine.crop_matrix(centre_xy, window_wh, size_wh, convention=recipe.convention)
    in_crop = affine.transform_points(matrices, samples.keypoints[..., :2])
    labelled = samples.keypoints[..., 2] > 0
    # A heatmap ends half a pixel beyond its first and last pixel centres.
    half = STRIDE / 2
    inside = ((in_crop >= -half) & (in_crop < np.array(size_wh) - half)).all(axis=-1)
    distance = np.linalg.norm(evaluation.keypoints[..., :2] - samples.keypoints[..., :2], axis=-1)
    distance = distance * (recipe.heatmap_wh[0] / window_wh[:, :1])
    outside = (labelled & ~inside).sum(axis=1)
    print(
        f"{outside.sum()} of {labelled.sum()} keypoints lie outside their person's crop; "
        f"the others come back to {distance[labelled & inside].mean():.4f} heatmap px in the mean"
    )
    areas = {a["id"]: a["area"] for a in persons.truth["annotations"]}
    own_areas = np.array([areas[number] for number in samples.sample_ids.tolist()])
    sigmas = samples.schema.oks_sigmas
    similarity = oks.oks(evaluation.keypoints, samples.keypoints, own_areas, sigmas)
    for index in np.argsort(similarity)[:count]:
        width, height = samples.boxes_xyxy[index, 2:] - samples.boxes_xyxy[index, :2]
        print(
            f"person {samples.sample_ids[index]}: OKS {similarity[index]:.3f}, box "
            f"{width:.0f}x{height:.0f} px, {outside[index]} of {labelled[index].sum()} keypoints "
            "outside the crop"
        )


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
