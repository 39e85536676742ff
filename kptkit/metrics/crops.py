"""Metrics of a single P-, R- or O-Net on crops: classification, boxes and landmarks."""

import numpy as np

from kptkit.metrics.distances import mean_or_nan
from kptkit.metrics.nme import inter_ocular, mean_error, nme

# The precision at which recall is reported.
PRECISION = 0.97


def recall_at_precision(scores: np.ndarray, is_face: np.ndarray, precision: float) -> float:
    """The highest recall of any score threshold that reaches a precision; 0 if none does.

    Precision depends on the share of faces, so data sets cannot be compared by it.

    Args:
        scores: (N,), higher for faces.
        is_face: (N,) bool.
        precision: 0 to 1.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    found = np.cumsum(is_face[order])
    kept = found / np.arange(1, len(order) + 1) >= precision
    # No threshold separates crops of equal scores.
    kept &= np.append(ordered[1:] != ordered[:-1], True)[: len(order)]
    return float(found[kept].max(initial=0) / max(1, is_face.sum()))


def crop_metrics(true: dict[str, np.ndarray], predicted: dict[str, np.ndarray]) -> dict[str, float]:
    """The metrics of N crops; NaN where no crop has the label that a metric needs.

    Args:
        true: a batch of `kptkit.data.batches.face`, as arrays of N rows.
        predicted: `logits` (N, 2), `box` (N, 4) and, if the network has landmarks, `landmark`
            (N, 10).

    Returns:
        accuracy: the share of positives and negatives that are classified correctly;
        accuracy_faces, accuracy_others: of positives alone and of negatives alone;
        recall_97: recall at a precision of 0.97;
        box_error: mean absolute error of the box edges, in sides of the window;
        landmark_error: mean distance of the landmarks, in distances between the eyes.
    """
    judged = true["class_valid"]
    margin = (predicted["logits"][:, 1] - predicted["logits"][:, 0])[judged]
    is_face = true["is_face"][judged] > 0.5
    correct = (margin > 0) == is_face
    has_box = true["box_valid"]
    metrics = {
        "accuracy": mean_or_nan(correct),
        "accuracy_faces": mean_or_nan(correct[is_face]),
        "accuracy_others": mean_or_nan(correct[~is_face]),
        "recall_97": recall_at_precision(margin, is_face, PRECISION),
        "box_error": mean_or_nan(np.abs(predicted["box"] - true["box"])[has_box]),
    }
    if "landmark" in predicted:
        has_points = true["landmark_valid"]
        points, expected = (x["landmark"][has_points].reshape(-1, 5, 2) for x in (predicted, true))
        errors = nme(points, expected, inter_ocular(expected))
        metrics["landmark_error"] = mean_error(errors, np.arange(len(errors)))
    return metrics
