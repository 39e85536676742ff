"""Distances of predicted keypoints to the truth, in units of a length of each person or face."""

import numpy as np

from kptkit.errors import InputError


def normalised_distances(
    predicted_xy: np.ndarray,
    true_xy: np.ndarray,
    labelled: np.ndarray,
    lengths: np.ndarray | float,
) -> np.ndarray:
    """The distance of every labelled keypoint, in units of its person's length.

    Args:
        predicted_xy: (N, K, 2) in pixels.
        true_xy: (N, K, 2) in pixels; ignored where not labelled.
        labelled: (N, K), nonzero where the truth is known.
        lengths: (N,) pixels, or one number for all; a person whose length is not a positive finite
            number (NaN: unknown) is left out.

    Returns:
        (N, K) float64, NaN for keypoints that are not labelled or of persons left out.

    Raises:
        InputError: the shapes differ, or another keypoint is not finite.
    """
    predicted_xy = np.asarray(predicted_xy, np.float64)
    true_xy = np.asarray(true_xy, np.float64)
    if predicted_xy.shape != true_xy.shape:
        raise InputError(
            f"predicted keypoints: {predicted_xy.shape}; expected {true_xy.shape}, as the truth has"
        )
    lengths = np.broadcast_to(np.asarray(lengths, np.float64), len(true_xy))
    known = np.isfinite(lengths) & (lengths > 0)
    judged = (np.asarray(labelled) > 0) & known[:, None]
    for kind, points in (("predicted", predicted_xy), ("labelled", true_xy)):
        if not np.isfinite(points[judged]).all():
            raise InputError(f"{kind} keypoints: NaN or infinity; expected finite pixels")
    distances = np.full(judged.shape, np.nan)
    distances[judged] = np.linalg.norm(predicted_xy[judged] - true_xy[judged], axis=-1)
    return distances / np.where(known, lengths, np.nan)[:, None]


def distance_between(keypoints: np.ndarray, first: int, second: int) -> np.ndarray:
    """The distance between two keypoints of each person, such as the eyes or the ends of the torso.

    Args:
        keypoints: (N, K, 3): x, y in pixels and a visibility; the true ones.
        first, second: indices among the K.

    Returns:
        (N,) float64 pixels; NaN where one of the two is not labelled.
    """
    ends = np.asarray(keypoints, np.float64)[:, [first, second]]
    labelled = np.all(ends[..., 2] > 0, axis=1)
    # Unlabelled points may have any coordinates, infinity too.
    ends = np.where(labelled[:, None, None], ends[..., :2], np.nan)
    return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)


def mean_or_nan(values: np.ndarray) -> float:
    """The mean of an array of any shape; NaN, without NumPy's warning, if it is empty."""
    return float(values.mean()) if values.size else float("nan")
