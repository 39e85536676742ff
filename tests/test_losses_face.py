"""MTCNN's losses against loops in NumPy: value and gradient, for every mix of labels."""

import numpy as np
import pytest
import tensorflow as tf

from kptkit.losses import classification_ohem, masked_regression, mtcnn_loss

POSITIVE, NEGATIVE, PART, LANDMARK = 1, 0, -1, -2
WIDTHS = {"logits": 2, "box": 4, "landmark": 10}
# Numbers of samples of each kind: none of a kind, one of a kind, and many of each.
MIXES = [
    [LANDMARK] * 12,
    [PART] * 12,
    [LANDMARK] * 11 + [NEGATIVE],
    [PART] * 11 + [POSITIVE],
    [NEGATIVE] * 12,
    [NEGATIVE] * 10 + [PART, LANDMARK],
    *(np.random.default_rng(seed).integers(-2, 2, 12) for seed in range(30)),
]


def random_batch(kinds, seed=0):
    """A batch as the pipeline makes it, but NaN where a sample has no label, and outputs."""
    rng = np.random.default_rng(seed)
    kinds = np.asarray(kinds)
    batch = {
        "is_face": (kinds == POSITIVE).astype(np.float32),
        "class_valid": (kinds == POSITIVE) | (kinds == NEGATIVE),
        "box": rng.normal(0, 0.2, (len(kinds), 4)).astype(np.float32),
        "box_valid": (kinds == POSITIVE) | (kinds == PART),
        "landmark": rng.random((len(kinds), 10)).astype(np.float32),
        "landmark_valid": kinds == LANDMARK,
    }
    for label, mask in [("is_face", "class_valid"), ("box", "box_valid")]:
        batch[label][~batch[mask]] = np.nan
    batch["landmark"][~batch["landmark_valid"]] = np.nan
    outputs = {
        name: rng.normal(0, 3, (len(kinds), width)).astype(np.float32)
        for name, width in WIDTHS.items()
    }
    return batch, outputs


def ohem_by_loop(is_face, logits, valid, keep=0.7):
    """The mean over the hardest samples, and its gradient with respect to the logits."""
    losses, gradients = [], []
    for label, pair in zip(is_face, logits.astype(np.float64), strict=True):
        softmax = np.exp(pair - pair.max()) / np.exp(pair - pair.max()).sum()
        target = np.array([0, 1]) if label == 1 else np.array([1, 0])
        losses.append(pair.max() + np.log(np.exp(pair - pair.max()).sum()) - pair @ target)
        gradients.append(softmax - target)
    order = sorted(np.flatnonzero(valid), key=lambda i: (-losses[i], i))
    kept = order[: max(1, int(np.floor(keep * len(order) + 1e-4)))]
    gradient = np.zeros(logits.shape)
    for i in kept:
        gradient[i] = gradients[i] / len(kept)
    return np.sum([losses[i] for i in kept]) / max(1, len(kept)), gradient


def regression_by_loop(true, predicted, valid):
    used = np.flatnonzero(valid)
    gradient = np.zeros(predicted.shape)
    total = 0.0
    for i in used:
        for d in range(predicted.shape[1]):
            difference = float(predicted[i, d]) - float(true[i, d])
            total += difference**2 / len(used)
            gradient[i, d] = 2 * difference / len(used)
    return total, gradient


def mtcnn_by_loop(batch, outputs, weights):
    """The loss and its gradient with respect to each output."""
    terms = {
        "logits": ohem_by_loop(batch["is_face"], outputs["logits"], batch["class_valid"]),
        "box": regression_by_loop(batch["box"], outputs["box"], batch["box_valid"]),
        "landmark": regression_by_loop(
            batch["landmark"], outputs["landmark"], batch["landmark_valid"]
        ),
    }
    value = sum(w * term[0] for w, term in zip(weights, terms.values(), strict=True))
    gradients = {n: w * terms[n][1] for w, n in zip(weights, terms, strict=True)}
    return value, gradients


def value_and_gradients(batch, outputs, weights=(1.0, 0.5, 0.5)):
    """The mean over the batch, as a training step takes it, and its gradients."""
    outputs = {name: tf.convert_to_tensor(output) for name, output in outputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        losses = mtcnn_loss(batch, outputs, weights)
        value = tf.reduce_mean(losses)
    return losses, value, tape.gradient(value, outputs)


def test_every_mix_of_labels_equals_the_loop(compiled):
    function = compiled(value_and_gradients)
    for seed, kinds in enumerate(MIXES):
        batch, outputs = random_batch(kinds, seed)
        losses, value, gradients = function(batch, outputs)
        assert losses.shape == (12,)
        expected, expected_gradients = mtcnn_by_loop(batch, outputs, (1, 0.5, 0.5))
        np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=str(kinds))
        for name, gradient in expected_gradients.items():
            np.testing.assert_allclose(gradients[name], gradient, atol=1e-6, err_msg=str(kinds))


