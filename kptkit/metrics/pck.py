"""PCK: the percentage of correct keypoints, those nearer to the truth than a share of a length.

Which length, and whether the limit itself counts as correct, differs between papers; both are
arguments here. A number means nothing without its normaliser:

- torso (Sapp and Taskar 2013): the distance from left shoulder to right hip, the usual one for
  PCK@0.2 on FLIC, LSP and LSP-extended.
- box (Yang and Ramanan 2013): the longer side of the box; on LSP-extended about 2.5 torsos.
- a fixed number of pixels: a plain number for `normalisers`.
"""

from collections.abc import Sequence

import numpy as np

from kptkit.errors import InputError


def torso_sizes(keypoints: np.ndarray, shoulder: int, hip: int) -> np.ndarray:
    """The distance from one shoulder to the opposite hip.

    Args:
        keypoints: (N, K, 3): x, y in pixels and a visibility; the true ones.
        shoulder, hip: their places among the K; left and right of the person, by custom.

    Returns:
        (N,) pixels; NaN where one of the two is not labelled.
    """
    keypoints = np.asarray(keypoints, np.float64)
    distance = np.linalg.norm(keypoints[:, shoulder, :2] - keypoints[:, hip, :2], axis=-1)
    labelled = (keypoints[:, [shoulder, hip], 2] > 0).all(axis=1)
    return np.where(labelled, distance, np.nan)


def box_sizes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """The longer side (N,) of boxes (N, 4), in pixels."""
    boxes_xyxy = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1)


def pck(
    predicted_xy: np.ndarray,
    true_xy: np.ndarray,
    visible: np.ndarray,
    normalisers: np.ndarray | float,
    thresholds: Sequence[float] = (0.2,),
    strict: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The share of correct predictions for each keypoint at each threshold.

    A person whose normaliser is not a positive length (NaN: unknown) cannot be judged and is left
    out; `counts` tells how many were judged.

    Args:
        predicted_xy: (N, K, 2) in pixels.
        true_xy: (N, K, 2) in pixels; may hold anything where not visible.
        visible: (N, K), nonzero where there is a truth.
        normalisers: (N,) pixels, or one number for all.
        thresholds: T shares of the normaliser.
        strict: False: correct at distance <= threshold (HRNet's MPII code); True: at < threshold
            (mmpose, and Newell's hourglass).

    Returns:
        shares (T, K), NaN for keypoints that nobody has; counts (K,).

    Raises:
        InputError: the prediction of a visible keypoint is not finite.
    """
    distance = np.linalg.norm(np.asarray(predicted_xy, np.float64) - true_xy, axis=-1)
    normalisers = np.broadcast_to(np.asarray(normalisers, np.float64), len(distance))
    known = np.isfinite(normalisers) & (normalisers > 0)
    judged = (np.asarray(visible) > 0) & known[:, None]
    if not np.isfinite(distance[judged]).all():
        raise InputError("predicted keypoints: NaN or infinity; expected finite pixels")
    limits = np.multiply.outer(thresholds, normalisers)[..., None]
    correct = (distance < limits) if strict else (distance <= limits)
    counts = judged.sum(axis=0)
    shares = np.sum(correct & judged, axis=1) / np.where(counts > 0, counts, np.nan)
    return shares, counts


def mean_pck(shares: np.ndarray, counts: np.ndarray, excluded: Sequence[int] = ()) -> np.ndarray:
    """The mean (T,) over keypoints, each weighted by its count, but for those `excluded`.

    This is the share of all judged keypoints that are correct; NaN where none was judged.
    """
    counts = np.array(counts, np.float64)
    counts[list(excluded)] = 0
    correct = np.nansum(shares * counts, axis=-1)
    return correct / (counts.sum() or np.nan)
