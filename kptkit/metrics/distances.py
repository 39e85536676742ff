"""How far predicted keypoints are from the truth, in units of a length of each person or face."""

import numpy as np

from kptkit.errors import InputError


def normalised_distances(
    predicted_xy: np.ndarray,
    true_xy: np.ndarray,
    labelled: np.ndarray,
    lengths: np.ndarray | float,
) -> np.ndarray:
    """The distance of every keypoint that can be judged, in lengths of its person.

    Args:
        predicted_xy: (N, K, 2) in pixels.
        true_xy: (N, K, 2) in pixels; may hold anything where not labelled.
        labelled: (N, K), nonzero where there is a truth.
        lengths: (N,) pixels, or one number for all; a person whose length is not a positive number
            (NaN: unknown) cannot be judged.

    Returns:
        (N, K) float64, NaN for keypoints that cannot be judged.

    Raises:
        InputError: a keypoint that can be judged is not finite, or there are other keypoints than
            in the truth.
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
