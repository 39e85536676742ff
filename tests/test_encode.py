import numpy as np
import pytest

from kptkit.conventions import heatmap_sigma
from kptkit.encode import encode
from kptkit.errors import InputError

SIZES = [((48, 64), 2.0), ((72, 96), 3.0), ((32, 32), 1.0), ((40, 24), 1.5)]


def targets_by_loop(keypoints, heatmap_wh, sigma, target):
    """One sample by plain loops over keypoints and pixels, from the published description."""
    width, height = heatmap_wh
    radius = int(3 * sigma)
    heatmaps = np.zeros((height, width, len(keypoints)))
    weights = np.zeros(len(keypoints))
    for k, (x, y, weight) in enumerate(keypoints):
        if weight == 0:
            continue
        pixel_x, pixel_y = int(x + 0.5), int(y + 0.5)  # int() truncates towards zero
        columns = range(max(0, pixel_x - radius), min(width, pixel_x + radius + 1))
        rows = range(max(0, pixel_y - radius), min(height, pixel_y + radius + 1))
        if len(columns) == 0 or len(rows) == 0:
            continue
        weights[k] = weight
        if target == "msra":
            x, y = pixel_x, pixel_y
        else:
            columns, rows = range(width), range(height)
        for row in rows:
            for column in columns:
                squared = (column - x) ** 2 + (row - y) ** 2
                heatmaps[row, column, k] = np.exp(-squared / (2 * sigma**2))
    return heatmaps, weights


def test_no_samples():
    heatmaps, weights = encode(np.zeros((0, 17, 3)), (48, 64), 2.0)
    assert heatmaps.shape == (0, 64, 48, 17)
    assert weights.shape == (0, 17)


def test_unknown_target():
    with pytest.raises(InputError, match="expected one of 'msra', 'unbiased'"):
        encode(np.zeros((1, 17, 3)), (48, 64), 2.0, "MSRA")


@pytest.mark.parametrize(
    ("heatmap_wh", "expected"),
    [((48, 64), 2), ((64, 64), 2), ((72, 96), 3), ((24, 32), 1), ((8, 8), 1), ((80, 60), 2.5)],
)
def test_sigma_follows_the_longer_side(heatmap_wh, expected):
    assert heatmap_sigma(heatmap_wh) == expected


@pytest.mark.parametrize("target", ["msra", "unbiased"])
@pytest.mark.parametrize(("heatmap_wh", "sigma"), SIZES)
def test_targets_equal_the_loop(compiled, target, heatmap_wh, sigma):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-12, np.add(heatmap_wh, 12), (3, 17, 2))
    weights = rng.choice([0, 0.5, 1, 1.5], (3, 17, 1))
    keypoints = np.concatenate([keypoints, weights], axis=-1).astype(np.float32)
    heatmaps, weights = compiled(lambda points: encode(points, heatmap_wh, sigma, target))(
        keypoints
    )
    for sample in range(3):
        expected = targets_by_loop(keypoints[sample], heatmap_wh, sigma, target)
        np.testing.assert_allclose(heatmaps[sample], expected[0], atol=2e-6)
        np.testing.assert_array_equal(weights[sample], expected[1])


@pytest.mark.parametrize("target", ["msra", "unbiased"])
@pytest.mark.parametrize(
    ("x", "weight"),
    # Sigma 2 on 48 columns: the square reaches 6 px. The official code keeps the second row too.
    [(-7.4, 1), (-7.6, 0), (-8.6, 0), (53.4, 1), (53.6, 0)],
)
def test_weight_ends_where_the_square_leaves_the_map(target, x, weight):
    _, weights = encode(np.array([[[x, 20, 1], [20, x + 16 * (x > 0), 1]]]), (48, 64), 2.0, target)
    np.testing.assert_array_equal(weights, [[weight, weight]])


@pytest.mark.parametrize("target", ["msra", "unbiased"])
def test_unusable_keypoints_stay_alone(compiled, target):
    unusable = [
        (20, 20, 0), (20, 20, -1), (20, 20, np.nan), (np.nan, 20, 1), (20, np.inf, 1),
        (-np.inf, 20, 0), (np.nan, np.nan, 0), (1e30, -1e30, 1), (3e38, 3e38, 0),
    ]  # fmt: skip
    keypoints = np.array([[(10, 12, 1), *unusable]], np.float32)
    heatmaps, weights = compiled(lambda points: encode(points, (48, 64), 2.0, target))(keypoints)
    expected, _ = targets_by_loop(keypoints[0, :1], (48, 64), 2.0, target)
    np.testing.assert_allclose(heatmaps[0, :, :, :1], expected, atol=2e-6)
    np.testing.assert_array_equal(heatmaps[0, :, :, 1:], 0)
    np.testing.assert_array_equal(weights[0], [1] + [0] * len(unusable))
