"""Detected faces judged: WIDER FACE's average precision, and recall at a number of false positives.

The protocol of WIDER FACE (Yang et al. 2016; its evaluation code): a subset such as `hard` names
the faces that are to be found. A prediction belongs to the face it overlaps most, if their
intersection over union is at least a half. The best-scored one that belongs to a face to be found
is a hit, the others are false positives, as are those that belong to no face; one that belongs to a
face outside the subset is not counted at all. Scores are stretched to 0..1 over the whole set and
cut at 1000 thresholds; the area under the resulting curve, made monotone, is the AP.

Boxes are x1 y1 x2 y2 in image pixels. Predictions and faces of all pictures stand in flat arrays,
beside the number of their picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples

# The steps at which WIDER FACE's code cuts the scores.
WIDER_THRESHOLDS = 1000


@dataclass(frozen=True)
class FoundFaces:
    """P predicted faces on the M pictures of a data set; NaN is refused.

    Attributes:
        image_index: (P,) int64, the picture of each.
        boxes_xyxy: (P, 4).
        scores: (P,), of any scale.
        landmarks: (P, 5, 2).
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
    """What each prediction that counts was worth, and how many faces there were.

    Attributes:
        image_index: (P,) int64, the picture of each prediction.
        level: (P,) int64: at how many thresholds, from the highest down, it is not yet there.
        hit: (P,) bool; the others are false positives.
        num_faces: (M,) int64, the faces to be found in each picture.
    """

    image_index: np.ndarray
    level: np.ndarray
    hit: np.ndarray
    num_faces: np.ndarray


def belonging(found: FoundFaces, samples: FaceSamples, iou_threshold: float = 0.5) -> np.ndarray:
    """The face (P,) that each prediction belongs to, as its place in `samples`; -1: none.

    Boxes count one pixel more than their sides, as in WIDER FACE's code. Of two faces that a
    prediction overlaps alike, the first is taken.
    """
    belongs = np.full(len(found.scores), -1, np.int64)
    last_pixel = np.array([0, 0, 1, 1], np.float64)
    predictions, faces = found.boxes_xyxy + last_pixel, samples.boxes_xyxy + last_pixel
    for image in np.unique(found.image_index):
        own, candidates = np.flatnonzero(found.image_index == image), samples.of_image(image)
        if len(candidates):
            overlap = boxes.iou(predictions[own], faces[candidates])
            best = candidates[overlap.argmax(axis=1)]
            belongs[own] = np.where(overlap.max(axis=1) >= iou_threshold, best, -1)
    return belongs


def finders(scores: np.ndarray, belongs: np.ndarray, num_faces: int) -> np.ndarray:
    """The best-scored prediction (N,) of each face, the first of equals; -1: it was not found."""
    order = np.argsort(-scores, kind="stable")
    faces, first = np.unique(belongs[order], return_index=True)
    finder = np.full(num_faces, -1, np.int64)
    finder[faces[faces >= 0]] = order[first[faces >= 0]]
    return finder


def judge(
    found: FoundFaces,
    belongs: np.ndarray,
    samples: FaceSamples,
    ignored: np.ndarray,
    thresholds: int | None = None,
) -> Judgement:
    """Hits and false positives, for the faces that are not `ignored`.

    Pictures without faces count: what is found on them are false positives. (WIDER FACE's code
    passes over such pictures; its validation set has none.)

    Args:
        belongs: (P,) what `belonging` gives.
        ignored: (N,) bool, the faces outside the subset.
        thresholds: how many cut the scores: `WIDER_THRESHOLDS`; none: each score is one.
    """
    if thresholds is None:
        level = np.unique(-found.scores, return_inverse=True)[1]
    else:
        level = _threshold_levels(found.scores, thresholds)
    finder = finders(found.scores, belongs, len(ignored))
    hit = np.zeros(len(belongs), bool)
    hit[finder[finder >= 0]] = True
    # The added False is the place of those that belong to no face, -1.
    counted = ~np.append(ignored, False)[belongs]
    num_faces = np.bincount(samples.image_index[~ignored], minlength=len(samples.image_paths))
    return Judgement(found.image_index[counted], level[counted], hit[counted], num_faces)


def average_precision(judgement: Judgement, image_weights: np.ndarray | None = None) -> float:
    """The area under the precision-recall curve made monotone (VOC 2010 and WIDER FACE).

    Args:
        image_weights: (M,) how often each picture counts, as a bootstrap draws them; none: once.

    Returns:
        0 to 1; NaN where there is no face to be found.
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
    """The recall (F,) at the lowest threshold with no more than so many false positives in all.

    As the discrete curves of FDDB are read (Jain and Learned-Miller 2010). NaN where there is no
    face to be found.
    """
    hits, counted = _cumulated(judgement, np.ones(len(judgement.num_faces)))
    cuts = np.searchsorted(counted - hits, false_positives, side="right")
    num_faces = judgement.num_faces.sum()
    return np.append(0, hits)[cuts] / (num_faces if num_faces else np.nan)


def _threshold_levels(scores: np.ndarray, thresholds: int) -> np.ndarray:
    """How many of the thresholds 1 - 1/n, 1 - 2/n, ... 0 lie above each stretched score (P,)."""
    scores = scores.astype(np.float64)
    low, high = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    stretched = (scores - low) / (high - low) if high > low else np.ones(len(scores))
    rising = 1 - np.arange(thresholds, 0, -1) / thresholds
    return thresholds - np.searchsorted(rising, stretched, side="right")


def _cumulated(judgement: Judgement, image_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hits and all that counts, each down to every level."""
    weights = image_weights[judgement.image_index]
    counted = np.bincount(judgement.level, weights)
    hits = np.bincount(judgement.level, weights * judgement.hit, len(counted))
    return hits.cumsum(), counted.cumsum()
