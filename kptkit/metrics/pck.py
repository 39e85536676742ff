"""PCK: the percentage of correct keypoints, those within a share of a length from the truth.

Distances are Euclidean, in image pixels. A keypoint counts if it is labelled, hidden or not, and
its person's length is known. Numbers compare only for one length:

- head (PCKh; Andriluka et al. 2014): 0.6 of the diagonal of MPII's head box, as
  `kptkit.data.formats.mpii.head_sizes` gives it.
- torso (Sapp and Taskar 2013): from a shoulder to the opposite hip, the usual one for PCK@0.2 on
  FLIC, LSP and LSP-extended. LSP: the person's left shoulder to the right hip (the reference joints
  of bearpaw/eval_pose). FLIC: the person's right shoulder to the left hip, which are the observer's
  left and right; it equals `normalize` of the hourglass's published annotations.
- box (Yang and Ramanan 2013): the longer side of the box; on LSP-extended about 2.5 torsos.
- a fixed number of pixels: a plain number for `normalisers`.

Evaluations also differ in whether a distance equal to the limit is correct: HRNet's says yes
(`<=`), mmpose's and Princeton's hourglass say no (`<`). On 1,400 persons of MPII both give the same
numbers.

MPII's mean leaves out pelvis and thorax and weights the other joints by how often they are labelled
(HRNet, SimpleBaselines, mmpose). Princeton's hourglass counts all sixteen joints: its numbers are
lower. Two different numbers are called PCKh@0.1: HRNet and PaddleDetection take entry 11 of a table
that begins at 0, that is 0.11 head sizes (37.7 for HRNet-W32); mmpose takes 0.10 (33.4). Both are
in `PCKH_THRESHOLDS`.
"""

from collections.abc import Sequence

import numpy as np

from kptkit.metrics.distances import normalised_distances

# The main threshold, mmpose's @0.1, and what HRNet's and PaddleDetection's tables call @0.1.
PCKH_THRESHOLDS = (0.5, 0.1, 0.11)
# Left out of MPII's mean; plain names, in the spellings of several data sets.
UNCOUNTED_JOINTS = ("pelvis", "pelv", "thorax", "thor")


def box_sizes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """The longer side (N,) of boxes (N, 4), in pixels."""
    boxes_xyxy = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1)


def pck(
    predicted_xy: np.ndarray,
    true_xy: np.ndarray,
    labelled: np.ndarray,
    normalisers: np.ndarray | float,
    thresholds: Sequence[float] = (0.2,),
    strict: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The share of correct predictions of each keypoint at each threshold.

    Args:
        predicted_xy: (N, K, 2) in pixels.
        true_xy: (N, K, 2) in pixels; ignored where not labelled.
        labelled: (N, K), nonzero where the truth is known.
        normalisers: (N,) pixels, or one number for all; persons whose normaliser is not a positive
            number (NaN: unknown) are left out.
        thresholds: T shares of the normaliser.
        strict: whether a distance equal to the threshold is wrong (mmpose, Princeton's hourglass)
            instead of correct (HRNet's MPII code).

    Returns:
        shares (T, K), NaN for keypoints that nobody has; counts (K,), the persons they are of.

    Raises:
        InputError: the prediction of a labelled keypoint is not finite.
    """
    distances = normalised_distances(predicted_xy, true_xy, labelled, normalisers)
    limits = np.asarray(thresholds, np.float64)[:, None, None]
    # A comparison with NaN is false.
    correct = (distances < limits) if strict else (distances <= limits)
    counts = np.isfinite(distances).sum(axis=0)
    shares = correct.sum(axis=1) / np.where(counts > 0, counts, np.nan)
    return shares, counts


def mean_pck(shares: np.ndarray, counts: np.ndarray, excluded: Sequence[int] = ()) -> np.ndarray:
    """The mean over keypoints, each weighted by its count: the share of all that are correct.

    Args:
        shares: (T, K), as `pck` gives them.
        counts: (K,), as `pck` gives them.
        excluded: indices of keypoints that do not count.

    Returns:
        (T,), NaN where no keypoint counts.
    """
    counts = np.array(counts, np.float64)
    counts[list(excluded)] = 0
    correct = np.nansum(shares * counts, axis=-1)
    return correct / (counts.sum() or np.nan)
