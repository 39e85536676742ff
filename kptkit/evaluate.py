"""A pose estimator judged by the COCO protocol on boxes of ground truth or of a detector."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kptkit.data.ledger import SkipLedger
from kptkit.data.pose_pipeline import Source, evaluation_batches
from kptkit.metrics import oks
from kptkit.pose import PoseEstimator


@dataclass(frozen=True)
class PoseEvaluation:
    """What the judges say, and what they said it of."""

    metrics: dict[str, float]
    """AP, AP50, AP75, APM, APL, AR and so on, by pycocotools."""
    sample_ids: np.ndarray
    keypoints: np.ndarray
    """(N, K, 3) x, y in image pixels and score, one person for each sample."""
    results: list[dict[str, Any]]
    """COCO results, rescored and, if asked for, thinned by OKS-NMS."""


def evaluate_pose(
    estimator: PoseEstimator,
    source: Source,
    truth: dict[str, Any],
    batch_size: int = 32,
    oks_nms_threshold: float | None = None,
) -> PoseEvaluation:
    """Predicts every person of `source` and scores the predictions against `truth`.

    Args:
        truth: a COCO dictionary of all images of `source`.
        oks_nms_threshold: for detected boxes, the similarity above which the lower-scored of two
            persons goes (the papers' 0.9); none keeps all, as is usual with ground-truth boxes.

    Raises:
        InputError: too many images cannot be read, or a prediction is not finite.
    """
    recipe = estimator.recipe
    ledger = SkipLedger(len(source.samples))
    batches = evaluation_batches(
        source,
        size_wh=recipe.input_size_wh,
        batch_size=batch_size,
        convention=recipe.convention,
        ledger=ledger,
    )
    sample_ids, keypoints = estimator.predict_batches(batches)
    ledger.check()
    samples = source.samples
    image_ids = samples.image_ids[samples.image_index]
    scores = oks.rescore(keypoints, samples.box_scores)
    kept = np.arange(len(keypoints))
    if oks_nms_threshold is not None:
        kept = oks.nms_per_image(
            image_ids, keypoints, scores, samples.boxes_xyxy, samples.schema, oks_nms_threshold
        )
    category = truth["categories"][0]["id"]
    results = oks.coco_results(image_ids[kept], category, keypoints[kept], scores[kept])
    metrics = oks.evaluate_oks(truth, results, samples.schema.oks_sigmas)
    return PoseEvaluation(metrics, sample_ids, keypoints, results)
