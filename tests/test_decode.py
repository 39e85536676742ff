import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kptkit.conventions import heatmap_sigma
from kptkit.decode import blur_radius, decode, flip_back, heatmaps_from_logits
from kptkit.encode import encode
from kptkit.errors import InputError

METHODS = ["argmax", "quarter", "dark"]
# Width and height of the heatmaps of 192x256 and 288x384 crops and of the demo: sigma 2, 3 and 1.
SIZES = [(48, 64), (72, 96), (24, 32)]


def heatmaps_of(keypoints_xy, heatmap_wh, noise=0.0, seed=0):
    """Unbiased targets (B, H, W, K) of keypoints (B, K, 2), written as one formula, plus noise."""
    x, y = np.arange(heatmap_wh[0]), np.arange(heatmap_wh[1])
    along_x = (x[:, None] - keypoints_xy[:, None, :, 0]) ** 2
    along_y = (y[:, None] - keypoints_xy[:, None, :, 1]) ** 2
    squared = along_y[:, :, None] + along_x[:, None]
    heatmaps = np.exp(-squared / (2 * heatmap_sigma(heatmap_wh) ** 2))
    noise = np.random.default_rng(seed).normal(0, noise, heatmaps.shape)
    return (heatmaps + noise).astype(np.float32)


def random_points(heatmap_wh, margin, samples=8, seed=0):
    """Points (B, 17, 2) at least `margin` px inside the map."""
    low, high = np.full(2, margin), np.subtract(heatmap_wh, 1 + margin)
    return np.random.default_rng(seed).uniform(low, high, (samples, 17, 2))


def mean_error(keypoints, keypoints_xy):
    return np.linalg.norm(np.asarray(keypoints)[..., :2] - keypoints_xy, axis=-1).mean()


def each_map(function, heatmaps):
    """Results (B, K, 3) of a function of single maps (H, W)."""
    return np.array([[function(sample[..., k]) for k in range(17)] for sample in heatmaps])


def quarter_by_loop(heatmap):
    height, width = heatmap.shape
    y, x = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    dx = dy = 0
    if 1 < x < width - 1 and 1 < y < height - 1:
        dx = np.sign(heatmap[y, x + 1] - heatmap[y, x - 1]) / 4
        dy = np.sign(heatmap[y + 1, x] - heatmap[y - 1, x]) / 4
    return x + dx, y + dy, heatmap[y, x]


def newton_step(log, spacing_x=2, spacing_y=2):
    """Step from the middle of a function of (dy, dx) to its top, by central differences."""
    gradient = [(log(0, 1) - log(0, -1)) / 2, (log(1, 0) - log(-1, 0)) / 2]
    dxx = (log(0, spacing_x) - 2 * log(0, 0) + log(0, -spacing_x)) / spacing_x**2
    dyy = (log(spacing_y, 0) - 2 * log(0, 0) + log(-spacing_y, 0)) / spacing_y**2
    dxy = (log(1, 1) - log(-1, 1) - log(1, -1) + log(-1, -1)) / 4
    hessian = np.array([[dxx, dxy], [dxy, dyy]])
    if np.linalg.eigvalsh(hessian).max() >= 0:
        return None
    return np.linalg.solve(hessian, np.negative(gradient))


def published_dark(heatmap, kernel_size, sigma):
    """The DARK paper's steps with OpenCV's blur, for peaks away from the border."""
    y, x = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    blurred = cv2.GaussianBlur(heatmap.astype(float), (kernel_size, kernel_size), sigma)
    log = np.log(np.maximum(blurred * (heatmap.max() / blurred.max()), 1e-10))
    step_x, step_y = newton_step(lambda dy, dx: log[y + dy, x + dx])
    return x + step_x, y + step_y, heatmap[y, x]


def dark_by_loop(heatmap, sigma):
    """The rule of the docstring, border included, in plain loops over pixels."""
    radius = blur_radius(sigma)
    peak = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    centre, spacing, reach = [], [], []
    for position, size in zip(peak, heatmap.shape, strict=True):
        inside = radius + 2 <= position <= size - 3 - radius
        centre.append(min(max(position, 1), size - 2))
        spacing.append(2 if inside else 1)
        reach.append(min(radius, centre[-1] - spacing[-1], size - 1 - centre[-1] - spacing[-1]))

    def log(dy, dx):
        total = 0.0
        for j in range(-reach[0], reach[0] + 1):
            for i in range(-reach[1], reach[1] + 1):
                value = float(heatmap[centre[0] + dy + j, centre[1] + dx + i])
                total += value * np.exp(-(i**2 + j**2) / (2 * sigma**2))
        return np.log(max(total, 1e-10))

    step = newton_step(log, spacing[1], spacing[0])
    if step is None:
        return peak[1], peak[0], heatmap[peak]
    offset = np.clip(np.array(centre[::-1]) + step - peak[::-1], -sigma, sigma)
    return peak[1] + offset[0], peak[0] + offset[1], heatmap[peak]


@pytest.mark.parametrize("method", METHODS)
def test_no_samples(method):
    assert decode(np.zeros((0, 64, 48, 17), np.float32), method).shape == (0, 17, 3)


def test_unknown_method():
    with pytest.raises(InputError, match="expected one of 'argmax', 'quarter', 'dark'"):
        decode(np.zeros((1, 64, 48, 17), np.float32), "soft-argmax")


@pytest.mark.parametrize("method", METHODS)
def test_first_of_equal_pixels_in_reading_order(compiled, method):
    heatmaps = np.zeros((1, 64, 48, 2), np.float32)
    heatmaps[0, [20, 20, 40], [30, 10, 5], :] = 1  # two in row 20, one further left in row 40
    keypoints = np.asarray(compiled(lambda maps: decode(maps, method))(heatmaps))
    np.testing.assert_array_equal(np.round(keypoints), [[[10, 20, 1]] * 2])


