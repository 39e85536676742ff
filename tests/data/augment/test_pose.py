"""Windows, matrices and keypoints against plain loops written from the papers."""

import math
from statistics import NormalDist

import cv2
import numpy as np
import pytest

from kptkit.data.augment import pose, settings
from kptkit.data.augment.pose import Windows
from kptkit.data.augment.settings import AugmentConfig
from kptkit.errors import InputError
from kptkit.geometry import affine
from kptkit.skeletons.known import COCO_17
from kptkit.skeletons.schema import KeypointSchema

SIZE_WH = (192, 256)
# The augmentation of published recipes.
RECIPES = {
    "hrnet_coco": settings.HRNET_COCO,
    "hrnet_mpii": settings.HRNET_MPII,
    "hourglass": settings.HOURGLASS,
    "mmpose": AugmentConfig(
        distribution="truncated",
        scale=0.5,
        rotation_degrees=80.0,
        half_body_upper_probability=0.7,
        shift=0.16,
        shift_probability=0.3,
    ),
    "paddle": AugmentConfig(scale=0.5, rotation_degrees=40.0),
    "wz_miaomiao": AugmentConfig(
        distribution="uniform",
        rotation_probability=1.0,
        half_body_upper_probability=0.5,
        half_body_min_visible=3,
    ),
}
NOTHING = AugmentConfig(
    scale=0, rotation_probability=0, flip_probability=0, half_body_probability=0
)


def random_persons(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 300, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 300, (count, 2))], axis=1)
    spread = rng.uniform(size=(count, 17, 2)) * (boxes[:, None, 2:] - boxes[:, None, :2])
    visibility = rng.integers(0, 3, (count, 17, 1))
    return boxes, np.concatenate([boxes[:, None, :2] + spread, visibility], axis=2)


def official_window(config, draws, box, keypoints):
    """One person's window from ten uniform numbers, by the steps of the official code."""
    half, upper, moved, move_x, move_y, scale, turned, rotation, flip, _ = draws

    def grown(width, height, padding):
        aspect = SIZE_WH[0] / SIZE_WH[1]
        if width > aspect * height:
            height = width / aspect
        else:
            width = height * aspect
        return np.array([width, height]) * padding

    def spread(uniform, limit):
        if config.distribution == "uniform":
            return 2 * uniform - 1
        if config.distribution == "truncated":
            low, high = NormalDist().cdf(-1), NormalDist().cdf(1)
            return NormalDist().inv_cdf(low + uniform * (high - low))
        return min(max(NormalDist().inv_cdf(uniform), -limit), limit)

    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    window = grown(box[2] - box[0], box[3] - box[1], 1.25)
    labelled = [joint for joint in keypoints if joint[2] > 0]
    if len(labelled) >= config.half_body_min_visible and half < config.half_body_probability:
        above = [p[:2] for i, p in enumerate(keypoints) if p[2] > 0 and i in COCO_17.upper_body]
        below = [p[:2] for i, p in enumerate(keypoints) if p[2] > 0 and i not in COCO_17.upper_body]
        if upper < config.half_body_upper_probability and len(above) > 2:
            chosen = above
        else:
            chosen = below if len(below) > 2 else above
        if len(chosen) >= 2:
            centre = np.mean(chosen, axis=0)
            window = grown(*(np.max(chosen, axis=0) - np.min(chosen, axis=0)), 1.5)
    if moved < config.shift_probability:
        low, high = NormalDist().cdf(-1), NormalDist().cdf(1)
        moves = [NormalDist().inv_cdf(low + u * (high - low)) for u in (move_x, move_y)]
        centre = centre + np.array(moves) * config.shift * window
    window = window * (1 + config.scale * spread(scale, 1))
    degrees = 0.0
    if turned < config.rotation_probability:
        degrees = config.rotation_degrees * spread(rotation, 2)
    return centre, window, degrees, flip < config.flip_probability


@pytest.mark.parametrize("count", [0, 1, 50])
@pytest.mark.parametrize("recipe", RECIPES)
def test_windows_follow_the_official_steps(recipe, count):
    config = RECIPES[recipe]
    boxes, keypoints = random_persons(count)
    draws = np.random.default_rng(1).random((count, pose.NUM_DRAWS))
    windows = pose.draw_windows(config, draws, boxes, keypoints, COCO_17, SIZE_WH)
    assert windows.centres_xy.shape == windows.sizes_wh.shape == (count, 2)
    for row in range(count):
        expected = official_window(config, draws[row], boxes[row], keypoints[row])
        found = [field[row] for field in windows]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)


def half_of(above: int, below: int, upper: bool) -> str:
    """Which half is shown of a person with the given numbers of upper and lower joints."""
    keypoints = np.zeros((1, 17, 3))
    for joint in range(above):
        keypoints[0, joint] = [10 + joint, 20 + joint % 3, 1]
    for joint in range(11, 11 + below):
        keypoints[0, joint] = [60 + joint, 120 + joint % 3, 2]
    fits, centres_xy, _ = pose.half_body_windows(
        AugmentConfig(), keypoints, COCO_17, SIZE_WH, np.array([upper])
    )
    if not fits[0]:
        return "none"
    return "upper" if centres_xy[0, 1] < 60 else "lower"


@pytest.mark.parametrize(
    ("above", "below", "upper", "shown"),
    [
        (0, 0, True, "none"),
        (4, 4, True, "none"),  # nine labelled joints are needed
        (5, 4, True, "upper"),
        (5, 4, False, "lower"),
        (11, 2, False, "upper"),  # two joints are too few, so the other half
        (11, 0, False, "upper"),
        (3, 6, True, "upper"),
        (3, 6, False, "lower"),
    ],
)
def test_half_body_rule(above, below, upper, shown):
    assert half_of(above, below, upper) == shown


def test_half_body_of_joints_in_one_point_is_none():
    keypoints = np.tile([50.0, 60.0, 2.0], (1, 17, 1))
    upper = np.array([True])
    fits, _, _ = pose.half_body_windows(AugmentConfig(), keypoints, COCO_17, SIZE_WH, upper)
    assert not fits[0]


def test_official_probability_of_the_upper_half_is_that_of_a_normal_below_half():
    expected = NormalDist().cdf(0.5)
    assert AugmentConfig().half_body_upper_probability == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("degrees", [0.0, 37.0, -80.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_matrix_is_the_official_one_on_the_mirrored_picture(mirrored, degrees):
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8), (0, 0), 3
    )
    centre, window = np.array([120.0, 90.0]), np.array([150.0, 200.0])
    windows = Windows(centre[None], window[None], np.array([degrees]), np.array([mirrored]))
    matrix = pose.window_matrices(windows, np.array([300]), SIZE_WH, "official")[0]

    picture = image[:, ::-1].copy() if mirrored else image
    at = np.array([300 - 1 - centre[0], centre[1]]) if mirrored else centre
    turn = math.radians(degrees)
    up = np.array([math.sin(turn), -math.cos(turn)]) * window[0] / 2
    right = np.array([-up[1], up[0]])
    source = np.array([at, at + up, at + up + right], np.float32)
    target = np.array([[96, 128], [96, 128 - 96], [96 + 96, 128 - 96]], np.float32)
    official = cv2.warpAffine(picture, cv2.getAffineTransform(source, target), SIZE_WH)
    assert np.abs(affine.warp(image, matrix, SIZE_WH).astype(int) - official).max() <= 1


@pytest.mark.parametrize("mirrored", [False, True])
def test_keypoints_stay_on_what_they_mark_and_change_sides_in_a_mirror(mirrored):
    _, keypoints = random_persons(3)
    keypoints[0, :, 2] = 0
    keypoints[1, 4] = [np.nan, np.nan, 0]
    rng = np.random.default_rng(2)
    matrices = rng.normal(size=(3, 2, 3))
    found = pose.crop_keypoints(keypoints, matrices, np.full(3, mirrored), COCO_17)
    partner = {a: b for pair in COCO_17.flip_pairs for a, b in (pair, pair[::-1])}
    for person in range(3):
        for joint in range(17):
            taken = partner.get(joint, joint) if mirrored else joint
            x, y, visibility = keypoints[person, taken]
            expected = [0, 0, 0]
            if visibility:
                expected = [*(matrices[person] @ [x, y, 1]), visibility]
            np.testing.assert_allclose(found[person, joint], expected, rtol=1e-5, atol=1e-3)


def test_nothing_drawn_is_the_window_of_evaluation():
    boxes, keypoints = random_persons(5)
    draws = np.random.default_rng(0).random((5, pose.NUM_DRAWS))
    drawn = pose.draw_windows(NOTHING, draws, boxes, keypoints, COCO_17, SIZE_WH)
    for one, other in zip(drawn, pose.person_windows(boxes, SIZE_WH), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_flip_pairs_no_mirror_and_no_upper_body_no_halves():
    schema = KeypointSchema(COCO_17.names, (), (), COCO_17.oks_sigmas)
    boxes, keypoints = random_persons(50)
    keypoints[..., 2] = 2
    always = AugmentConfig(flip_probability=1, half_body_probability=1, scale=0)
    draws = np.random.default_rng(0).random((50, pose.NUM_DRAWS))
    windows = pose.draw_windows(always, draws, boxes, keypoints, schema, SIZE_WH)
    assert not windows.mirrored.any()
    np.testing.assert_array_equal(
        windows.centres_xy, pose.person_windows(boxes, SIZE_WH).centres_xy
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_window_leaves_what_is_reachable(recipe):
    config = RECIPES[recipe]
    boxes, keypoints = random_persons(40)
    reach = pose.reachable_boxes(config, boxes, keypoints, COCO_17, SIZE_WH)
    closest = -np.inf
    for seed in range(200):
        draws = np.random.default_rng(seed).random((40, pose.NUM_DRAWS))
        windows = pose.draw_windows(config, draws, boxes, keypoints, COCO_17, SIZE_WH)
        matrices = pose.window_matrices(windows, np.full(40, 640), SIZE_WH, "official")
        corners = np.array([[0, 0], [191, 0], [0, 255], [191, 255]])
        seen = affine.transform_points(affine.invert(matrices), corners)
        beyond = np.maximum(reach[:, None, :2] - seen, seen - reach[:, None, 2:])
        assert beyond.max() <= 1e-6
        closest = max(closest, beyond.max())
    assert closest > -15, "the reach is far larger than what is drawn"


def test_draws_depend_on_seed_epoch_and_sample_alone():
    epochs, ids = np.array([0, 0, 1]), np.array([7, 8, 7])
    draws = pose.uniform_draws(3, epochs, ids)
    assert draws.shape == (3, pose.NUM_DRAWS)
    assert len(np.unique(draws)) == draws.size
    np.testing.assert_array_equal(pose.uniform_draws(3, epochs[1:], ids[1:]), draws[1:])
    assert not np.array_equal(pose.uniform_draws(4, epochs, ids), draws)
    assert pose.uniform_draws(3, epochs[:0], ids[:0]).shape == (0, pose.NUM_DRAWS)


@pytest.mark.parametrize(
    ("field", "value"), [("flip_probability", 1.5), ("half_body_probability", -0.1), ("scale", 1.0)]
)
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        AugmentConfig(**{field: value})
