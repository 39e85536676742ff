"""PCK: the percentage of correct keypoints, those nearer to the truth than a share of a length.

Distances are Euclidean, in pixels of the picture. A keypoint counts where the truth labels it,
hidden or not, and its person's length is known. A number means nothing without its length:

- head (PCKh; Andriluka et al. 2014): 0.6 of the diagonal of MPII's head box, as
  `kptkit.data.formats.mpii.head_sizes` gives it.
- torso (Sapp and Taskar 2013): from a shoulder to the opposite hip, the usual one for PCK@0.2 on
  FLIC, LSP and LSP-extended. LSP: the person's left shoulder to the right hip (the reference joints
  of bearpaw/eval_pose). FLIC: right shoulder to left hip in person-centric labels, which are the
  observer's left and right; it equals `normalize` of the hourglass's published annotations.
- box (Yang and Ramanan 2013): the longer side of the box; on LSP-extended about 2.5 torsos.
- a fixed number of pixels: a plain number for `normalisers`.

Whether the limit itself is correct differs too: it is in HRNet's evaluation (`<=`), it is not in
those of mmpose and of Princeton's hourglass (`<`). On 1,400 persons of MPII both give the same
numbers.

MPII's mean leaves pelvis and thorax out and weights the other joints by how often they are labelled
(HRNet, SimpleBaselines, mmpose). Princeton's hourglass counts all sixteen: its numbers are lower.
And two numbers go by the name PCKh@0.1: the evaluation of HRNet and PaddleDetection takes entry 11
of a table that begins at 0, so 0.11 head sizes (37.7 for HRNet-W32); mmpose takes 0.10 (33.4). Both
are in `PCKH_THRESHOLDS`.
"""

from collections.abc import Sequence

import numpy as np

from kptkit.metrics.distances import normalised_distances

# The headline, @0.1 as mmpose has it, and what HRNet's and PaddleDetection's tables call @0.1.
PCKH_THRESHOLDS = (0.5, 0.1, 0.11)
# Left out of MPII's mean, as data sets spell them.
UNCOUNTED_JOINTS = ("pelvis", "pelv", "thorax", "thor")


def torso_sizes(keypoints: np.ndarray, shoulder: int, hip: int) -> np.ndarray:
    """The distance from one shoulder to the opposite hip.

    Args:
        keypoints: (N, K, 3): x, y in pixels and a visibility; the true ones.
        shoulder, hip: their places among the K; left and right of the person, by custom.

    Returns:
        (N,) pixels; NaN where one of the two is not labelled.
    """
    ends = np.asarray(keypoints, np.float64)[:, [shoulder, hip]]
    labelled = (ends[..., 2] > 0).all(axis=1)
    # Unlabelled points may hold anything, infinities too.
    ends = np.where(labelled[:, None, None], ends[..., :2], np.nan)
    return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)


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
            (mmpose, and Princeton's hourglass).

    Returns:
        shares (T, K), NaN for keypoints that nobody has; counts (K,).

    Raises:
        InputError: the prediction of a visible keypoint is not finite.
    """
    distances = normalised_distances(predicted_xy, true_xy, visible, normalisers)
    limits = np.asarray(thresholds, np.float64)[:, None, None]
    # A comparison with NaN is false.
    correct = (distances < limits) if strict else (distances <= limits)
    counts = np.isfinite(distances).sum(axis=0)
    shares = correct.sum(axis=1) / np.where(counts > 0, counts, np.nan)
    return shares, counts


def mean_pck(shares: np.ndarray, counts: np.ndarray, excluded: Sequence[int] = ()) -> np.ndarray:
    """The mean (T,) over keypoints, each weighted by its count, but for those `excluded`.

    This is the share of all judged keypoints that are correct; NaN where none was judged.
    """
    counts = np.array(counts, np.float64)
    counts[list(excluded)] = 0
    correct = np.nansum(shares * counts, axis=-1)
    return correct / (counts.sum() or np.nan)
