"""NME: the normalised mean error of face landmarks, in shares of a length of the face.

A number means nothing without its normaliser: the distance between the eyes' centres (inter-ocular,
as on 300W) grows small on faces turned aside, where the square root of the box's area (as on AFLW)
does not.
"""

import numpy as np

from kptkit.errors import InputError


def inter_ocular(landmarks: np.ndarray) -> np.ndarray:
    """The distance (N,) between the first two of the landmarks (N, 5, 2), the eyes, in pixels."""
    return np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=-1)


def nme(predicted_xy: np.ndarray, true_xy: np.ndarray, normalisers: np.ndarray) -> np.ndarray:
    """The mean distance of a face's landmarks to the truth, in units of its normaliser.

    Args:
        predicted_xy: (N, L, 2) in pixels.
        true_xy: (N, L, 2); a face with NaN in it cannot be judged.
        normalisers: (N,) pixels; a face whose normaliser is not above 0 cannot be judged.

    Returns:
        (N,), NaN for faces that cannot be judged.

    Raises:
        InputError: the prediction of a face that can be judged is not finite.
    """
    true_xy, normalisers = np.asarray(true_xy, np.float64), np.asarray(normalisers, np.float64)
    judged = np.isfinite(true_xy).all(axis=(1, 2)) & np.isfinite(normalisers) & (normalisers > 0)
    distances = np.linalg.norm(np.asarray(predicted_xy, np.float64) - true_xy, axis=-1)
    if not np.isfinite(distances[judged]).all():
        raise InputError("predicted landmarks: NaN or infinity; expected finite pixels")
    errors = np.full(len(true_xy), np.nan)
    errors[judged] = distances[judged].mean(axis=1) / normalisers[judged]
    return errors


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
