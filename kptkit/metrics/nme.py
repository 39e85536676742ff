"""NME: the normalised mean error of face landmarks.

The error of a face is the mean distance of its labelled points to the truth, divided by a length of
the face; the NME of a data set is the mean over its faces. Numbers compare only for one length:

- inter-ocular: between the outer corners of the eyes (300W since 2013, WFLW, COFW in HRNet's
  table); for five landmarks, between the two eyes. 300W's older tables divide by the distance
  between the pupils instead, which gives higher numbers.
- the square root of width times height of the smallest box around the true points (Bulat and
  Tzimiropoulos 2017), or of the area of the annotated face box (AFLW, RetinaFace). On faces in
  profile the distance between the eyes becomes small; these two lengths do not.

A failure is a face whose error is above 0.08 (300W) or 0.1 (WFLW, and 300W lately). The AUC is the
area under the cumulative error curve (the share of faces whose error is at most x) from 0 to such a
threshold, divided by it. It is integrated by Simpson's rule in steps of 0.0001, as in the
evaluation of Deep Alignment Network (Kowalski et al. 2017), which ADNet, PIPNet and others adopted.
"""

import numpy as np
from scipy.integrate import simpson

from kptkit.geometry import boxes
from kptkit.metrics.distances import mean_or_nan, normalised_distances

# The outer eye corners, or the eyes of five landmarks, the image's left one first, by the number of
# points: MTCNN, COFW, 300W, WFLW.
EYES = {5: (0, 1), 29: (8, 9), 68: (36, 45), 98: (60, 72)}
AUC_STEP = 1e-4


def inter_ocular(landmarks: np.ndarray) -> np.ndarray:
    """The distance (N,) in pixels between the eyes, the first two of the landmarks (N, 5, 2)."""
    return np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=-1)


def landmark_box_sizes(keypoints: np.ndarray) -> np.ndarray:
    """The square root of width times height of the smallest box around the labelled points.

    Args:
        keypoints: (N, K, 3): x, y in pixels and a visibility; the true ones.

    Returns:
        (N,) pixels; 0 where fewer than two points are labelled.
    """
    keypoints = np.asarray(keypoints, np.float64)
    labelled = keypoints[..., 2:] > 0
    low = np.min(keypoints[..., :2], axis=1, initial=np.inf, where=labelled)
    high = np.max(keypoints[..., :2], axis=1, initial=-np.inf, where=labelled)
    return np.sqrt(np.maximum(high - low, 0).prod(axis=-1))


def box_area_sizes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """The square root (N,) of the area of boxes (N, 4), in pixels."""
    return np.sqrt(boxes.area(np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)))


def nme(
    predicted_xy: np.ndarray,
    true_xy: np.ndarray,
    normalisers: np.ndarray,
    labelled: np.ndarray | None = None,
) -> np.ndarray:
    """The mean distance of each face's landmarks to the truth, in units of its normaliser.

    Args:
        predicted_xy: (N, K, 2) in pixels.
        true_xy: (N, K, 2) in pixels.
        normalisers: (N,) pixels; a face whose normaliser is not a positive number has no error.
        labelled: (N, K), nonzero where the truth is known. The mean is over these points; a face
            without any has no error. Default: all points, and a face with NaN in it has no error.

    Returns:
        (N,) float64, NaN for faces without an error.

    Raises:
        InputError: a prediction that enters a mean is not finite.
    """
    if labelled is None:
        whole = np.isfinite(true_xy).all(axis=(1, 2))
        labelled = np.broadcast_to(whole[:, None], np.shape(true_xy)[:2])
    distances = normalised_distances(predicted_xy, true_xy, labelled, normalisers)
    judged = np.isfinite(distances)
    total = np.sum(distances, axis=1, where=judged)
    count = judged.sum(axis=1)
    return np.divide(total, count, out=np.full(len(distances), np.nan), where=count > 0)


def mean_error(
    errors: np.ndarray, image_index: np.ndarray, image_weights: np.ndarray | None = None
) -> float:
    """The mean of the errors that are not NaN; NaN if there are none.

    Args:
        errors: (N,), as `nme` gives them.
        image_index: (N,) the picture of each face.
        image_weights: (M,) how often each picture counts, as a bootstrap draws it; default: once.
    """
    known = np.isfinite(errors)
    weights = np.ones(known.sum()) if image_weights is None else image_weights[image_index[known]]
    return float(errors[known] @ weights / (weights.sum() or np.nan))


def failure_rate(errors: np.ndarray, threshold: float = 0.1) -> float:
    """The share of errors (N,) above a threshold, without those that are NaN; NaN if all are."""
    return mean_or_nan(errors[np.isfinite(errors)] > threshold)


def cumulative_auc(errors: np.ndarray, threshold: float = 0.1, step: float = AUC_STEP) -> float:
    """The area under the cumulative curve of the errors (N,), 0 to 1; NaN if all errors are NaN.

    The curve is sampled at 0, step, 2 step ... threshold. Because of its jumps, Simpson's rule is
    off by up to step / threshold from the exact area, the mean of max(0, 1 - error / threshold).
    """
    known = np.sort(errors[np.isfinite(errors)])
    if not known.size:
        return float("nan")
    places = np.linspace(0, threshold, round(threshold / step) + 1)
    shares = np.searchsorted(known, places, side="right") / known.size
    return float(simpson(shares, x=places) / threshold)
