"""The COCO keypoint protocol: object keypoint similarity (OKS), rescoring, NMS, AP and AR.

AP and AR are computed by pycocotools. The checks around it are needed: by itself it gives NaN
predictions an AP of 1, ignores persons whose annotation id is 0, fails on an empty list of results
and uses COCO's 17 sigmas for every skeleton.

Keypoints are (N, K, 3): x, y in image pixels, and a score (predictions) or COCO's visibility
0, 1, 2 (ground truth). Areas are those of the annotations, in square pixels.
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
    """The similarity of each keypoint to the truth: exp(-distance² / (2 area (2 sigma)²)).

    Args:
        predicted: (..., K, 2 or 3).
        true: (..., K, 2 or 3).
        areas: (...).
        oks_sigmas: K of them.

    Returns:
        (..., K) float64, 0 to 1.

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
    # As pycocotools does, which avoids a division by zero for empty areas.
    area = np.asarray(areas)[..., None] + np.spacing(1)
    return np.exp(-squared_distance / variance / area / 2)


def oks(
    predicted: np.ndarray, true: np.ndarray, areas: np.ndarray, oks_sigmas: Sequence[float]
) -> np.ndarray:
    """The mean similarity over a person's labelled keypoints, as pycocotools computes it.

    (For a person without labelled keypoints, pycocotools measures the distance to the doubled box,
    only to ignore detections there; `evaluate_oks` does the same.)

    Args:
        predicted: (..., K, 2 or 3).
        true: (..., K, 3): x, y, visibility.
        areas: (...).
        oks_sigmas: K of them.

    Returns:
        (...) float64, NaN for a person without labelled keypoints.

    Raises:
        InputError: as `keypoint_similarity`.
    """
    labelled = np.asarray(true)[..., 2] > 0
    similarity = keypoint_similarity(predicted, true, areas, oks_sigmas)
    count = labelled.sum(axis=-1)
    total = np.sum(similarity, axis=-1, where=labelled)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def rescore(keypoints: np.ndarray, box_scores: np.ndarray, threshold: float = 0.2) -> np.ndarray:
    """The score of a person in HRNet's evaluation: box score times mean keypoint score.

    Args:
        keypoints: (N, K, 3).
        box_scores: (N,).
        threshold: only keypoint scores above it enter the mean; if none is, the score is 0.

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
    """Greedy non-maximum suppression by OKS of the persons of one image.

    Args:
        keypoints: (N, K, 3).
        scores: (N,).
        areas: (N,); those of the windows that were cropped, see
            `kptkit.evaluate.pose.person_areas`.
        oks_sigmas: K of them.
        threshold: a person whose OKS with a better one is above it is dropped.

    Returns:
        Indices (M,) int64 of the kept persons, best first.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    kept = []
    while order.size:
        best, others = order[0], order[1:]
        kept.append(best)
        order = others[_overlap(keypoints, areas, best, others, oks_sigmas) <= threshold]
    return np.array(kept, dtype=np.int64)


def coco_results(
    image_ids: Iterable[int], category_id: int, keypoints: np.ndarray, scores: np.ndarray
) -> list[dict[str, Any]]:
    """Predictions in COCO's results format, as JSON types.

    They have no `bbox`: with one, pycocotools would take a person's area from it instead of from
    the keypoints, which changes APM and APL.

    Args:
        image_ids: N of them, one for each person.
        category_id: the same for all.
        keypoints: (N, K, 3).
        scores: (N,).

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
        results: as `coco_results` gives them; keys other than its four are ignored.
        oks_sigmas: K of them.

    Returns:
        The numbers of `METRIC_NAMES`, 0 to 1. A number that no labelled person counts for, such as
        APM where nobody is of medium size, is NaN (pycocotools: -1). Without results all are 0.

    Raises:
        InputError: a person does not have K finite keypoints, or a result names an unknown image or
            category.
    """
    # pycocotools takes id 0 for "unmatched" and changes its input: hence new ids and copies.
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
    """Statistics of each keypoint, for persons predicted from their ground-truth boxes.

    Args:
        predicted: (N, K, 3), in the order of `true`.
        true: (N, K, 3).
        areas: (N,).
        oks_sigmas: K of them.

    Returns:
        Arrays (K,) over the persons for whom the keypoint is labelled, NaN where there are none:
        ``labelled`` the number of persons, ``distance`` the mean distance to the truth in units of
        the square root of the area, ``similar`` the share with a keypoint similarity above 0.5,
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
    """The result of `per_keypoint` as a Markdown table, with a last row for all keypoints."""
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
    """The OKS (M,) of one person with others, over all keypoints and the mean of both areas."""
    area = (areas[best] + areas[others]) / 2
    return keypoint_similarity(keypoints[others], keypoints[best], area, oks_sigmas).mean(axis=-1)


def _keypoints(entry: dict[str, Any], oks_sigmas: Sequence[float], kind: str) -> np.ndarray:
    """The keypoints (3 K,) of an annotation or a result, checked."""
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
    """A checked copy of a result with only the keys that pycocotools needs."""
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
    """The ten numbers (10,) that pycocotools would print; it changes its input."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        if detections:
            found = truth.loadRes(detections)
        else:  # loadRes fails on an empty list
            found = COCO()
            found.dataset = {**ground_truth, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.asarray(oks_sigmas, dtype=np.float64)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats
