"""HRNet against published parameter counts, and as an ordinary Keras model."""

import keras
import numpy as np
import pytest

from kptkit.models.blocks import dtype_policy_scope
from kptkit.models.hrnet import hrnet
from kptkit.models.sizes import HRNETS


def tiny(num_keypoints=3, **options):
    return hrnet(num_keypoints, "demo", (32, 64), **options)


# From the authors' PyTorch models; W18-small computed from the same blocks.
@pytest.mark.parametrize(
    ("variant", "keypoints", "trainable", "total"),
    [
        ("w18_small", 17, 1_925_327, None),
        ("w18", 17, 9_318_215, None),
        ("w32", 17, 28_536_113, 28_590_449),
        pytest.param("w32", 16, 28_536_080, None, marks=pytest.mark.slow),
        pytest.param("w48", 17, 63_595_745, 63_675_329, marks=pytest.mark.slow),
    ],
)
def test_parameter_counts(variant, keypoints, trainable, total):
    model = hrnet(keypoints, variant, (64, 64))
    assert sum(v.value.shape.num_elements() for v in model.trainable_variables) == trainable
    assert total in (None, model.count_params())


def test_layer_names_are_the_authors_paths():
    names = {layer.name for layer in hrnet(17, "w32", (64, 64)).layers}
    convolutions = [n for n in names if n.rsplit(".", 1)[-1].startswith(("conv", "final_layer"))]
    assert len(names & {"conv1", "bn1", "layer1.0.downsample.0", "transition2.2.0.0"}) == 4
    assert {"stage4.2.fuse_layers.0.3.0", "stage3.3.fuse_layers.2.0.1.1"} <= names
    assert "stage4.2.fuse_layers.1.0.0.0" not in names
    assert convolutions


def test_every_batch_norm_has_pytorchs_constants():
    model = tiny()
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert norms
    assert {(n.momentum, n.epsilon) for n in norms} == {(0.9, 1e-5)}


@pytest.mark.parametrize("batch", [1, 2])
def test_shapes_and_dtypes(batch):
    image = np.zeros((batch, 64, 32, 3), np.uint8)
    heatmaps = tiny()(image)
    assert heatmaps.shape == (batch, 16, 8, 3)
    assert heatmaps.dtype == "float32"


def test_mixed_precision_computes_in_bfloat16_and_answers_in_float32():
    with dtype_policy_scope("mixed_bfloat16"):
        model = tiny()
    assert model.get_layer("conv2").compute_dtype == "bfloat16"
    assert model.get_layer("normalise").compute_dtype == "float32"
    assert model(np.zeros((1, 64, 32, 3), np.uint8)).dtype == "float32"


def test_the_first_layer_normalises_as_torchvision():
    model = tiny()
    first = keras.Model(model.input, model.get_layer("normalise").output)
    pixel = first(np.full((1, 64, 32, 3), [[255, 0, 128]], np.uint8))[0, 0, 0]
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    np.testing.assert_allclose(pixel, expected, rtol=1e-5)


def test_stride_two_pads_on_every_side():
    """A picture mirrored left to right gives maps displaced by -(s-1)/s px, as in PyTorch.

    With a kernel that is symmetric, a padded stride-2 convolution of a mirrored row starts at the
    same pixels as PyTorch's: the first output sees one padded zero and two pixels.
    """
    model = tiny()
    layer = model.get_layer("conv1")
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[1, :, 0, 0] = [1, 10, 100]
    layer.kernel.assign(kernel)
    part = keras.Model(model.get_layer("normalise").output, layer.output)
    row = np.zeros((1, 64, 32, 3), np.float32)
    row[0, :, :, 0] = np.arange(1, 33)
    out = part(row)[0, 5, :, 0]
    np.testing.assert_allclose(out[0], 10 * 1 + 100 * 2)
    np.testing.assert_allclose(out[1], 2 + 10 * 3 + 100 * 4)


@pytest.mark.parametrize("size", [(30, 64), (32, 65)])
def test_sides_are_multiples_of_32(size):
    with pytest.raises(ValueError, match="multiples of 32"):
        hrnet(3, "demo", size)


def test_the_table_has_the_papers_widths():
    assert {name: sizes.width for name, sizes in HRNETS.items()} == {
        "demo": 16,
        "w18_small": 18,
        "w18": 18,
        "w32": 32,
        "w48": 48,
    }
