"""Face detection: WIDER FACE's average precision, and recall at a number of false positives.

The protocol of WIDER FACE (Yang et al. 2016, and its evaluation code): a subset such as `hard`
lists the faces to be found. A prediction is matched to the face that it overlaps most, if their
intersection over union is at least 0.5. Of the predictions matched to a face of the subset, the one
with the highest score is a true positive and the others are false positives, as are predictions
without a match; predictions matched to a face outside the subset are ignored. Scores are scaled to
0..1 over the whole data set and cut at 1000 thresholds. The AP is the area under the resulting
precision-recall curve, made monotone.

Boxes are x1 y1 x2 y2 in image pixels. Predictions and faces of all pictures are in flat arrays,
with the index of their picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples

# The number of score thresholds in WIDER FACE's code.
WIDER_THRESHOLDS = 1000


@dataclass(frozen=True)
class FoundFaces:
    """P predicted faces on the M pictures of a data set.

    Attributes:
        image_index: (P,) int64, the picture of each.
        boxes_xyxy: (P, 4) in image pixels.
        scores: (P,), of any scale.
        landmarks: (P, 5, 2) in image pixels.

    Raises:
        InputError: a number is NaN or infinite.
    """

    image_index: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray

    def __post_init__(self) -> None:
        for name in ("boxes_xyxy", "scores", "landmarks"):
            values = getattr(self, name)
            broken = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
            if broken.any():
                raise InputError(
                    f"predictions: {name} (picture {self.image_index[broken][0]}): NaN or "
                    "infinity; expected finite numbers; look for NaN in the weights"
                )


@dataclass(frozen=True)
class Judgement:
    """The P predictions that count as true or false positives, and the faces to be found.

    Attributes:
        image_index: (P,) int64, the picture of each prediction.
        level: (P,) int64, the number of thresholds above each prediction's score.
        hit: (P,) bool: true positives; the others are false positives.
        num_faces: (M,) int64, the faces to be found in each picture.
    """

    image_index: np.ndarray
    level: np.ndarray
    hit: np.ndarray
    num_faces: np.ndarray


def matched_faces(
    found: FoundFaces, samples: FaceSamples, iou_threshold: float = 0.5
) -> np.ndarray:
    """The face that each prediction is matched to: the one it overlaps most, the first of equals.

    As in WIDER FACE's code, boxes include their last pixel: they are one pixel wider and higher.

    Args:
        iou_threshold: the lowest intersection over union of a match.

    Returns:
        (P,) int64 indices of faces in `samples`, -1 for predictions without a match.
    """
    matched = np.full(len(found.scores), -1, np.int64)
    last_pixel = np.array([0, 0, 1, 1], np.float64)
    predictions, faces = found.boxes_xyxy + last_pixel, samples.boxes_xyxy + last_pixel
    for image in np.unique(found.image_index):
        own, candidates = np.flatnonzero(found.image_index == image), samples.of_image(image)
        if len(candidates):
            overlap = boxes.iou(predictions[own], faces[candidates])
            best = candidates[overlap.argmax(axis=1)]
            matched[own] = np.where(overlap.max(axis=1) >= iou_threshold, best, -1)
    return matched


def best_predictions(scores: np.ndarray, matched: np.ndarray, num_faces: int) -> np.ndarray:
    """The prediction with the highest score among those matched to each face, the first of equals.

    Args:
        scores: (P,).
        matched: (P,), as `matched_faces` gives them.
        num_faces: N, the faces in all.

    Returns:
        (N,) int64 indices of predictions, -1 for faces that were not found.
    """
    order = np.argsort(-scores, kind="stable")
    faces, first = np.unique(matched[order], return_index=True)
    best = np.full(num_faces, -1, np.int64)
    best[faces[faces >= 0]] = order[first[faces >= 0]]
    return best


def judge(
    found: FoundFaces,
    matched: np.ndarray,
    samples: FaceSamples,
    ignored: np.ndarray,
    thresholds: int | None = None,
) -> Judgement:
    """True and false positives, for the faces that are not `ignored`.

    Predictions on pictures without faces are false positives. (WIDER FACE's code skips such
    pictures; its validation set has none.)

    Args:
        matched: (P,), as `matched_faces` gives them.
        ignored: (N,) bool, the faces outside the subset.
        thresholds: the number of score thresholds, `WIDER_THRESHOLDS` for WIDER FACE's AP; default:
            every distinct score is a threshold.
    """
    if thresholds is None:
        level = np.unique(-found.scores, return_inverse=True)[1]
    else:
        level = _threshold_levels(found.scores, thresholds)
    best = best_predictions(found.scores, matched, len(ignored))
    hit = np.zeros(len(matched), bool)
    hit[best[best >= 0]] = True
    # The appended False is what index -1, of predictions without a match, finds.
    counted = ~np.append(ignored, False)[matched]
    num_faces = np.bincount(samples.image_index[~ignored], minlength=len(samples.image_paths))
    return Judgement(found.image_index[counted], level[counted], hit[counted], num_faces)


def average_precision(judgement: Judgement, image_weights: np.ndarray | None = None) -> float:
    """The area under the precision-recall curve made monotone (VOC 2010 and WIDER FACE).

    Args:
        image_weights: (M,) how often each picture counts, as a bootstrap draws it; default: once.

    Returns:
        0 to 1; NaN if there is no face to be found.
    """
    if image_weights is None:
        image_weights = np.ones(len(judgement.num_faces))
    hits, counted = _cumulated(judgement, image_weights)
    num_faces = judgement.num_faces @ image_weights
    if not num_faces:
        return float("nan")
    precision = np.divide(hits, counted, out=np.zeros(len(hits)), where=counted > 0)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.diff(hits / num_faces, prepend=0) @ envelope)


def recall_at(judgement: Judgement, false_positives: Sequence[float]) -> np.ndarray:
    """The recall at numbers of false positives, as FDDB's discrete ROC curves are read.

    (Jain and Learned-Miller 2010.)

    Args:
        false_positives: F numbers, over the whole data set.

    Returns:
        (F,) recall at the lowest threshold with at most so many false positives; NaN if there is no
        face to be found.
    """
    hits, counted = _cumulated(judgement, np.ones(len(judgement.num_faces)))
    cuts = np.searchsorted(counted - hits, false_positives, side="right")
    num_faces = judgement.num_faces.sum()
    return np.append(0, hits)[cuts] / (num_faces if num_faces else np.nan)


def _threshold_levels(scores: np.ndarray, thresholds: int) -> np.ndarray:
    """How many of the n thresholds 1 - 1/n, 1 - 2/n, ... 0 are above each scaled score (P,)."""
    scores = scores.astype(np.float64)
    low, high = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    scaled = (scores - low) / (high - low) if high > low else np.ones(len(scores))
    rising = 1 - np.arange(thresholds, 0, -1) / thresholds
    return thresholds - np.searchsorted(rising, scaled, side="right")


def _cumulated(judgement: Judgement, image_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted numbers (L,) of true positives, and of all positives, down to each level."""
    weights = image_weights[judgement.image_index]
    counted = np.bincount(judgement.level, weights)
    hits = np.bincount(judgement.level, weights * judgement.hit, len(counted))
    return hits.cumsum(), counted.cumsum()
