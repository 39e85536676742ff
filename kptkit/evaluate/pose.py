"""Evaluates pose estimators by the data set's protocol: AP, PCKh, PCK or NME of landmarks."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kptkit.data.batches.pose import clear_errors, pose_evaluation_batches
from kptkit.data.records.sources import SampleSource
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.geometry import affine
from kptkit.metrics import oks, protocols
from kptkit.pose.estimator import PoseEstimator
from kptkit.samples import KeypointSamples

# The papers' limit of similarity, in OKS-NMS.
OKS_NMS_THRESHOLD = 0.9


@dataclass(frozen=True)
class PoseEvaluation:
    """Metrics, with the samples and predictions they were computed from."""

    metrics: dict[str, float]
    """The numbers of the samples' protocol; for `oks` AP, AP50, AP75, APM, APL, AR and so on, by
    pycocotools, and PCK@0.2 where the schema has a torso."""
    samples: KeypointSamples
    """The N persons that were evaluated: those whose picture could be read."""
    keypoints: np.ndarray
    """(N, K, 3) x, y in image pixels and score, one person for each sample."""
    results: list[dict[str, Any]]
    """COCO results, rescored and, if asked for, thinned by OKS-NMS."""


def evaluate_pose(
    estimator: PoseEstimator,
    source: SampleSource,
    truth: dict[str, Any],
    batch_size: int = 32,
    oks_nms_threshold: float | None = None,
) -> PoseEvaluation:
    """Predicts every person of `source` and evaluates by the protocol of its samples.

    Args:
        truth: a COCO dictionary of all images of `source`; of other protocols than `oks` only the
            category is used, if there is one.
        oks_nms_threshold: the similarity above which the lower-scored of two persons of a picture
            is removed (the papers' 0.9); None keeps all.

    Raises:
        InputError: too many images cannot be read, a prediction is not finite, or the samples lack
            the reference lengths of their protocol.
    """
    if oks_nms_threshold is not None and not 0 < oks_nms_threshold <= 1:
        raise InputError(f"OKS-NMS: {oks_nms_threshold}; expected a similarity above 0, at most 1")
    recipe = estimator.recipe
    skipped = SkippedPictures(len(source.samples))
    batches = pose_evaluation_batches(
        source,
        size_wh=recipe.input_size_wh,
        batch_size=batch_size,
        convention=recipe.convention,
        skipped=skipped,
    )
    with clear_errors(skipped):
        sample_ids, keypoints = estimator.predict_batches(batches)
    # Persons whose picture could not be read are missing from the predictions.
    samples = source.samples.select(np.flatnonzero(np.isin(source.samples.sample_ids, sample_ids)))
    image_ids = samples.image_ids[samples.image_index]
    scores = oks.rescore(keypoints, samples.box_scores)
    kept = np.arange(len(samples))
    if oks_nms_threshold is not None:
        areas = person_areas(samples.boxes_xyxy, recipe.input_size_wh)
        kept = _without_copies(samples, keypoints, scores, areas, oks_nms_threshold)
    category = truth["categories"][0]["id"] if truth else 1
    results = oks.coco_results(image_ids[kept], category, keypoints[kept], scores[kept])
    metrics = protocols.judge(samples, keypoints)
    if samples.protocol == "oks":
        metrics = oks.evaluate_oks(truth, results, samples.schema.oks_sigmas) | metrics
    return PoseEvaluation(metrics, samples, keypoints, results)


def person_areas(boxes_xyxy: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """The areas (N,) in square pixels by which OKS-NMS compares persons in boxes (N, 4).

    As in the code of HRNet's authors (lib/core/function.py), they are those of the windows that are
    cropped: the boxes, brought to the crop's aspect ratio and padded.

    Args:
        size_wh: width and height of the crops in pixels.
    """
    _, window_wh = affine.crop_window(np.asarray(boxes_xyxy, np.float64), size_wh)
    return window_wh.prod(axis=-1)


def _without_copies(
    samples: KeypointSamples,
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    threshold: float,
) -> np.ndarray:
    """Indices of the predictions that OKS-NMS keeps, per image, in their order."""
    kept = [np.zeros(0, np.int64)]
    for image in np.unique(samples.image_index):
        own = np.flatnonzero(samples.image_index == image)
        chosen = oks.oks_nms(
            keypoints[own], scores[own], areas[own], samples.schema.oks_sigmas, threshold
        )
        kept.append(own[chosen])
    return np.sort(np.concatenate(kept))


def evaluate_stacks(
    estimator: PoseEstimator, source: SampleSource, batch_size: int = 32
) -> dict[str, float]:
    """PCK@0.2 of every stack of an hourglass, without the flip test.

    Raises:
        InputError: too many images cannot be read.
    """
    batches = pose_evaluation_batches(
        source,
        size_wh=estimator.recipe.input_size_wh,
        batch_size=batch_size,
        convention=estimator.recipe.convention,
        skipped=SkippedPictures(len(source.samples)),
    )
    ids, keypoints = estimator.predict_stacks(batches)
    judged = source.samples.select(np.flatnonzero(np.isin(source.samples.sample_ids, ids)))
    return {
        f"PCK@0.2 of stack {stack + 1}": protocols.pck_of(judged, keypoints[:, stack])
        for stack in range(keypoints.shape[1])
    }
