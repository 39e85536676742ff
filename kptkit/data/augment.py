"""Where an augmented crop lies: the published recipes' random windows, each as one affine matrix.

A window is drawn in image pixels (half body, shift, scale, rotation, mirror), turned into one
matrix from image to crop pixels, and the pixels are resampled once. All randomness comes from a
generator that the caller seeds with (seed, epoch, sample id), so a crop does not depend on who
draws it, or when.

The defaults are HRNet's on COCO (Sun et al. 2019, official code); others stand below them.
"""

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

from kptkit import affine
from kptkit.errors import InputError
from kptkit.skeletons import KeypointSchema

# How much larger than the joints' own box a half-body window is, in every published recipe.
HALF_BODY_PADDING = 1.5
# A half body needs more joints than this; with fewer the other half is shown.
HALF_BODY_FEW_JOINTS = 2


@dataclass(frozen=True)
class AugmentConfig:
    """How strongly crops vary; the defaults are HRNet's on COCO.

    Attributes:
        distribution: of scale and rotation. ``normal``: N(1, scale) cut at 1 +- scale, and
            N(0, rotation_degrees) cut at twice that (official). ``truncated``: normal within one
            standard deviation (mmpose). ``uniform``: within +- scale and rotation_degrees.
        scale: how much larger or smaller a window may be than the person's.
        rotation_degrees: degrees.
        rotation_probability: share of the crops that are turned at all.
        flip_probability: share that are mirrored; none where a schema has no flip pairs.
        half_body_probability: share that show the upper or lower half of a person, where at least
            `half_body_min_visible` joints are labelled.
        half_body_upper_probability: of the upper half among those. The official code asks
            ``randn() < 0.5``, which is 0.6915.
        shift: how far the centre may move, as a share of the window.
        photometric: whether colours change too (`kptkit.data.photometric`).
    """

    distribution: Literal["normal", "truncated", "uniform"] = "normal"
    scale: float = 0.35
    rotation_degrees: float = 45.0
    rotation_probability: float = 0.6
    flip_probability: float = 0.5
    half_body_probability: float = 0.3
    half_body_upper_probability: float = 0.6915
    half_body_min_visible: int = 9
    shift: float = 0.0
    shift_probability: float = 0.0
    photometric: bool = False

    def __post_init__(self):
        for name, value in asdict(self).items():
            if name.endswith("probability") and not 0 <= value <= 1:
                raise InputError(f"augment: {name}: {value}, expected a number from 0 to 1")
        if not 0 <= self.scale < 1:
            raise InputError(f"augment: scale: {self.scale}, expected 0 to below 1")


HRNET_COCO = AugmentConfig()
HRNET_MPII = AugmentConfig(scale=0.25, rotation_degrees=30.0, half_body_probability=0.0)
MMPOSE = AugmentConfig(
    distribution="truncated",
    scale=0.5,
    rotation_degrees=80.0,
    half_body_upper_probability=0.7,
    shift=0.16,
    shift_probability=0.3,
)
PADDLE = AugmentConfig(scale=0.5, rotation_degrees=40.0)
# Newell et al. 2016.
HOURGLASS = AugmentConfig(
    distribution="uniform",
    scale=0.25,
    rotation_degrees=30.0,
    rotation_probability=1.0,
    half_body_probability=0.0,
)
WZMIAOMIAO = AugmentConfig(
    distribution="uniform",
    rotation_probability=1.0,
    half_body_upper_probability=0.5,
    half_body_min_visible=3,
)


class Window(NamedTuple):
    """What a crop shows, in pixels of the image as it is stored (not mirrored)."""

    centre_xy: np.ndarray
    size_wh: np.ndarray
    rotation_degrees: float = 0.0
    mirrored: bool = False


def draw_window(
    config: AugmentConfig,
    rng: np.random.Generator,
    box_xyxy: np.ndarray,
    keypoints: np.ndarray,
    schema: KeypointSchema,
    size_wh: tuple[int, int],
) -> Window:
    """One random window for a person.

    Args:
        box_xyxy: (4,) in image pixels.
        keypoints: (K, 3) x, y in image pixels and visibility.
        size_wh: of the crop; only the aspect ratio matters.
    """
    centre_xy, window_wh = affine.crop_window(box_xyxy, size_wh)
    if schema.upper_body and rng.random() < config.half_body_probability:
        upper = rng.random() < config.half_body_upper_probability
        if half := half_body_window(config, keypoints, schema, size_wh, upper):
            centre_xy, window_wh = half.centre_xy, half.size_wh
    if rng.random() < config.shift_probability:
        centre_xy = centre_xy + window_wh * config.shift * _truncated_normal(rng, 2)
    window_wh = window_wh * (1 + _spread(config, rng, config.scale, limit=1))
    rotation = 0.0
    if rng.random() < config.rotation_probability:
        rotation = _spread(config, rng, config.rotation_degrees, limit=2)
    mirrored = bool(schema.flip_pairs) and rng.random() < config.flip_probability
    return Window(centre_xy, window_wh, rotation, mirrored)


def half_body_window(
    config: AugmentConfig,
    keypoints: np.ndarray,
    schema: KeypointSchema,
    size_wh: tuple[int, int],
    upper: bool,
) -> Window | None:
    """The window around half of a person's labelled joints, by the official rule.

    The wanted half is shown if it has more than two joints, else the lower if that has, else the
    upper. None where too few joints are labelled to tell halves apart, or they lie in one point.
    """
    labelled = keypoints[:, 2] > 0
    if np.count_nonzero(labelled) < config.half_body_min_visible:
        return None
    in_upper = np.zeros(len(keypoints), bool)
    in_upper[list(schema.upper_body)] = True
    above, below = keypoints[labelled & in_upper, :2], keypoints[labelled & ~in_upper, :2]
    if upper and len(above) > HALF_BODY_FEW_JOINTS:
        joints_xy = above
    else:
        joints_xy = below if len(below) > HALF_BODY_FEW_JOINTS else above
    if len(joints_xy) < HALF_BODY_FEW_JOINTS:
        return None
    joints_box = np.concatenate([joints_xy.min(axis=0), joints_xy.max(axis=0)])
    _, window_wh = affine.crop_window(joints_box, size_wh, HALF_BODY_PADDING)
    if window_wh[0] < 1:
        return None
    return Window(joints_xy.mean(axis=0), window_wh)


def window_matrix(
    window: Window, image_w: int, size_wh: tuple[int, int], convention: affine.Convention
) -> np.ndarray:
    """The (2, 3) map from pixels of the stored image to crop pixels, a mirror included.

    As in the official code, a mirrored crop is the window cut, with its own rotation, from the
    mirrored image.
    """
    centre_xy = window.centre_xy
    if window.mirrored:
        centre_xy = affine.flip_points(centre_xy, image_w)
    matrix = affine.crop_matrix(
        centre_xy, window.size_wh, size_wh, window.rotation_degrees, convention
    )
    if window.mirrored:
        matrix = affine.compose(matrix, np.array([[-1.0, 0.0, image_w - 1], [0.0, 1.0, 0.0]]))
    return matrix


def crop_keypoints(
    keypoints: np.ndarray, matrix: np.ndarray, mirrored: bool, schema: KeypointSchema
) -> np.ndarray:
    """A person's keypoints in a crop: left and right exchanged where it is mirrored.

    Args:
        keypoints: (K, 3) x, y in image pixels and visibility.

    Returns:
        (K, 3) x, y in crop pixels and visibility; joints without a label are all 0.
    """
    if mirrored:
        keypoints = keypoints[list(schema.flip_permutation)]
    labelled = keypoints[:, 2:] > 0
    xy = affine.transform_points(matrix, np.where(labelled, keypoints[:, :2], 0))
    return np.where(labelled, np.concatenate([xy, keypoints[:, 2:]], axis=1), 0)


def _spread(config: AugmentConfig, rng: np.random.Generator, factor: float, limit: float) -> float:
    """A draw around 0 that is `factor` wide; a normal one is cut at `limit` times that."""
    if config.distribution == "uniform":
        return factor * rng.uniform(-1, 1)
    if config.distribution == "truncated":
        return factor * _truncated_normal(rng, 1)[0]
    return factor * min(max(rng.standard_normal(), -limit), limit)


def _truncated_normal(rng: np.random.Generator, count: int) -> np.ndarray:
    """Standard normal draws within one standard deviation."""
    normal = NormalDist()
    low, high = normal.cdf(-1), normal.cdf(1)
    return np.array([normal.inv_cdf(u) for u in rng.uniform(low, high, count)])
