"""Counts of the benchmarks against published figures and a network small enough for a pencil."""

import importlib.util
from pathlib import Path

import keras
import pytest
from keras import layers

from kptkit.models.hrnet import hrnet

FILE = Path(__file__).parents[2] / "benchmarks" / "counting.py"


@pytest.fixture(scope="module")
def counting():
    spec = importlib.util.spec_from_file_location("counting", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_hand():
    """Two 3x3 convolutions, the second of stride 2, enlarged and added to the first."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.Conv2D(4, 3, 2)(layers.ZeroPadding2D(1)(x))
    return keras.Model(image, layers.Add()([layers.UpSampling2D(2)(y), x]))


def test_no_layers(counting):
    image = keras.Input((8, 8, 3))
    assert counting.count_network(keras.Model(image, image)) == counting.NetworkCounts(
        macs=0, parameters=0, convolved=0, normalised=0, added=0
    )


def test_counts_by_hand(counting):
    counts = counting.count_network(by_hand())
    assert counts.macs == 64 * 27 * 4 + 16 * 36 * 4
    assert counts.parameters == 108 + 8 + 148
    assert counts.convolved == (192 + 256) + (256 + 64)
    assert counts.normalised == 256
    assert counts.added == 64


def test_work_of_a_batch(counting):
    counts = counting.NetworkCounts(macs=5, parameters=7, convolved=11, normalised=13, added=17)
    forward = counts.forward(2, "mixed_bfloat16")
    assert forward == counting.Work(flops=20, bytes=2 * 2 * (11 + 17) + 28)
    step = counts.training_step(2, "float32")
    assert step == counting.Work(flops=60, bytes=4 * 2 * (33 + 34 + 91) + 280)


# Counted from the authors' PyTorch models; divided by 1024^3 they are the README's 7.1 to 32.9.
@pytest.mark.parametrize(
    ("variant", "size_wh", "macs"),
    [
        ("w32", (192, 256), 7_645_003_776),
        pytest.param("w32", (288, 384), 17_201_258_496, marks=pytest.mark.slow),
        pytest.param("w48", (192, 256), 15_691_825_152, marks=pytest.mark.slow),
        pytest.param("w48", (288, 384), 35_306_606_592, marks=pytest.mark.slow),
    ],
)
def test_published_macs(counting, variant, size_wh, macs):
    assert counting.count_network(hrnet(17, variant, size_wh)).macs == macs


def test_unknown_weights_are_refused(counting):
    image = keras.Input((8,))
    with pytest.raises(ValueError, match="no rule to count a Dense"):
        counting.count_network(keras.Model(image, layers.Dense(2)(image)))
