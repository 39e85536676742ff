"""The COCO keypoint protocol: object keypoint similarity (OKS), rescoring, suppression, AP and AR.

The judge is pycocotools; what surrounds it here keeps it from judging wrongly: left to itself it
gives predictions of NaN an AP of 1, loses persons whose annotation id is 0, stops at an empty list
and takes every skeleton for COCO's 17 keypoints.

Keypoints are (N, K, 3): x, y in image pixels, then a score (predictions) or COCO's visibility
0, 1, 2 (truth). Areas are those of the annotations, in square pixels.
"""

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kptkit.errors import InputError
from kptkit.metrics import tables

METRIC_NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def keypoint_similarity(
    predicted: np.ndarray, true: np.ndarray, areas: np.ndarray, oks_sigmas: Sequence[float]
) -> np.ndarray:
    """How near each keypoint is to the truth: exp(-distance² / (2 area (2 sigma)²)), 1 to 0.

    Args:
        predicted: (..., K, 2 or 3).
        true: (..., K, 2 or 3).
        areas: (...).

    Returns:
        (..., K).

    Raises:
        InputError: a prediction is not finite, or there are not K sigmas.
    """
    predicted = np.asarray(predicted, np.float64)[..., :2]
    if predicted.shape[-2] != len(oks_sigmas):
        raise InputError(
            f"oks_sigmas: {len(oks_sigmas)} for {predicted.shape[-2]} keypoints; expected one each"
        )
    if not np.isfinite(predicted).all():
        raise InputError("predicted keypoints: NaN or infinity; expected finite pixels")
    squared_distance = np.sum((predicted - np.asarray(true)[..., :2]) ** 2, axis=-1)
    variance = (2 * np.asarray(oks_sigmas)) ** 2
    # The tiny addition keeps empty areas from dividing by zero; it is pycocotools' own.
    area = np.asarray(areas)[..., None] + np.spacing(1)
    return np.exp(-squared_distance / variance / area / 2)


def oks(
    predicted: np.ndarray, true: np.ndarray, areas: np.ndarray, oks_sigmas: Sequence[float]
) -> np.ndarray:
    """The mean similarity of a person's labelled keypoints, as pycocotools computes it.

    A person without labelled keypoints gives NaN. (pycocotools compares those with their doubled
    box, only to leave detections on them uncounted; `evaluate_oks` does so too.)

    Args:
        predicted: (..., K, 2 or 3).
        true: (..., K, 3): x, y, visibility.
        areas: (...).

    Returns:
        (...).
    """
    labelled = np.asarray(true)[..., 2] > 0
    similarity = keypoint_similarity(predicted, true, areas, oks_sigmas)
    count = labelled.sum(axis=-1)
    total = np.sum(similarity, axis=-1, where=labelled)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def rescore(keypoints: np.ndarray, box_scores: np.ndarray, threshold: float = 0.2) -> np.ndarray:
    """The official score of a person: that of its box times the mean of its keypoint scores.

    Args:
        keypoints: (N, K, 3).
        box_scores: (N,).
        threshold: only keypoint scores above it enter the mean; without any the score is 0.

    Returns:
        (N,).
    """
    scores = np.asarray(keypoints)[..., 2]
    counted = scores > threshold
    mean = np.sum(scores, axis=1, where=counted) / np.maximum(counted.sum(axis=1), 1)
    return mean * box_scores


def oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    oks_sigmas: Sequence[float],
    threshold: float = 0.9,
) -> np.ndarray:
    """Which persons of one image stay when near copies of better ones are dropped.

    Args:
        keypoints: (N, K, 3).
        scores: (N,).
        areas: (N,); the official code takes those of the padded windows that were cropped.
        threshold: a person more similar than this to a better one is dropped.

    Returns:
        Indices (M,) of the kept, best first.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    kept = []
    while order.size:
        best, others = order[0], order[1:]
        kept.append(best)
        order = others[_overlap(keypoints, areas, best, others, oks_sigmas) <= threshold]
    return np.array(kept, dtype=np.int64)


def soft_oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    oks_sigmas: Sequence[float],
    threshold: float = 0.9,
    max_persons: int = 20,
) -> np.ndarray:
    """As `oks_nms`, but copies sink in rank by exp(-overlap² / threshold); the first 20 stay."""
    scores = np.array(scores, dtype=np.float64)
    others = np.arange(len(scores))
    kept = []
    while others.size and len(kept) < max_persons:
        best = others[np.argmax(scores[others])]
        kept.append(best)
        others = others[others != best]
        overlap = _overlap(keypoints, areas, best, others, oks_sigmas)
        scores[others] *= np.exp(-(overlap**2) / threshold)
    return np.array(kept, dtype=np.int64)


def coco_results(
    image_ids: Iterable[int], category_id: int, keypoints: np.ndarray, scores: np.ndarray
) -> list[dict[str, Any]]:
    """Predictions as COCO's results, ready for JSON.

    They hold no `bbox`: with one, pycocotools would size a person by it instead of by the
    keypoints, which changes APM and APL.

    Args:
        image_ids: N of them, one for each person.
        keypoints: (N, K, 3).
        scores: (N,), one for each person.

    Raises:
        InputError: a number is not finite; the message names the image id.
    """
    results = []
    for image_id, person, score in zip(image_ids, keypoints, scores, strict=True):
        if not (np.isfinite(person).all() and np.isfinite(score)):
            raise InputError(
                f"results: keypoints (image id {image_id}): NaN or infinity; expected finite "
                "numbers; look for NaN in the weights or the picture"
            )
        numbers = np.asarray(person, np.float64).ravel().tolist()
        results.append(
            {
                "image_id": int(image_id),
                "category_id": int(category_id),
                "keypoints": numbers,
                "score": float(score),
            }
        )
    return results


def evaluate_oks(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], oks_sigmas: Sequence[float]
) -> dict[str, float]:
    """AP and AR of COCO's keypoint challenge, exactly as pycocotools computes them.

    Args:
        ground_truth: a COCO dictionary in which every annotation has its area, iscrowd and
            num_keypoints, as `kptkit.data.formats.coco` reads it. It is not changed.
        results: what `coco_results` gives; other keys than its four are not looked at.
        oks_sigmas: K of them, one for each keypoint.

    Returns:
        The ten numbers of `METRIC_NAMES`. A number about no labelled person at all, such as APM
        where nobody is of medium size, is NaN (pycocotools: -1). No results give 0.

    Raises:
        InputError: keypoints are not K or not finite, or a result names an unknown image or
            category.
    """
    # pycocotools takes id 0 for "unmatched" and writes into what it is given: so new ids, copies.
    annotations = [
        {**annotation, "id": number, "keypoints": _keypoints(annotation, oks_sigmas, "annotation")}
        for number, annotation in enumerate(ground_truth["annotations"], start=1)
    ]
    known = {
        "image_id": {image["id"] for image in ground_truth["images"]},
        "category_id": {category["id"] for category in ground_truth["categories"]},
    }
    detections = [_detection(result, known, oks_sigmas) for result in results]
    stats = _pycocotools_stats({**ground_truth, "annotations": annotations}, detections, oks_sigmas)
    return {
        name: float(value) if value > -1 else float("nan")
        for name, value in zip(METRIC_NAMES, stats, strict=True)
    }


def per_keypoint(
    predicted: np.ndarray, true: np.ndarray, areas: np.ndarray, oks_sigmas: Sequence[float]
) -> dict[str, np.ndarray]:
    """How well each keypoint is found on persons whose boxes were given.

    Args:
        predicted: (N, K, 3), row by row the persons of `true`.
        true: (N, K, 3).
        areas: (N,).

    Returns:
        Arrays (K,) over the persons that have the keypoint labelled, NaN where there is none:
        ``labelled`` their count, ``distance`` the mean distance to the truth in units of the
        square root of the area, ``similar`` the share with a keypoint similarity above 0.5,
        ``score`` the mean score.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    areas = np.asarray(areas, np.float64)
    similarity = keypoint_similarity(predicted, true, areas, oks_sigmas)
    distance = np.linalg.norm(predicted[..., :2] - true[..., :2], axis=-1)
    distance /= np.sqrt(areas + np.spacing(1))[:, None]
    labelled = true[..., 2] > 0
    count = labelled.sum(axis=0)

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.sum(values, axis=0, where=labelled, dtype=np.float64)
        return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)

    return {
        "labelled": count,
        "distance": mean(distance),
        "similar": mean(similarity > 0.5),
        "score": mean(predicted[..., 2]),
    }


