"""A network of the cascade judged on crops: is it a face, where is its box, where its landmarks."""

import numpy as np

from kptkit.metrics.nme import inter_ocular, mean_error, nme

# Recall is told where this share of what is taken for a face is one.
PRECISION = 0.97


def recall_at_precision(scores: np.ndarray, is_face: np.ndarray, precision: float) -> float:
    """The largest share of faces found by a threshold that keeps a precision; 0 if none does.

    Precision depends on how many faces there are: numbers of different sets do not compare.

    Args:
        scores: (N,), larger for faces.
        is_face: (N,) bool.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    found = np.cumsum(is_face[order])
    kept = found / np.arange(1, len(order) + 1) >= precision
    # Crops of equal scores are on one side of every threshold.
    kept &= np.append(ordered[1:] != ordered[:-1], True)[: len(order)]
    return float(found[kept].max(initial=0) / max(1, is_face.sum()))


def crop_metrics(true: dict[str, np.ndarray], predicted: dict[str, np.ndarray]) -> dict[str, float]:
    """What a network says of N crops against the truth; NaN where no crop can tell.

    Args:
        true: a batch of `kptkit.data.batches.face`, as arrays of any length.
        predicted: `logits` (N, 2), `box` (N, 4) and, unless the network finds none, `landmark`
            (N, 10).

    Returns:
        accuracy: the share of positives and negatives that are told apart; accuracy_faces and
        accuracy_others: of each alone; recall_97: recall at a precision of 0.97; box_error: how far
        edges are off on average, in sides of the window; landmark_error: how far landmarks are off
        on average, in distances between the eyes.
    """
    judged = true["class_valid"]
    margin = (predicted["logits"][:, 1] - predicted["logits"][:, 0])[judged]
    is_face = true["is_face"][judged] > 0.5
    right = (margin > 0) == is_face
    shown = true["box_valid"]
    metrics = {
        "accuracy": _mean(right),
        "accuracy_faces": _mean(right[is_face]),
        "accuracy_others": _mean(right[~is_face]),
        "recall_97": recall_at_precision(margin, is_face, PRECISION),
        "box_error": _mean(np.abs(predicted["box"] - true["box"])[shown]),
    }
    if "landmark" in predicted:
        marked = true["landmark_valid"]
        points, expected = (x["landmark"][marked].reshape(-1, 5, 2) for x in (predicted, true))
        errors = nme(points, expected, inter_ocular(expected))
        metrics["landmark_error"] = mean_error(errors, np.arange(len(errors)))
    return metrics


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