@pytest.mark.parametrize("heatmap_wh", SIZES)
def test_quarter_equals_the_loop(compiled, heatmap_wh):
    heatmaps = heatmaps_of(random_points(heatmap_wh, -0.4), heatmap_wh, noise=0.02)
    keypoints = compiled(lambda maps: decode(maps, "quarter"))(heatmaps)
    np.testing.assert_allclose(keypoints, each_map(quarter_by_loop, heatmaps), atol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("heatmap_wh", SIZES)
def test_dark_equals_the_loop(compiled, heatmap_wh, noise):
    sigma = heatmap_sigma(heatmap_wh)
    points = np.concatenate(
        [random_points(heatmap_wh, 10, samples=2), random_points(heatmap_wh, -0.4, samples=2)]
    )
    points[2:, :8, 0] = np.linspace(-0.4, 12, 8)
    points[2:, 8:, 1] = heatmap_wh[1] - 1 - np.linspace(-0.4, 12, 9)
    heatmaps = heatmaps_of(points, heatmap_wh, noise)
    keypoints = compiled(lambda maps: decode(maps, "dark", sigma))(heatmaps)
    expected = each_map(lambda heatmap: dark_by_loop(heatmap, sigma), heatmaps)
    np.testing.assert_allclose(keypoints, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("heatmap_wh", "kernel_size"), [((24, 32), 5), ((48, 64), 11), ((72, 96), 17)]
)
def test_dark_is_the_published_one_inside_the_map(heatmap_wh, kernel_size):
    sigma = heatmap_sigma(heatmap_wh)
    heatmaps = heatmaps_of(random_points(heatmap_wh, blur_radius(sigma) + 3), heatmap_wh, 0.02)
    expected = each_map(lambda heatmap: published_dark(heatmap, kernel_size, sigma), heatmaps)
    np.testing.assert_allclose(decode(heatmaps, "dark", sigma), expected, atol=1e-5)


@pytest.mark.parametrize("heatmap_wh", SIZES)
def test_dark_decodes_what_encode_drew(heatmap_wh):
    points = random_points(heatmap_wh, 1.5, samples=32)
    keypoints = np.concatenate([points, np.ones((32, 17, 1))], axis=-1)
    sigma = heatmap_sigma(heatmap_wh)
    heatmaps, _ = encode(keypoints, heatmap_wh, sigma, "unbiased")
    assert mean_error(decode(heatmaps, "dark", sigma), points) < 0.01


@pytest.mark.parametrize(
    ("heatmap_wh", "noise", "expected"),
    [((48, 64), 0, 0.01), ((72, 96), 0, 0.01), ((24, 32), 0, 0.01),
     ((48, 64), 0.02, 0.1), ((72, 96), 0.02, 0.15), ((24, 32), 0.02, 0.1)],
)  # fmt: skip
def test_dark_near_the_border(heatmap_wh, noise, expected):
    points = random_points(heatmap_wh, 10, samples=32)
    points[..., 0] = np.random.default_rng(1).uniform(-0.4, 1.4, points.shape[:2])
    heatmaps = heatmaps_of(points, heatmap_wh, noise)
    assert mean_error(decode(heatmaps, "argmax"), points) > 0.36
    assert mean_error(decode(heatmaps, "dark", heatmap_sigma(heatmap_wh)), points) < expected
    mirrored = decode(heatmaps[:, :, ::-1], "dark", heatmap_sigma(heatmap_wh))
    assert mean_error(mirrored, [heatmap_wh[0] - 1, 0] + points * [-1, 1]) < expected


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_dark_stays_within_sigma_of_the_peak(sigma):
    noise = np.random.default_rng(0).normal(0, 1, (8, 64, 48, 17)).astype(np.float32)
    step = np.asarray(decode(noise, "dark", sigma)) - np.asarray(decode(noise, "argmax"))
    assert np.abs(step).max() == sigma
    assert (step == 0).all(axis=-1).any()  # no step where the map is not curved downwards


def test_dark_corrects_a_peak_that_noise_moved():
    points = random_points((72, 96), 12, samples=32)
    heatmaps = heatmaps_of(points, (72, 96), noise=0.1)
    assert mean_error(decode(heatmaps, "argmax"), points) > 0.85
    assert mean_error(decode(heatmaps, "dark", 3.0), points) < 0.11


def nothing_shown():
    shown = heatmaps_of(np.full((1, 1, 2), 20.0), (48, 64))[0, :, :, 0]
    maps = {"zero": 0 * shown, "constant": 0 * shown + 0.5, "negative": shown - 2}
    for name, value in (("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf)):
        maps[f"all {name}"] = np.full_like(shown, value)
        maps[f"one {name} far"], maps[f"one {name} near"] = shown.copy(), shown.copy()
        maps[f"one {name} far"][50, 40] = maps[f"one {name} near"][20, 21] = value
    return maps


@pytest.mark.parametrize("method", METHODS)
def test_maps_that_show_nothing_score_0(compiled, method):
    heatmaps = np.stack(list(nothing_shown().values()), axis=-1)[None]
    keypoints = compiled(lambda maps: decode(maps, method))(heatmaps)
    np.testing.assert_array_equal(keypoints, np.zeros((1, heatmaps.shape[-1], 3)))


@given(arrays(np.float32, (1, 9, 8, 2), elements=st.floats(width=32)), st.sampled_from(METHODS))
@settings(max_examples=100, deadline=None)
def test_any_map_gives_a_finite_point(heatmaps, method):
    keypoints = np.asarray(decode(heatmaps, method, 1.0))
    assert np.isfinite(keypoints).all()
    assert (keypoints[..., 2] >= 0).all()
    assert (np.abs(keypoints[..., :2] - [3.5, 4]) <= [4.5, 5]).all()  # at most sigma away


@pytest.mark.parametrize("heatmap_wh", [(1, 1), (2, 1), (2, 3), (3, 3)])
def test_tiny_maps(heatmap_wh):
    heatmaps = np.random.default_rng(0).random((4, *heatmap_wh[::-1], 17)).astype(np.float32)
    assert np.isfinite(decode(heatmaps, "dark")).all()


def test_half_precision_is_taken():
    heatmaps = heatmaps_of(random_points((48, 64), 10), (48, 64))
    keypoints = decode(heatmaps.astype(np.float16), "dark")
    assert keypoints.dtype == "float32"
    np.testing.assert_allclose(keypoints, decode(heatmaps, "dark"), atol=0.02)


PERMUTATION = (0, *(k + 1 if k % 2 else k - 1 for k in range(1, 17)))


@pytest.mark.parametrize("alignment", ["fractional", "whole_pixel", "none"])
def test_flip_back_equals_the_loop(compiled, alignment):
    mirrored = np.random.default_rng(0).random((2, 8, 6, 17)).astype(np.float32)
    expected = np.zeros_like(mirrored)
    shift = {"fractional": 0.75, "whole_pixel": 1, "none": 0}[alignment]
    for k, source in enumerate(PERMUTATION):
        for x in range(6):
            columns = [5 - min(max(x + offset, 0), 5) for offset in (-2, -1, 0, 1)]
            values = mirrored[:, :, columns, source].reshape(16, 4)
            cubic = np.polyfit([-2, -1, 0, 1], values.T, 3)
            expected[:, :, x, k] = np.polyval(cubic, -shift).reshape(2, 8)
    back = compiled(lambda maps: flip_back(maps, PERMUTATION, alignment))(mirrored)
    np.testing.assert_allclose(back, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("alignment", "low", "high"),
    [("fractional", 0, 0.01), ("whole_pixel", 0.11, 0.14), ("none", 0.36, 0.39)],
)
@pytest.mark.parametrize("heatmap_wh", SIZES)
def test_error_of_flip_averaging(heatmap_wh, alignment, low, high):
    stride = 4
    points = random_points(heatmap_wh, 2, samples=16)
    # A perfect network's map of the mirrored crop: in crop px, x becomes W - 1 - x.
    mirrored_x = (stride * heatmap_wh[0] - 1 - stride * points[..., 0]) / stride
    mirrored = np.stack([mirrored_x, points[..., 1]], axis=-1)[:, list(PERMUTATION)]
    back = flip_back(heatmaps_of(mirrored, heatmap_wh), PERMUTATION, alignment, stride)
    average = (heatmaps_of(points, heatmap_wh) + np.asarray(back)) / 2
    error = mean_error(decode(average, "dark", heatmap_sigma(heatmap_wh)), points)
    assert low <= error <= high


@pytest.mark.parametrize(
    ("convention", "shift"), [("udp", 0), ("darkpose", 0), ("princeton", -0.25)]
)
def test_fractional_is_exact_in_other_conventions_too(convention, shift):
    """What `--convention udp` got before: 0.75 px, as in the official convention."""
    mirrored = np.zeros((1, 5, 9, 17), np.float32)
    mirrored[..., :] = np.arange(9, dtype=np.float32)[:, None]  # a ramp: cubic is exact
    back = np.asarray(flip_back(mirrored, PERMUTATION, "fractional", 4, convention))
    expected = 8 - (np.arange(9) - shift)
    np.testing.assert_allclose(back[0, 0, 2:-2, 0], expected[2:-2], atol=1e-5)


@pytest.mark.parametrize("heatmap_wh", SIZES)
def test_logits_of_a_perfect_network_give_its_targets(compiled, heatmap_wh):
    sigma = heatmap_sigma(heatmap_wh)
    targets = heatmaps_of(random_points(heatmap_wh, 4 * sigma), heatmap_wh)
    logits = np.log(targets + 1e-12) + np.random.default_rng(0).normal(0, 50, (8, 1, 1, 17))
    heatmaps = compiled(lambda maps: heatmaps_from_logits(maps, sigma))(logits.astype(np.float32))
    np.testing.assert_allclose(heatmaps, targets, atol=1e-3)


def test_logits_never_exceed_1_and_keep_their_shape():
    points = np.array([[[0.2, 0.3], [20.4, 30.3]]])
    sharp = np.log(heatmaps_of(points, (48, 64)) + 1e-30) * 4
    heatmaps = heatmaps_from_logits(sharp, 2.0)
    np.testing.assert_allclose(np.max(heatmaps, axis=(1, 2)), 1)
    np.testing.assert_allclose(decode(heatmaps, "dark")[..., :2], points, atol=0.02)


@pytest.mark.parametrize("logit", [0.0, 1e30, np.nan, np.inf, -np.inf])
def test_logits_that_show_nothing_score_0(logit):
    logits = np.full((1, 64, 48, 1), logit, np.float32)
    keypoints = decode(heatmaps_from_logits(logits, 2.0), "dark")
    np.testing.assert_array_equal(keypoints, np.zeros((1, 1, 3)))