def per_keypoint_table(names: Sequence[str], statistics: dict[str, np.ndarray]) -> str:
    """What `per_keypoint` gives as a Markdown table, with a row for all keypoints together."""
    rows = [["keypoint", "labelled", "distance / sqrt(area)", "similarity > 0.5", "score"]]
    count = statistics["labelled"]
    columns = [statistics[key] for key in ("distance", "similar", "score")]
    for index, name in enumerate(names):
        numbers = [tables.decimals(column[index]) for column in columns]
        rows.append([name, str(count[index]), *numbers])
    total = int(count.sum())
    means = [np.nansum(column * count) / total if total else np.nan for column in columns]
    rows.append(["all", str(total), *(tables.decimals(mean) for mean in means)])
    return tables.markdown(rows)


def _overlap(
    keypoints: np.ndarray,
    areas: np.ndarray,
    best: int,
    others: np.ndarray,
    oks_sigmas: Sequence[float],
) -> np.ndarray:
    """The similarity (M,) of one person to others, over all keypoints and the mean of two areas."""
    area = (areas[best] + areas[others]) / 2
    return keypoint_similarity(keypoints[others], keypoints[best], area, oks_sigmas).mean(axis=-1)


def _keypoints(entry: dict[str, Any], oks_sigmas: Sequence[float], kind: str) -> np.ndarray:
    """The checked keypoints (3 K,) of an annotation or a result."""
    keypoints = np.asarray(entry.get("keypoints", ()), dtype=np.float64)
    where = f"{kind}: keypoints (image id {entry['image_id']})"
    if keypoints.shape != (3 * len(oks_sigmas),):
        raise InputError(
            f"{where}: {keypoints.size} numbers; expected {3 * len(oks_sigmas)}, three for each of "
            f"the {len(oks_sigmas)} oks_sigmas"
        )
    if not (np.isfinite(keypoints).all() and np.isfinite(entry.get("score", 0.0))):
        raise InputError(f"{where}: NaN or infinity; expected finite numbers")
    return keypoints


def _detection(
    result: dict[str, Any], known: dict[str, set[int]], oks_sigmas: Sequence[float]
) -> dict[str, Any]:
    """A checked copy of a result, without what pycocotools should not see."""
    for field, ids in known.items():
        if result[field] not in ids:
            raise InputError(
                f"results: {field} {result[field]!r}: not in the ground truth; expected the ids "
                "of the file that is evaluated"
            )
    kept = {field: result[field] for field in ("image_id", "category_id", "score")}
    return {**kept, "keypoints": _keypoints(result, oks_sigmas, "result")}


def _pycocotools_stats(
    ground_truth: dict[str, Any], detections: list[dict[str, Any]], oks_sigmas: Sequence[float]
) -> np.ndarray:
    """The ten numbers that pycocotools would print; it may write into what it is given."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        if detections:
            found = truth.loadRes(detections)
        else:  # loadRes stops at an empty list
            found = COCO()
            found.dataset = {**ground_truth, "annotations": []}
            found.createIndex()
        judge = COCOeval(truth, found, "keypoints")
        judge.params.kpt_oks_sigmas = np.asarray(oks_sigmas, dtype=np.float64)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats
