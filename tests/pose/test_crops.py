"""Persons cut out on arrays and inside graphs: the same crops, and maps that lead back."""

import numpy as np
import pytest
import tensorflow as tf

from kptkit.pose.crops import cut_persons, cut_persons_in_graph, to_image

SIZE_WH = (48, 64)
BOXES = np.array([[20, 10, 60, 70], [-5, -8, 30, 40], [50.5, 20.25, 110, 95]], np.float32)


def picture():
    coarse = np.random.default_rng(0).integers(0, 256, (12, 15, 3))
    return coarse.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)


@pytest.mark.parametrize("convention", ["official", "udp"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_graphs_cut_what_arrays_do_to_a_grey_level(count, convention):
    crops, maps = cut_persons(picture(), BOXES[:count], SIZE_WH, convention)
    assert (crops.shape, crops.dtype) == ((count, 64, 48, 3), np.uint8)
    boxes = tf.constant(BOXES[:count])
    found, found_maps = cut_persons_in_graph(tf.constant(picture()), boxes, SIZE_WH, convention)
    assert found.dtype == tf.uint8
    np.testing.assert_allclose(found_maps, maps, rtol=1e-5, atol=1e-4)
    differences = found.numpy().astype(int) - crops
    assert np.abs(differences).max(initial=0) <= 1
    assert abs(differences.sum()) <= 0.01 * differences.size  # rounded, not cut off


def test_the_middle_of_a_crop_is_the_middle_of_its_box():
    _, maps = cut_persons(picture(), BOXES, SIZE_WH, "official")
    middle = np.tile([24.0, 32.0, 0.75], (3, 1, 1))
    points = to_image(middle, maps)
    np.testing.assert_allclose(points[:, 0, :2], (BOXES[:, :2] + BOXES[:, 2:]) / 2, rtol=1e-6)
    assert (points[..., 2] == 0.75).all()


def test_boxes_beyond_float32_are_refused_in_graphs():
    boxes = tf.constant([[-3e38, -3e38, 3e38, 3e38]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="boxes: too large"):
        cut_persons_in_graph(tf.constant(picture()), boxes, SIZE_WH, "official")
