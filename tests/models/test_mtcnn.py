"""P-Net, R-Net and O-Net against published parameter counts and NumPy loops."""

import keras
import numpy as np
import pytest

from kptkit.models.blocks import dtype_policy_scope
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


# From the published weight files; for R-Net with its landmark head, from the authors' own file.
@pytest.mark.parametrize(
    ("stage", "without", "with_landmarks"),
    [("pnet", 6_632, 6_962), ("rnet", 100_178, 101_468), ("onet", 389_040, 389_040)],
)
def test_parameter_counts(stage, without, with_landmarks):
    assert mtcnn(stage, landmarks=False).count_params() == without
    assert mtcnn(stage).count_params() == with_landmarks


@pytest.mark.parametrize(
    ("stage", "landmarks", "heads"),
    [
        ("pnet", False, ["logits", "box"]),
        ("rnet", False, ["logits", "box"]),
        ("rnet", True, ["logits", "box", "landmark"]),
        ("onet", False, ["logits", "box", "landmark"]),
    ],
)
def test_outputs_have_names_and_order(stage, landmarks, heads):
    model = mtcnn(stage, landmarks)
    assert model.name == stage
    size = STAGES[stage].size
    outputs = model(pixels(2, size, size))
    assert list(outputs) == heads
    space = (1, 1) if stage == "pnet" else ()
    widths = {"logits": 2, "box": 4, "landmark": 10}
    for name in heads:
        assert outputs[name].shape == (2, *space, widths[name])
        assert outputs[name].dtype == "float32"


@pytest.mark.parametrize("hw", [(12, 12), (13, 12), (14, 15), (15, 14), (37, 52), (52, 37)])
def test_pnet_has_a_window_for_every_two_pixels_begun(hw):
    logits = mtcnn("pnet")(pixels(1, *hw))["logits"]
    assert logits.shape[1:3] == tuple(int(np.ceil((n - 2) / 2)) - 4 for n in hw)


def test_sides_after_every_pooling():
    """Sizes as in Caffe: 24 px give 22, 11, 9, 4 and 3; 48 px give 46, 23, 21, 10, 8, 4 and 3."""
    for stage, expected in [("rnet", [11, 4]), ("onet", [23, 10, 4])]:
        model = mtcnn(stage)
        pools = [x for x in model.layers if isinstance(x, keras.layers.MaxPooling2D)]
        assert [x.output.shape[1:3] for x in pools] == [(n, n) for n in expected]
        assert model.get_layer("flatten").input.shape[1:3] == (3, 3)


def ceil_pool_by_loop(maps, pool):
    """Stride-2 max pooling of a map (H, W, C); the last window is cut off at the border."""
    height, width = (int(np.ceil((n - pool) / 2)) + 1 for n in maps.shape[:2])
    out = np.empty((height, width, maps.shape[2]), maps.dtype)
    for y in range(height):
        for x in range(width):
            out[y, x] = maps[2 * y : 2 * y + pool, 2 * x : 2 * x + pool].max((0, 1))
    return out


@pytest.mark.parametrize(
    ("stage", "layer", "pool", "hw"),
    [
        ("pnet", "pool1", 2, (24, 24)),
        ("pnet", "pool1", 2, (25, 24)),
        ("pnet", "pool1", 2, (24, 25)),
        ("rnet", "pool1", 3, (24, 24)),
        ("rnet", "pool2", 3, (24, 24)),
        ("onet", "pool1", 3, (48, 48)),
        ("onet", "pool2", 3, (48, 48)),
        ("onet", "pool3", 2, (48, 48)),
    ],
)
def test_pooling_equals_the_loop(stage, layer, pool, hw):
    model = mtcnn(stage)
    pooling = model.get_layer(layer)
    before, after = keras.Model(model.input, [pooling.input, pooling.output])(pixels(1, *hw))
    expected = ceil_pool_by_loop(np.asarray(before[0]), pool)
    np.testing.assert_array_equal(after[0], expected)


def test_the_first_layer_brings_pixels_to_one_around_zero():
    model = mtcnn("pnet")
    first = keras.Model(model.input, model.get_layer("normalise").output)
    values = first(np.full((1, 12, 12, 3), [0, 127, 255], np.uint8))[0, 0, 0]
    np.testing.assert_array_equal(values, [-127.5 / 128, -0.5 / 128, 127.5 / 128])


@pytest.mark.parametrize("stage", STAGES)
def test_a_negative_slope_of_a_quarter_follows_all_but_the_heads(stage):
    model = mtcnn(stage)
    rectified = [x.name for x in model.layers if isinstance(x, keras.layers.PReLU)]
    linear = [
        x.name for x in model.layers if isinstance(x, keras.layers.Conv2D | keras.layers.Dense)
    ]
    assert len(rectified) == len(linear) - 3
    for name in rectified:
        slope = model.get_layer(name)
        assert slope.alpha.shape == (1,) * (len(slope.alpha.shape) - 1) + slope.output.shape[-1:]
        np.testing.assert_array_equal(slope.alpha, np.full(slope.alpha.shape, 0.25))
        part = keras.Model(model.input, [slope.input, slope.output])
        before, after = map(np.asarray, part(pixels(1, STAGES[stage].size, STAGES[stage].size)))
        np.testing.assert_allclose(after, np.where(before > 0, before, before / 4), rtol=1e-6)


@pytest.mark.parametrize("stage", STAGES)
def test_every_channel_has_its_slope(stage, compiled):
    model, size = mtcnn(stage), STAGES[stage].size
    rng = np.random.default_rng(0)
    slopes = [x for x in model.layers if isinstance(x, keras.layers.PReLU)]
    for slope in slopes:
        slope.alpha.assign(rng.uniform(-2, 2, slope.alpha.shape))
    ends = [tensor for slope in slopes for tensor in (slope.input, slope.output)]
    tensors = compiled(keras.Model(model.input, ends))(pixels(2, size, size).astype(np.float32))
    for slope, before, after in zip(slopes, tensors[::2], tensors[1::2], strict=True):
        before = np.asarray(before)
        expected = np.where(before > 0, before, before * np.asarray(slope.alpha))
        np.testing.assert_allclose(after, expected, atol=1e-6)


@pytest.mark.parametrize(("stage", "kernels"), [("pnet", 6), ("rnet", 3), ("onet", 4)])
def test_l2_sums_the_squares_of_convolution_kernels_only(stage, kernels):
    assert mtcnn(stage).losses == []
    model = mtcnn(stage, l2=0.5)
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert len(convolutions) == kernels
    expected = sum(np.square(np.asarray(x.kernel, np.float64)).sum() for x in convolutions) / 2
    np.testing.assert_allclose(sum(map(float, model.losses)), expected, rtol=1e-5)


def test_convolutions_start_with_the_variance_of_glorot():
    kernel = np.asarray(mtcnn("onet").get_layer("conv3").kernel)
    limit = np.sqrt(6 / (9 * 64 + 9 * 64))
    assert np.abs(kernel).max() <= limit
    np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.02)


def test_mixed_precision_computes_in_bfloat16_and_answers_in_float32():
    with dtype_policy_scope("mixed_bfloat16"):
        model = mtcnn("rnet")
    assert model.get_layer("conv2").compute_dtype == "bfloat16"
    assert model.get_layer("normalise").compute_dtype == "float32"
    assert all(x.dtype == "float32" for x in model(pixels(1, 24, 24)).values())
