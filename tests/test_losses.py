import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kptkit.conventions import heatmap_sigma
from kptkit.encode import encode
from kptkit.errors import InputError
from kptkit.losses import HeatmapLoss, heatmap_mse, heatmap_ohkm, spatial_cross_entropy

LOSSES = [heatmap_mse, heatmap_ohkm, spatial_cross_entropy]
NAMES = ["mse", "ohkm", "cross_entropy"]


def random_maps(samples=3, num_keypoints=11, seed=0):
    """Target heatmaps, predictions, and weights of which some are 0."""
    rng = np.random.default_rng(seed)
    shape = (samples, 8, 6, num_keypoints)
    true, predicted = rng.random(shape), rng.normal(0, 1, shape)
    weights = rng.choice([0, 0.5, 1, 1.5], (samples, num_keypoints))
    return [array.astype(np.float32) for array in (true, predicted, weights)]


def keypoint_losses_by_loop(loss, true, predicted, weights):
    """(B, K): the weighted loss of each map, by the formula of its paper."""
    losses = np.zeros(weights.shape)
    for b, k in zip(*np.nonzero(weights), strict=True):
        t, p = true[b, :, :, k].astype(float), predicted[b, :, :, k].astype(float)
        if loss is spatial_cross_entropy:
            losses[b, k] = -np.sum(t / t.sum() * np.log(np.exp(p) / np.exp(p).sum()))
        else:
            losses[b, k] = 0.5 * np.mean((p - t) ** 2)
    return losses * weights


def by_loop(loss, true, predicted, weights):
    losses = keypoint_losses_by_loop(loss, true, predicted, weights)
    if loss is heatmap_ohkm:
        return [sum(sorted(sample, reverse=True)[:8]) / 8 for sample in losses]
    return losses.mean(axis=1)


