"""Mirroring changes pixels and targets; colour changes change only pixels."""

import colorsys
from dataclasses import fields

import numpy as np
import pytest
import tensorflow as tf

from kptkit.data.augment.face import augment, change_colours, mirror
from kptkit.data.augment.settings import FaceAugment
from kptkit.errors import InputError

COUNT, SIDE = 64, 6


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "image": tf.constant(rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)),
        "is_face": tf.constant(rng.integers(0, 2, COUNT), tf.float32),
        "box": tf.constant(rng.uniform(-0.3, 0.3, (COUNT, 4)), tf.float32),
        "landmark": tf.constant(rng.uniform(0, 1, (COUNT, 10)), tf.float32),
    }


def recoloured(pixels, **changes):
    """Changes the colours of one crop (S, S, 3) of numbers 0..255."""
    neutral = {"saturation": 1.0, "hue": 0.0, "contrast": 1.0, "brightness": 0.0}
    arguments = {name: tf.constant([value]) for name, value in (neutral | changes).items()}
    return change_colours(tf.constant(pixels[None].astype(np.uint8)), **arguments)[0].numpy()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).integers(60, 190, (SIDE, SIDE, 3))


def grey_of(pixels):
    return pixels @ [0.299, 0.587, 0.114]


def test_neutral_colours_change_nothing(pixels):
    np.testing.assert_array_equal(recoloured(pixels), pixels)


@pytest.mark.parametrize(("share", "expected"), [(0.1, 25.5), (-0.1, -25.5), (1.0, 255)])
def test_brightness_is_added(pixels, share, expected):
    found = recoloured(pixels, brightness=share)
    np.testing.assert_allclose(found, np.clip(pixels + expected, 0, 255), atol=0.51)


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_contrast_stretches_around_the_mean_grey(pixels, factor):
    mean = grey_of(pixels).mean()
    expected = np.clip(mean + factor * (pixels - mean), 0, 255)
    np.testing.assert_allclose(recoloured(pixels, contrast=factor), expected, atol=0.51)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.4])
def test_saturation_is_the_distance_from_grey(pixels, factor):
    grey = grey_of(pixels)[..., None]
    expected = np.clip(grey + factor * (pixels - grey), 0, 255)
    # The constants of YIQ have four digits.
    np.testing.assert_allclose(recoloured(pixels, saturation=factor), expected, atol=0.6)


def test_hue_turns_colours_and_keeps_their_grey(pixels):
    turned = recoloured(pixels, hue=0.04).astype(float)
    np.testing.assert_allclose(grey_of(turned), grey_of(pixels), atol=1)
    back = recoloured(turned, hue=-0.04)
    np.testing.assert_allclose(back, pixels, atol=3)
    red = recoloured(np.full((1, 1, 3), [160, 60, 60]), hue=1 / 3)[0, 0] / 255
    assert abs(colorsys.rgb_to_hsv(*red)[0] - colorsys.rgb_to_hsv(160, 60, 60)[0]) > 0.25


def test_a_mirror_turns_pixels_and_targets_together(batch):
    which = np.arange(COUNT) % 3 == 0
    found = {name: value.numpy() for name, value in mirror(batch, tf.constant(which)).items()}
    for row in range(COUNT):
        image, box = batch["image"][row].numpy(), batch["box"][row].numpy()
        points = batch["landmark"][row].numpy().reshape(5, 2)
        if which[row]:
            image = image[:, ::-1]
            box = [-box[2], box[1], -box[0], box[3]]
            points = [[1 - x, y] for x, y in points[[1, 0, 2, 4, 3]]]
        np.testing.assert_array_equal(found["image"][row], image)
        np.testing.assert_array_equal(found["box"][row], box)
        np.testing.assert_allclose(found["landmark"][row], np.ravel(points), atol=1e-7)
    np.testing.assert_array_equal(found["is_face"], batch["is_face"])


def test_every_crop_draws_its_own_change(batch):
    still = FaceAugment(flip_probability=0, grey_probability=0)
    varied = augment(batch, still, tf.constant([3, 8], tf.int64))
    assert (varied["image"] != batch["image"]).numpy().any(axis=(1, 2, 3)).all()
    for name in ("box", "landmark", "is_face"):
        np.testing.assert_array_equal(varied[name], batch[name])
    changes = tf.cast(varied["image"], tf.float32) - tf.cast(batch["image"], tf.float32)
    assert len(np.unique(np.round(changes.numpy().mean(axis=(1, 2, 3)), 3))) > COUNT / 2


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_strength_has_its_effect(batch, name):
    strength = dict.fromkeys((field.name for field in fields(FaceAugment)), 0.0)
    seed = tf.constant([0, 1], tf.int64)
    np.testing.assert_array_equal(
        augment(batch, FaceAugment(**strength), seed)["image"], batch["image"]
    )
    changed = augment(batch, FaceAugment(**strength | {name: 0.3}), seed)["image"]
    assert (changed != batch["image"]).numpy().any(axis=(1, 2, 3)).mean() > 0.9


def test_shares_of_grey_and_mirrored_crops(batch):
    config = FaceAugment(grey_probability=0.25)
    grey = mirrored = 0
    for step in range(20):
        varied = augment(batch, config, tf.constant([0, step], tf.int64))
        image = varied["image"].numpy().astype(int)
        grey += (np.ptp(image, axis=-1) <= 1).all(axis=(1, 2)).sum()
        mirrored += (varied["box"] != batch["box"]).numpy().any(axis=1).sum()
    assert 0.2 < grey / (20 * COUNT) < 0.3
    assert 0.45 < mirrored / (20 * COUNT) < 0.55


def test_the_seed_decides_everything(batch):
    seeds = [tf.constant(seed, tf.int64) for seed in ([0, 1], [0, 1], [0, 2], [1, 1])]
    images = [augment(batch, FaceAugment(), seed)["image"].numpy() for seed in seeds]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any()
    assert (images[0] != images[3]).any()


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_strengths_have_bounds(value):
    with pytest.raises(InputError, match=r"augment: hue: .*; expected a number from 0 to 1"):
        FaceAugment(hue=value)
