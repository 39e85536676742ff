"""NME: the normalised mean error of face landmarks, in shares of a length of the face.

The error of a face is the mean distance of its labelled points to the truth, that of a set the mean
over its faces. A number means nothing without its length:

- inter-ocular: between the outer corners of the eyes (300W since 2013, WFLW, COFW in HRNet's
  table); of five points, between the two of the eyes.
- inter-pupil: between the means of the points around each eye (300W's older tables), or between the
  pupils where they are annotated (COFW, WFLW).
- the square root of width times height of the smallest box around the true points (Bulat and
  Tzimiropoulos 2017), or of the area of the annotated face box (AFLW, RetinaFace). The distance
  between the eyes grows small on faces turned aside, these two do not.

A failure is a face whose error is above 0.08 (300W) or 0.1 (WFLW, and 300W lately). The area under
the curve of the share of faces whose error is at most x, from 0 to such a threshold and divided by
it, is taken by Simpson's rule at steps of 0.0001, as in the evaluation of Deep Alignment Network
(Kowalski et al. 2017), which ADNet, PIPNet and others took over.
"""

from collections.abc import Sequence

import numpy as np
from scipy.integrate import simpson

from kptkit.geometry import boxes
from kptkit.metrics.distances import normalised_distances

# The outer corners of the two eyes, by the number of points: COFW, 300W, WFLW.
OUTER_CORNERS = {29: ((8,), (9,)), 68: ((36,), (45,)), 98: ((60,), (72,))}
# The points whose mean is the middle of each eye: five landmarks, COFW, 300W, WFLW.
EYES = {
    5: ((0,), (1,)),
    29: ((16,), (17,)),
    68: ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)),
    98: ((96,), (97,)),
}
AUC_STEP = 1e-4


def inter_ocular(landmarks: np.ndarray) -> np.ndarray:
    """The distance (N,) between the first two of the landmarks (N, 5, 2), the eyes, in pixels."""
    return np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=-1)


def eye_distances(keypoints: np.ndarray, first: Sequence[int], second: Sequence[int]) -> np.ndarray:
    """The distance between the means of two groups of points.

    Args:
        keypoints: (N, K, 3): x, y in pixels and a visibility; the true ones.
        first, second: places among the K, such as those of `OUTER_CORNERS` and `EYES`.

    Returns:
        (N,) pixels; NaN where one of the points is not labelled.
    """
    keypoints = np.asarray(keypoints, np.float64)
    labelled = (keypoints[:, [*first, *second], 2] > 0).all(axis=1)
    # Unlabelled points may hold anything, infinities too.
    points = np.where(labelled[:, None, None], keypoints[..., :2], np.nan)
    middles = [points[:, list(group)].mean(axis=1) for group in (first, second)]
    return np.linalg.norm(middles[0] - middles[1], axis=-1)


def landmark_box_sizes(keypoints: np.ndarray) -> np.ndarray:
    """sqrt(w h) of the smallest box around the labelled points of each face.

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
    """The mean distance of a face's landmarks to the truth, in units of its normaliser.

    Args:
        predicted_xy: (N, K, 2) in pixels.
        true_xy: (N, K, 2) in pixels.
        normalisers: (N,) pixels; a face whose normaliser is not above 0 cannot be judged.
        labelled: (N, K), nonzero where there is a truth; others are left out of the mean, and a
            face without any cannot be judged. None: all are, and a face with NaN in it cannot be
            judged.

    Returns:
        (N,), NaN for faces that cannot be judged.

    Raises:
        InputError: the prediction of a face that can be judged is not finite.
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
    """The mean of the errors (N,) that are known; NaN if none is.

    Args:
        image_index: (N,) the picture of each face.
        image_weights: (M,) how often each picture counts, as a bootstrap draws them; none: once.
    """
    known = np.isfinite(errors)
    weights = np.ones(known.sum()) if image_weights is None else image_weights[image_index[known]]
    return float(errors[known] @ weights / (weights.sum() or np.nan))


def failure_rate(errors: np.ndarray, threshold: float = 0.1) -> float:
    """The share of the known errors (N,) above a threshold; NaN if none is known."""
    known = errors[np.isfinite(errors)]
    return float((known > threshold).mean()) if known.size else float("nan")


def cumulative_auc(errors: np.ndarray, threshold: float = 0.1, step: float = AUC_STEP) -> float:
    """The area under the cumulative curve of the known errors (N,), 0 to 1; NaN if none is known.

    The curve is read at 0, step, 2 step ... threshold. Its jumps move Simpson's rule by less than
    step / threshold from the exact area, the mean of max(0, 1 - error / threshold).
    """
    known = np.sort(errors[np.isfinite(errors)])
    if not known.size:
        return float("nan")
    places = np.linspace(0, threshold, round(threshold / step) + 1)
    shares = np.searchsorted(known, places, side="right") / known.size
    return float(simpson(shares, x=places) / threshold)