def with_gradient(loss):
    """The loss and its gradient with respect to the predictions."""

    def value_and_gradient(true, predicted, weights):
        predicted = tf.convert_to_tensor(predicted)
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            value = loss(true, predicted, weights)
        return value, tape.gradient(value, predicted)

    return value_and_gradient


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_labelled_gives_0_and_no_gradient(compiled, loss):
    true, predicted, weights = random_maps()
    function = compiled(with_gradient(loss))
    for prediction in (predicted, np.full_like(predicted, np.nan)):
        value, gradient = function(true, prediction, 0 * weights)
        np.testing.assert_array_equal(value, [0, 0, 0])
        np.testing.assert_array_equal(gradient, 0 * true)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_equal_the_loop(compiled, loss):
    arrays = random_maps()
    value = compiled(loss)(*arrays)
    np.testing.assert_allclose(value, by_loop(loss, *arrays), rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_equal_differences_of_the_loop(compiled, loss):
    true, predicted, weights = random_maps()
    _, gradient = compiled(with_gradient(loss))(true, predicted, weights)
    rng = np.random.default_rng(1)
    for b, y, x, k in rng.integers(0, true.shape, (20, 4)):
        moved = np.zeros(true.shape)
        moved[b, y, x, k] = 1e-4
        losses = [by_loop(loss, true, predicted + sign * moved, weights)[b] for sign in (1, -1)]
        expected = (losses[0] - losses[1]) / 2e-4
        np.testing.assert_allclose(gradient[b, y, x, k], expected, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_nan_behind_a_mask_stays_there(compiled, loss):
    true, predicted, weights = random_maps()
    function = compiled(with_gradient(loss))
    expected = function(true, predicted, weights)
    for array in (true, predicted):
        array[np.broadcast_to(weights[:, None, None] == 0, array.shape)] = np.nan
    weights.flat[np.flatnonzero(weights == 0)[:2]] = np.nan, -1
    results = function(true, predicted, weights)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)


def test_cross_entropy_of_a_target_that_is_all_zero_is_0_without_gradient(compiled):
    """As of a Gaussian that lies outside its map: a share of nothing is no NaN."""
    true, predicted, weights = random_maps()
    weights[:] = 1
    true[0], true[1, :, :, 2] = 0, 0
    value, gradient = compiled(with_gradient(spatial_cross_entropy))(true, predicted, weights)
    drawn = true.sum(axis=(1, 2)) > 0
    assert drawn.sum(axis=1).tolist() == [0, 10, 11]
    expected = by_loop(spatial_cross_entropy, true, predicted, drawn * weights)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert value[0] == 0
    maps = np.moveaxis(np.asarray(gradient), 3, 1)
    assert not maps[~drawn].any()
    assert maps[drawn].any(axis=(1, 2)).all()


def test_ohkm_with_few_keypoints_is_mse():
    arrays = random_maps(num_keypoints=5)
    np.testing.assert_allclose(heatmap_ohkm(*arrays), heatmap_mse(*arrays), rtol=1e-6)


def test_cross_entropy_is_least_for_the_logarithm_of_the_target():
    true, predicted, weights = random_maps()
    least = spatial_cross_entropy(true, np.log(true), weights)
    assert np.all(least < spatial_cross_entropy(true, predicted, weights))
    shifted = spatial_cross_entropy(true, np.log(true) + 50, weights)
    np.testing.assert_allclose(shifted, least, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_summed_in_float32(loss):
    true, predicted, weights = random_maps()
    predicted = predicted.astype(np.float16).astype(np.float32)
    halves = [tf.cast(array, "float16") for array in (predicted, weights)]
    value = loss(true, *halves)
    assert value.dtype == "float32"
    np.testing.assert_allclose(value, loss(true, predicted, weights), rtol=1e-6)


@given(st.lists(st.sampled_from([0.0, 1.0, 1.5]), min_size=4, max_size=4), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_mask_gives_finite_losses_and_gradients(weights, seed):
    true, predicted, _ = random_maps(samples=2, num_keypoints=2, seed=seed)
    weights = np.reshape(weights, (2, 2)).astype(np.float32)
    for loss in LOSSES:
        value, gradient = with_gradient(loss)(true, 100 * predicted, weights)
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(value == 0, weights.sum(axis=1) == 0)


# Crops of 48x64 and heatmaps of 12x16: heatmap = crop * factor + shift.
HEATMAP_OF_48X64 = [
    ("official", (1 / 4, 1 / 4), (0, 0)),
    ("udp", (11 / 47, 15 / 63), (0, 0)),
    ("darkpose", (11 / 47, 11 / 47), (0, 15 / 2 - 63 / 2 * 11 / 47)),
    ("princeton", (1 / 4, 1 / 4), (-1 / 2, -1 / 2)),
]


def crop_keypoints(samples=2, num_keypoints=5):
    rng = np.random.default_rng(0)
    keypoints = np.ones((samples, num_keypoints, 3), np.float32)
    keypoints[..., :2] = rng.uniform(0, 60, (samples, num_keypoints, 2))
    keypoints[0, 0] = np.nan
    keypoints[:, 1, 2] = 0
    return keypoints


@pytest.mark.parametrize(("convention", "factor", "shift"), HEATMAP_OF_48X64)
@pytest.mark.parametrize("target", ["msra", "unbiased"])
@pytest.mark.parametrize(("name", "loss"), list(zip(NAMES, LOSSES, strict=True)))
def test_heatmap_loss_encodes_crop_pixels(name, loss, target, convention, factor, shift):
    keypoints = crop_keypoints()
    predicted = np.random.default_rng(1).normal(0, 1, (2, 16, 12, 5)).astype(np.float32)
    sigma = heatmap_sigma((12, 16))
    in_heatmap = keypoints * np.float32([*factor, 1]) + np.float32([*shift, 0])
    true, weights = encode(in_heatmap, (12, 16), sigma, target)
    heatmap_loss = HeatmapLoss((48, 64), name, target, convention)
    losses = heatmap_loss.call(keypoints, predicted)
    np.testing.assert_allclose(losses, loss(true, predicted, weights), rtol=1e-6)
    np.testing.assert_allclose(heatmap_loss(keypoints, predicted), np.mean(losses), rtol=1e-6)


@pytest.mark.parametrize("weights", [None, (1.0, 1.0, 1.0), (0.0, 0.5, 2.0)])
@pytest.mark.parametrize("name", NAMES)
def test_every_stack_is_compared_with_the_same_truth(name, weights):
    keypoints = crop_keypoints()
    stacks = np.random.default_rng(3).normal(0, 1, (2, 3, 16, 12, 5)).astype(np.float32)
    loss = HeatmapLoss((48, 64), name, sigma=1.5, stack_weights=weights)
    alone = HeatmapLoss((48, 64), name, sigma=1.5)
    expected = [alone.call(keypoints, stacks[:, stack]) for stack in range(3)]
    expected = np.stack(expected, axis=1) * (weights or (1.0, 1.0, 1.0))
    np.testing.assert_allclose(loss.per_stack(keypoints, stacks), expected, rtol=1e-6)
    np.testing.assert_allclose(loss.call(keypoints, stacks), expected.sum(axis=1), rtol=1e-6)


def test_as_many_weights_as_stacks():
    loss = HeatmapLoss((48, 64), stack_weights=(1, 1))
    with pytest.raises(InputError, match="stack_weights: 2 numbers; expected 3"):
        loss.call(crop_keypoints(), np.zeros((2, 3, 16, 12, 5), np.float32))


def test_the_width_of_the_gaussians_may_be_given():
    keypoints, predicted = crop_keypoints(), np.zeros((2, 16, 12, 5), np.float32)
    true, weights = encode(keypoints * np.float32([1 / 4, 1 / 4, 1]), (12, 16), 1.0, "unbiased")
    expected = heatmap_mse(true, predicted, weights)
    np.testing.assert_allclose(
        HeatmapLoss((48, 64), sigma=1.0).call(keypoints, predicted), expected
    )


def test_heatmap_loss_comes_back_from_its_config():
    loss = HeatmapLoss((48, 64), "ohkm", "msra", "udp", 1.5, (2, 1), name="other", reduction="sum")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    keypoints, predicted = crop_keypoints(), np.zeros((2, 16, 12, 5), np.float32)
    assert again(keypoints, predicted) == loss(keypoints, predicted)
    stacks = np.zeros((2, 2, 16, 12, 5), np.float32)
    assert again(keypoints, stacks) == loss(keypoints, stacks)


@pytest.mark.parametrize("name", NAMES)
def test_compile_and_fit_learn(name):
    keras.utils.set_random_seed(0)
    crops = np.random.default_rng(0).random((2, 64, 48, 3)).astype(np.float32)
    model = keras.Sequential([keras.Input((64, 48, 3)), keras.layers.Conv2D(5, 4, strides=4)])
    model.compile(keras.optimizers.Adam(0.01), HeatmapLoss((48, 64), name))
    history = model.fit(crops, crop_keypoints(), batch_size=2, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
