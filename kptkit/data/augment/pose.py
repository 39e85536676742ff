"""Geometric augmentation of persons: random windows as in the published recipes.

A window is drawn in image pixels (half body, shift, scale, rotation, mirror) and converted to one
affine matrix from image to crop pixels, so that pixels are resampled only once. All random numbers
come from (seed, epoch, sample id), so a crop does not depend on the thread that draws it or on the
order of drawing. All functions take B persons at once, which costs hardly more than one.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from kptkit.conventions import Convention
from kptkit.data.augment.settings import AugmentConfig
from kptkit.geometry import affine
from kptkit.skeletons.schema import KeypointSchema

# How much a half-body window is larger than the box around its joints, in every published recipe.
HALF_BODY_PADDING = 1.5
# A half needs more labelled joints than this to be shown, unless neither half has more.
FEW_JOINTS = 2

# Uniform random numbers per crop.
NUM_DRAWS = 10

_normal_quantile = np.vectorize(NormalDist().inv_cdf, otypes=[float])


class Windows(NamedTuple):
    """The windows of B crops, in pixels of the image before mirroring."""

    centres_xy: np.ndarray  # (B, 2)
    sizes_wh: np.ndarray  # (B, 2)
    rotations_degrees: np.ndarray  # (B,), see `kptkit.geometry.affine.crop_matrix`
    mirrored: np.ndarray  # (B,) bool


def person_windows(boxes_xyxy: np.ndarray, size_wh: tuple[int, int]) -> Windows:
    """The windows around boxes (B, 4) without augmentation, as in evaluation."""
    count = len(boxes_xyxy)
    centres_xy, sizes_wh = affine.crop_window(boxes_xyxy, size_wh)
    return Windows(centres_xy, sizes_wh, np.zeros(count), np.zeros(count, bool))


def uniform_draws(seed: int, epochs: np.ndarray, sample_ids: np.ndarray) -> np.ndarray:
    """The random numbers of B crops: (B, NUM_DRAWS) float64, uniform in [0, 1).

    Args:
        epochs: (B,).
        sample_ids: (B,).
    """
    draws = np.empty((len(epochs), NUM_DRAWS))
    for row, (epoch, sample_id) in enumerate(zip(epochs, sample_ids, strict=True)):
        np.random.default_rng([seed, epoch, sample_id]).random(out=draws[row])
    return draws


def draw_windows(
    config: AugmentConfig,
    draws: np.ndarray,
    boxes_xyxy: np.ndarray,
    keypoints: np.ndarray,
    schema: KeypointSchema,
    size_wh: tuple[int, int],
) -> Windows:
    """Random windows for B persons.

    Args:
        draws: (B, NUM_DRAWS) in [0, 1), see `uniform_draws`; the last column is left for colours.
        boxes_xyxy: (B, 4) in image pixels.
        keypoints: (B, K, 3) x, y in image pixels and visibility.
        size_wh: of the crops; only the aspect ratio matters.
    """
    half, upper, moved, move_x, move_y, scale, turned, rotation, flip, _ = draws.T
    centres_xy, sizes_wh, _, _ = person_windows(boxes_xyxy, size_wh)
    if schema.upper_body and config.half_body_probability:
        upper = upper < config.half_body_upper_probability
        fits, half_xy, half_wh = half_body_windows(config, keypoints, schema, size_wh, upper)
        chosen = (fits & (half < config.half_body_probability))[:, None]
        centres_xy = np.where(chosen, half_xy, centres_xy)
        sizes_wh = np.where(chosen, half_wh, sizes_wh)
    if config.shift_probability:
        moves = config.shift * _truncated_normal(np.stack([move_x, move_y], axis=-1))
        moved = (moved < config.shift_probability)[:, None]
        centres_xy = centres_xy + np.where(moved, moves * sizes_wh, 0)
    sizes_wh = sizes_wh * (1 + _spread(config, scale, config.scale, limit=1))[:, None]
    rotations = _spread(config, rotation, config.rotation_degrees, limit=2)
    rotations = np.where(turned < config.rotation_probability, rotations, 0)
    mirrored = (flip < config.flip_probability) & bool(schema.flip_pairs)
    return Windows(centres_xy, sizes_wh, rotations, mirrored)


def half_body_windows(
    config: AugmentConfig,
    keypoints: np.ndarray,
    schema: KeypointSchema,
    size_wh: tuple[int, int],
    upper: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows around the upper or lower half of each person's labelled joints.

    The rule is that of the official code: the upper half is shown if it is wanted and has more than
    two labelled joints; otherwise the lower half if it has more than two; otherwise the upper half.

    Args:
        keypoints: (B, K, 3) x, y in image pixels and visibility.
        size_wh: of the crops; only the aspect ratio matters.
        upper: (B,) bool, whether the upper half is wanted.

    Returns:
        fits (B,) bool, false where a person has too few labelled joints or they all lie in one
        point; centres_xy (B, 2), the mean of the joints shown; sizes_wh (B, 2). The last two are in
        image pixels.
    """
    labelled = keypoints[..., 2] > 0
    in_upper = np.isin(np.arange(keypoints.shape[1]), schema.upper_body)
    above, below = labelled & in_upper, labelled & ~in_upper
    enough_above, enough_below = above.sum(axis=1) > FEW_JOINTS, below.sum(axis=1) > FEW_JOINTS
    shown = np.where(((upper & enough_above) | ~enough_below)[:, None], above, below)
    count = shown.sum(axis=1)
    fits = (labelled.sum(axis=1) >= config.half_body_min_visible) & (count >= FEW_JOINTS)
    xy, shown = keypoints[..., :2], (shown & fits[:, None])[..., None]
    low = np.where(shown, xy, np.inf).min(axis=1)
    high = np.where(shown, xy, -np.inf).max(axis=1)
    boxes_xyxy = np.where(fits[:, None], np.concatenate([low, high], axis=1), 0)
    _, sizes_wh = affine.crop_window(boxes_xyxy, size_wh, HALF_BODY_PADDING)
    centres_xy = np.where(shown, xy, 0).sum(axis=1) / np.maximum(count, 1)[:, None]
    return fits & (sizes_wh[:, 0] >= 1), centres_xy, sizes_wh


def window_matrices(
    windows: Windows,
    image_widths: np.ndarray,
    size_wh: tuple[int, int],
    convention: Convention,
) -> np.ndarray:
    """Affine maps (B, 2, 3) from image pixels (before mirroring) to crop pixels.

    As in the official code, a mirrored crop is cut from the mirrored image, with the rotation of
    its window.

    Args:
        image_widths: (B,) in pixels.
        size_wh: width and height of the crops in pixels.
    """
    mirrored = windows.mirrored
    mirrored_xy = affine.flip_points(windows.centres_xy, image_widths)
    centres_xy = np.where(mirrored[:, None], mirrored_xy, windows.centres_xy)
    matrices: np.ndarray = affine.crop_matrix(
        centres_xy, windows.sizes_wh, size_wh, windows.rotations_degrees, convention
    )
    mirrors = np.zeros_like(matrices)
    mirrors[:, 0, 0], mirrors[:, 1, 1], mirrors[:, 0, 2] = -1, 1, image_widths - 1
    of_mirrored: np.ndarray = affine.compose(matrices, mirrors)
    return np.where(mirrored[:, None, None], of_mirrored, matrices)


def crop_keypoints(
    keypoints: np.ndarray, matrices: np.ndarray, mirrored: np.ndarray, schema: KeypointSchema
) -> np.ndarray:
    """Maps keypoints to crop pixels and swaps left and right in mirrored crops.

    Args:
        keypoints: (B, K, 3) x, y in image pixels and visibility.
        matrices: (B, 2, 3) from `window_matrices`.
        mirrored: (B,) bool.

    Returns:
        (B, K, 3) float32: x, y in crop pixels and visibility; all 0 for unlabelled joints.
    """
    exchanged = keypoints[:, list(schema.flip_permutation)]
    keypoints = np.where(mirrored[:, None, None], exchanged, keypoints)
    labelled = keypoints[..., 2:] > 0
    xy = affine.transform_points(matrices, np.where(labelled, keypoints[..., :2], 0))
    visibility = keypoints[..., 2:]
    return np.where(labelled, np.concatenate([xy, visibility], axis=-1), 0).astype(np.float32)


def _spread(config: AugmentConfig, uniform: np.ndarray, factor: float, limit: float) -> np.ndarray:
    """Uniform draws as draws around 0 of the configured distribution and the width `factor`.

    Args:
        limit: normal draws are clipped to +- `limit` times `factor`.
    """
    if config.distribution == "uniform":
        return factor * (2 * uniform - 1)
    if config.distribution == "truncated":
        return factor * _truncated_normal(uniform)
    normal = _normal_quantile(np.maximum(uniform, np.finfo(float).tiny))
    return factor * np.clip(normal, -limit, limit)


def _truncated_normal(uniform: np.ndarray) -> np.ndarray:
    """Uniform draws as standard normal draws, truncated at one standard deviation."""
    low, high = NormalDist().cdf(-1), NormalDist().cdf(1)
    return _normal_quantile(low + (high - low) * uniform)


def reachable_boxes(
    config: AugmentConfig,
    boxes_xyxy: np.ndarray,
    keypoints: np.ndarray,
    schema: KeypointSchema,
    size_wh: tuple[int, int],
) -> np.ndarray:
    """The part of each image that `draw_windows` can reach: boxes (B, 4) in image pixels.

    The bound holds for every rotation, since a window stays in the circle through its corners.

    Args:
        boxes_xyxy: (B, 4) in image pixels.
        keypoints: (B, K, 3) x, y in image pixels and visibility.
        size_wh: of the crops; only the aspect ratio matters.
    """
    centres_xy, sizes_wh, _, _ = person_windows(boxes_xyxy, size_wh)
    reached = [_around(config, centres_xy, sizes_wh)]
    if schema.upper_body and config.half_body_probability:
        for upper in (False, True):
            wanted = np.full(len(boxes_xyxy), upper)
            fits, *window = half_body_windows(config, keypoints, schema, size_wh, wanted)
            reached.append(np.where(fits[:, None], _around(config, *window), reached[0]))
    all_reached = np.stack(reached)
    low, high = all_reached[..., :2].min(axis=0), all_reached[..., 2:].max(axis=0)
    return np.concatenate([low, high], axis=1)


def _around(config: AugmentConfig, centres_xy: np.ndarray, sizes_wh: np.ndarray) -> np.ndarray:
    """Boxes (B, 4) that contain windows for every shift, scale and rotation."""
    moved = config.shift * sizes_wh if config.shift_probability else 0
    radius = np.linalg.norm(sizes_wh, axis=1, keepdims=True) / 2 * (1 + config.scale)
    return np.concatenate([centres_xy - moved - radius, centres_xy + moved + radius], axis=1)
