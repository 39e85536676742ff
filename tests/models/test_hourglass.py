"""The stacked hourglass against published counts and its graph computed by hand."""

import re

import keras
import numpy as np
import pytest

from kptkit.models.blocks import dtype_policy_scope
from kptkit.models.hourglass import hourglass
from kptkit.models.sizes import HOURGLASSES, HourglassSizes


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return hourglass(3, "hg2_small", (64, 128))


# From the authors' PyTorch models, without the shortcut convolutions that they never use.
@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("hg1", 3_426_448),
        ("hg2", 6_570_400),
        pytest.param("hg4", 12_858_304, marks=pytest.mark.slow),
        ("hg8", 25_434_112),
    ],
)
def test_parameter_counts(variant, parameters):
    model = hourglass(16, variant, (64, 64))
    assert sum(v.value.shape.num_elements() for v in model.trainable_variables) == parameters


def test_the_papers_network_has_the_papers_multiplications():
    """The numbers are those of the authors' PyTorch models at 256x256."""
    counted = {v: multiplications(hourglass(16, v, (256, 256))) / 1e9 for v in ("hg1", "hg2")}
    assert counted == pytest.approx({"hg1": 5.15, "hg2": 8.33}, abs=0.005)


def multiplications(model):
    """Multiplications of all convolutions, from the sizes of their kernels and outputs."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            total += height * width * int(np.prod(layer.kernel.shape))
    return total


@pytest.mark.parametrize("batch", [1, 2])
def test_every_stack_gives_heatmaps_of_a_quarter(small, batch):
    heatmaps = small(np.zeros((batch, 128, 64, 3), np.uint8))
    assert heatmaps.shape == (batch, 2, 32, 16, 3)
    assert heatmaps.dtype == "float32"


@pytest.mark.parametrize("size_wh", [(0, 64), (64, 96), (65, 64)])
def test_sides_are_multiples_of_64(size_wh):
    with pytest.raises(ValueError, match="expected multiples of 64"):
        hourglass(3, "hg1", size_wh)


def test_layer_names_are_the_authors_paths():
    names = {layer.name for layer in hourglass(16, "hg2", (64, 64)).layers}
    assert {
        *("pre.0.conv", "pre.1.skip_layer.conv", "pre.4.conv3.conv", "pre.4.bn1"),
        *("hgs.1.0.up1.conv1.conv", "hgs.0.0.low2.low2.low2.low2.conv2.conv"),
        *("features.1.1.bn", "outs.1.conv", "merge_preds.0.conv.conv"),
    } <= names
    assert not [n for n in names if re.match(r"merge_\w+\.1", n)], "nothing follows the last stack"
    assert not [n for n in names if "hgs" in n and "skip_layer" in n], "widths are equal inside"


def test_convolutions_have_biases_and_norms_pytorchs_constants(small):
    convolutions = [x for x in small.layers if isinstance(x, keras.layers.Conv2D)]
    norms = [x for x in small.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert convolutions
    assert all(x.use_bias for x in convolutions)
    assert {(n.momentum, n.epsilon) for n in norms} == {(0.9, 1e-5)}


def test_first_heatmaps_are_small(small):
    """Larger initial outputs drive the network to predict zero everywhere, where it stays."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 64, 3))
    assert np.abs(small(pixels, training=True)).max() < 0.1


def test_a_later_stack_sees_the_heatmaps_of_the_one_before(small):
    image = np.random.default_rng(1).integers(0, 256, (1, 128, 64, 3))
    before = np.asarray(small(image))
    layer = small.get_layer("outs.0.conv")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias + 1])
    after = np.asarray(small(image))
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(after[:, 0], before[:, 0] + 1, atol=1e-5)
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-4


def test_a_residual_is_its_formula():
    """One pre-activation residual block of the stem in NumPy; 64 to 128 channels in the paper."""
    keras.utils.set_random_seed(2)
    model = hourglass(2, "hg1", (64, 64))
    before, after = (model.get_layer(name).output for name in ("pre.0.relu", "pre.1.add"))
    x, y = keras.Model(model.input, [before, after])(np.full((1, 64, 64, 3), 99, np.uint8))
    x, y = np.asarray(x, np.float64), np.asarray(y)

    def weights(name):
        return [np.asarray(w, np.float64) for w in model.get_layer(f"pre.1.{name}").get_weights()]

    def normalised(z, index):
        gamma, beta, mean, variance = weights(f"bn{index}")
        return np.maximum(gamma * (z - mean) / np.sqrt(variance + 1e-5) + beta, 0)

    def convolved(z, name):
        kernel, bias = weights(f"{name}.conv")
        reach = kernel.shape[0] // 2
        padded = np.pad(z, [(0, 0), (reach, reach), (reach, reach), (0, 0)])
        total = np.zeros((*z.shape[:3], kernel.shape[3])) + bias
        for row in range(kernel.shape[0]):
            for column in range(kernel.shape[1]):
                part = padded[:, row : row + z.shape[1], column : column + z.shape[2]]
                total += part @ kernel[row, column]
        return total

    z = x
    for index in (1, 2, 3):
        z = convolved(normalised(z, index), f"conv{index}")
    np.testing.assert_allclose(y, z + convolved(x, "skip_layer"), atol=1e-5)


def test_mixed_precision_answers_in_float32():
    with dtype_policy_scope("mixed_bfloat16"):
        model = hourglass(2, "hg2_small", (64, 64))
    assert model.get_layer("pre.1.conv1.conv").compute_dtype == "bfloat16"
    assert model(np.zeros((1, 64, 64, 3), np.uint8)).dtype == "float32"


def test_the_table():
    assert HOURGLASSES["hg8"] == HourglassSizes(stacks=8, features=256)