def test_a_batch_without_any_label_gives_0_and_no_gradient(compiled):
    batch, outputs = random_batch([PART] * 12)
    batch["box_valid"][:] = False
    for predicted in (outputs, {n: np.full_like(x, np.nan) for n, x in outputs.items()}):
        losses, _, gradients = compiled(value_and_gradients)(batch, predicted)
        np.testing.assert_array_equal(losses, np.zeros(12))
        for gradient in gradients.values():
            np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def test_nan_behind_a_mask_stays_there(compiled):
    function = compiled(value_and_gradients)
    masks = {"logits": "class_valid", "box": "box_valid", "landmark": "landmark_valid"}
    for seed, kinds in enumerate(MIXES[2:12]):
        batch, outputs = random_batch(kinds, seed)
        expected = function(batch, outputs)
        for name, mask in masks.items():
            outputs[name][~batch[mask]] = np.nan
        for result, value in zip(
            tf.nest.flatten(function(batch, outputs)), tf.nest.flatten(expected), strict=True
        ):
            np.testing.assert_array_equal(result, value)


def test_nan_of_a_valid_sample_is_seen(compiled):
    logits = np.full((10, 2), 3.0, np.float32)
    logits[7] = np.nan
    losses = compiled(classification_ohem)(np.zeros(10, np.float32), logits, np.ones(10, bool))
    assert np.isnan(np.mean(losses))


@pytest.mark.parametrize(
    ("valid", "kept"), [(0, 0), (1, 1), (2, 1), (3, 2), (9, 6), (10, 7), (20, 14), (30, 21)]
)
def test_how_many_are_kept(compiled, valid, kept):
    is_valid = np.arange(32) < valid
    losses = compiled(classification_ohem)(
        np.zeros(32, np.float32), np.random.default_rng(0).normal(0, 1, (32, 2)), is_valid
    )
    assert np.count_nonzero(losses) == kept


def test_the_count_does_not_suffer_from_rounding():
    counts = np.arange(1, 3000)
    in_float32 = np.floor(np.float32(0.7) * counts.astype(np.float32) + np.float32(1e-4))
    np.testing.assert_array_equal(in_float32, 7 * counts // 10)


def test_of_equally_hard_samples_the_first_are_kept(compiled):
    valid = np.ones(12, bool)
    valid[[0, 4]] = False
    logits = np.zeros((12, 2), np.float32)
    logits[9] = [0, 1]
    losses = compiled(classification_ohem)(np.zeros(12, np.float32), logits, valid)
    np.testing.assert_array_equal(np.flatnonzero(losses), [1, 2, 3, 5, 6, 7, 9])


def test_the_hardest_samples_keep_their_gradient(compiled):
    """The softmax is 0 in float32, where -log(p + 1e-10) has no gradient."""

    def gradient(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = classification_ohem(np.ones(1, np.float32), logits, np.ones(1, bool))
        return value, tape.gradient(value, logits)

    value, gradient = compiled(gradient)(tf.constant([[60.0, -60.0]]))
    np.testing.assert_allclose(value, [120])
    np.testing.assert_allclose(gradient, [[1, -1]])


def test_pnets_maps_are_flattened_and_a_missing_landmark_head_is_left_out(compiled):
    batch, outputs = random_batch(MIXES[-1])
    maps = {name: outputs[name][:, None, None, :] for name in ("logits", "box")}
    expected = mtcnn_by_loop(batch, outputs, (1, 0.5, 0))[0]
    value = np.mean(compiled(mtcnn_loss)(batch, maps))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_onets_weights(compiled):
    batch, outputs = random_batch(MIXES[-1])
    _, value, _ = compiled(value_and_gradients)(batch, outputs, (1.0, 0.5, 1.0))
    np.testing.assert_allclose(value, mtcnn_by_loop(batch, outputs, (1, 0.5, 1))[0], rtol=1e-5)


def test_the_batch_size_may_be_unknown():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None]),
            tf.TensorSpec([None, 2]),
            tf.TensorSpec([None], tf.bool),
        ],
        autograph=False,
    )
    def any_size(is_face, logits, valid):
        return classification_ohem(is_face, logits, valid)

    for kinds in ([], *MIXES[:10]):
        batch, outputs = random_batch(kinds)
        arguments = batch["is_face"], outputs["logits"], batch["class_valid"]
        expected = classification_ohem(*arguments)
        np.testing.assert_allclose(any_size(*arguments), expected, rtol=1e-6)


def test_half_precision_is_summed_in_float32():
    batch, outputs = random_batch(MIXES[-1])
    halves = {name: tf.cast(x, "float16") for name, x in outputs.items()}
    losses = mtcnn_loss(batch, halves)
    assert losses.dtype == "float32"
    rounded = {name: np.float32(x) for name, x in halves.items()}
    np.testing.assert_allclose(losses, mtcnn_loss(batch, rounded), rtol=1e-6)


def test_regression_of_no_samples():
    assert masked_regression(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0, bool)).shape == (0,)
