"""Evaluates face detectors: boxes by WIDER FACE's protocol, landmarks by normalised mean error."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from tqdm import tqdm

from kptkit.data.skipped import SkippedPictures
from kptkit.face.detector import FacePrediction
from kptkit.geometry import boxes
from kptkit.images.codec import ImageError, read_image
from kptkit.metrics.bootstrap import Difference, paired_difference
from kptkit.metrics.detection import (
    WIDER_THRESHOLDS,
    FoundFaces,
    Judgement,
    average_precision,
    best_predictions,
    judge,
    matched_faces,
    recall_at,
)
from kptkit.metrics.nme import failure_rate, inter_ocular, mean_error, nme
from kptkit.samples import FaceSamples

# Maps a picture (H, W, 3) uint8 RGB to its faces.
Detector = Callable[[np.ndarray], FacePrediction]

# Landmark lists have boxes of other shapes than WIDER FACE's, such as CNN_FacePoint's squares from
# brow to mouth, so this low IoU is enough to match a prediction to a face.
LANDMARK_IOU = 0.3

# Recall is reported at these numbers of false positives in the whole set.
FALSE_POSITIVES = (10, 50, 100)


@dataclass(frozen=True)
class FaceEvaluation:
    """A detector's predictions, and the face that each of them is matched to."""

    samples: FaceSamples
    """The N faces of the M pictures that could be read."""
    found: FoundFaces
    """The P predictions on those pictures."""
    belongs: np.ndarray
    """(P,) int: index in `samples` of each prediction's face by WIDER FACE's rule; -1: no face."""
    skipped: dict[str, int] = field(default_factory=dict)
    """How many pictures could not be read, by reason."""

    def judged(self, ignored: np.ndarray, thresholds: int | None = None) -> Judgement:
        """Hits and false positives, given which faces (N,) bool are ignored; see `judge`."""
        return judge(self.found, self.belongs, self.samples, ignored, thresholds)


def evaluate_faces(detector: Detector, samples: FaceSamples) -> FaceEvaluation:
    """Detects faces on every picture of `samples`.

    `detector` should keep predictions of low scores: average precision depends on them.

    Raises:
        InputError: too many pictures cannot be read, or a prediction is not finite.
    """
    skipped = SkippedPictures(len(samples.image_paths))
    readable: list[int] = []
    predictions: list[FacePrediction] = []
    for image, path in enumerate(tqdm(samples.image_paths, "looking for faces", disable=None)):
        try:
            picture = read_image(path, samples.orientation)
        except ImageError as error:
            skipped.record(path, error.reason)
            continue
        readable.append(image)
        predictions.append(detector(picture))
    skipped.refuse_all(len(samples.image_paths), "the list")
    skipped.check()
    samples = samples.select_images(np.array(readable, np.int64))
    found = _joined(predictions)
    return FaceEvaluation(samples, found, matched_faces(found, samples), skipped.counts())


def height_subsets(samples: FaceSamples, heights: Sequence[float]) -> dict[str, np.ndarray]:
    """For each minimum height in pixels, which faces (N,) bool are left out: ignored or smaller."""
    tall = samples.boxes_xyxy[:, 3] - samples.boxes_xyxy[:, 1]
    return {f"at_least_{height:g}px": samples.ignored | (tall < height) for height in heights}


def box_metrics(evaluation: FaceEvaluation, ignored: np.ndarray) -> dict[str, float]:
    """AP by WIDER FACE's protocol and over all scores, and recall at `FALSE_POSITIVES`."""
    exact = evaluation.judged(ignored)
    metrics = {
        "faces": int(exact.num_faces.sum()),
        "AP": average_precision(evaluation.judged(ignored, WIDER_THRESHOLDS)),
        "AP_exact": average_precision(exact),
    }
    recalls = recall_at(exact, FALSE_POSITIVES).tolist()
    return metrics | {
        f"recall_{count}fp": recall for count, recall in zip(FALSE_POSITIVES, recalls, strict=True)
    }


def landmark_errors(evaluation: FaceEvaluation) -> dict[str, np.ndarray]:
    """The landmark errors (N,) float of the faces, by the name of the normaliser.

    A face is compared with the best-scored prediction of IoU `LANDMARK_IOU` or more. NaN: the face
    was not found, is ignored or has no annotated landmarks.
    """
    samples, found = evaluation.samples, evaluation.found
    belongs = matched_faces(found, samples, LANDMARK_IOU)
    finder = best_predictions(found.scores, belongs, len(samples))
    judged = np.flatnonzero((finder >= 0) & ~samples.ignored)
    predicted, true = found.landmarks[finder[judged]], samples.landmarks[judged]
    normalisers = {
        "inter_ocular": inter_ocular(true),
        "sqrt_wh": np.sqrt(boxes.area(samples.boxes_xyxy[judged])),
    }
    errors = {name: np.full(len(finder), np.nan) for name in normalisers}
    for name, lengths in normalisers.items():
        errors[name][judged] = nme(predicted, true, lengths)
    return errors


def landmark_metrics(evaluation: FaceEvaluation) -> dict[str, float]:
    """NME over the faces that were found, their number, and the share with an error above 0.1."""
    samples = evaluation.samples
    annotated = np.isfinite(samples.landmarks).all(axis=(1, 2)) & ~samples.ignored
    metrics: dict[str, float] = {"faces": int(annotated.sum())}
    for name, errors in landmark_errors(evaluation).items():
        metrics["found"] = int(np.isfinite(errors).sum())
        metrics[f"NME_{name}"] = mean_error(errors, samples.image_index)
        metrics[f"failures_{name}"] = failure_rate(errors)
    return metrics


def compare_boxes(
    first: FaceEvaluation, second: FaceEvaluation, ignored: np.ndarray, resamples: int = 1000
) -> Difference:
    """Difference in AP by WIDER FACE's protocol, first minus second, on the same pictures.

    Bootstrap draws use the score normalisation of the whole set.
    """
    return paired_difference(
        partial(average_precision, first.judged(ignored, WIDER_THRESHOLDS)),
        partial(average_precision, second.judged(ignored, WIDER_THRESHOLDS)),
        num_images=len(first.samples.image_paths),
        resamples=resamples,
    )


def compare_landmarks(
    first: FaceEvaluation, second: FaceEvaluation, resamples: int = 1000
) -> dict[str, Difference]:
    """Difference in NME, first minus second, over the faces that both found."""
    samples = first.samples
    one, other = landmark_errors(first), landmark_errors(second)
    differences = {}
    for name in one:
        both = np.isfinite(one[name]) & np.isfinite(other[name])
        differences[name] = paired_difference(
            partial(mean_error, np.where(both, one[name], np.nan), samples.image_index),
            partial(mean_error, np.where(both, other[name], np.nan), samples.image_index),
            num_images=len(samples.image_paths),
            resamples=resamples,
        )
    return differences


def _joined(predictions: Sequence[FacePrediction]) -> FoundFaces:
    """The predictions of all pictures, concatenated."""
    counts = [len(prediction.scores) for prediction in predictions]
    return FoundFaces(
        np.repeat(np.arange(len(predictions)), counts),
        np.concatenate([np.zeros((0, 4)), *(p.boxes_xyxy for p in predictions)]),
        np.concatenate([np.zeros(0), *(p.scores for p in predictions)]),
        np.concatenate([np.zeros((0, 5, 2)), *(p.landmarks for p in predictions)]),
    )
