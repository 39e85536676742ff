"""Boxes to crops, against OpenCV's three-point transform, plain loops and round trips."""

from typing import get_args

import cv2
import numpy as np
import pytest
from keras import ops

from kptkit.conventions import Convention
from kptkit.geometry import affine

SIZE_WH = (192, 256)


def official_matrix(centre, width, rotation, size_wh):
    """The published three-point construction: only the window's width sets the scale."""
    radians = np.deg2rad(rotation)
    up = np.array([0.0, -0.5 * width])
    turned = np.array(
        [
            up[0] * np.cos(radians) - up[1] * np.sin(radians),
            up[0] * np.sin(radians) + up[1] * np.cos(radians),
        ]
    )

    def triangle(point, direction):
        second = point + direction
        side = point - second
        return np.float32([point, second, second + np.array([-side[1], side[0]])])

    source = triangle(np.array(centre, float), turned)
    target = triangle(np.array(size_wh) / 2, np.array([0.0, -0.5 * size_wh[0]]))
    return cv2.getAffineTransform(source, target)


@pytest.mark.parametrize(
    ("centre", "width", "rotation"),
    [((0, 0), 192, 0), ((100, 50), 96, 0), ((311.5, 87.25), 240, 30), ((20, 400), 33, -71)],
)
def test_crop_matrix_is_the_published_construction(centre, width, rotation):
    window_wh = np.array([width, width * 4 / 3])
    matrix = affine.crop_matrix(np.array(centre, float), window_wh, SIZE_WH, rotation)
    # OpenCV's triangles are float32.
    np.testing.assert_allclose(
        matrix, official_matrix(centre, width, rotation, SIZE_WH), rtol=1e-4, atol=2e-3
    )


def test_udp_maps_outermost_pixel_centres():
    """Unbiased data processing: the window's edges fall on the first and last pixel centres."""
    matrix = affine.crop_matrix(
        np.array([50.0, 80.0]), np.array([60.0, 80.0]), SIZE_WH, convention="udp"
    )
    corners = affine.transform_points(matrix, np.array([[20.0, 40.0], [80.0, 120.0]]))
    np.testing.assert_allclose(corners, [[0, 0], [191, 255]], atol=1e-9)


def test_udp_turns_and_then_scales_each_side():
    """As in the authors' code: rows of the rotation, scaled by (191 / width) and (255 / height)."""
    centre, window_wh = np.array([311.5, 87.25]), np.array([240.0, 320.0])
    matrix = affine.crop_matrix(centre, window_wh, SIZE_WH, 30.0, "udp")
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = np.array([[cos, sin], [-sin, cos]]) @ (np.array([400.0, 33.0]) - centre)
    expected = (turned + window_wh / 2) * [191 / 240, 255 / 320]
    np.testing.assert_allclose(
        affine.transform_points(matrix, np.array([[400.0, 33.0]]))[0], expected, atol=1e-9
    )


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((0, 0, 0, 0), (0, 0)),
        ((10, 10, 40, 50), (37.5, 50)),  # the aspect is 3:4 already
        ((0, 0, 30, 80), (75, 100)),  # too narrow: the width grows
        ((0, 0, 90, 40), (112.5, 150)),  # too low: the height grows
    ],
)
def test_crop_window(box, window):
    centre_xy, window_wh = affine.crop_window(np.array(box, float), SIZE_WH)
    np.testing.assert_allclose(centre_xy, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    np.testing.assert_allclose(window_wh, window)


@pytest.mark.parametrize("convention", get_args(Convention))
@pytest.mark.parametrize("count", [0, 1, 5])
def test_round_trip_and_both_namespaces(convention, count):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 100, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 200, (count, 2))], axis=1)
    rotation = rng.uniform(-90, 90, count)
    points = rng.uniform(-50, 300, (count, 17, 2))

    def matrices(boxes, rotation, xp):
        centre_xy, window_wh = affine.crop_window(boxes, SIZE_WH, xp=xp)
        return affine.crop_matrix(centre_xy, window_wh, SIZE_WH, rotation, convention, xp)

    matrix = matrices(boxes, rotation, np)
    there = affine.transform_points(matrix, points)
    back = affine.transform_points(affine.invert(matrix), there)
    np.testing.assert_allclose(back, points, atol=1e-9)
    tensor = matrices(
        ops.convert_to_tensor(boxes, "float32"), ops.convert_to_tensor(rotation, "float32"), ops
    )
    np.testing.assert_allclose(ops.convert_to_numpy(tensor), matrix, atol=2e-3)
    inverse = ops.convert_to_numpy(affine.invert(tensor, ops))
    np.testing.assert_allclose(inverse, affine.invert(matrix), atol=2e-3)


def test_compose_applies_the_inner_map_first():
    rng = np.random.default_rng(1)
    outer, inner = rng.normal(size=(2, 2, 3))
    points = rng.normal(size=(4, 2))
    one_by_one = affine.transform_points(outer, affine.transform_points(inner, points))
    composed = affine.transform_points(affine.compose(outer, inner), points)
    np.testing.assert_allclose(composed, one_by_one)


def test_flip_points_is_its_own_inverse():
    points = np.array([[0.0, 5.0], [99.0, 7.0], [30.5, -2.0]])
    mirrored = affine.flip_points(points, 100)
    np.testing.assert_allclose(mirrored[:, 0], [99, 0, 68.5])
    np.testing.assert_allclose(affine.flip_points(mirrored, 100), points)


@pytest.mark.parametrize(
    ("convention", "factor", "shift"),
    [
        ("official", (0.25, 0.25), (0, 0)),
        ("udp", (47 / 191, 63 / 255), (0, 0)),
        ("darkpose", (47 / 191, 47 / 191), (0, 63 / 2 - 255 / 2 * 47 / 191)),
        ("princeton", (0.25, 0.25), (-0.5, -0.5)),
    ],
)
def test_crop_to_heatmap(convention, factor, shift):
    found = affine.crop_to_heatmap((192, 256), (48, 64), convention)
    np.testing.assert_allclose(found, (factor, shift), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("convention", get_args(Convention))
@pytest.mark.parametrize("size_wh", [(256, 256), (192, 256), (288, 384)])
def test_a_mirrored_heatmap_belongs_where_its_mirrored_crop_is(convention, size_wh):
    heatmap_wh = (size_wh[0] // 4, size_wh[1] // 4)
    (factor, _), (shift, _) = affine.crop_to_heatmap(size_wh, heatmap_wh, convention)
    x = 71.3
    mirrored_back = heatmap_wh[0] - 1 - ((size_wh[0] - 1 - x) * factor + shift)
    found = affine.flip_displacement(4, convention)
    np.testing.assert_allclose(x * factor + shift - mirrored_back, found, atol=1e-12)


@pytest.mark.parametrize("rotation", [0, 25])
def test_warp_tensor_is_warp_before_rounding(rotation):
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    centre_xy = np.array([[40.0, 30.0], [85.0, 65.0]])
    window_wh = np.array([[60.0, 80.0], [60.0, 80.0]])
    matrices = affine.crop_matrix(centre_xy, window_wh, (48, 64), rotation)
    crops = affine.warp_tensor(image, ops.convert_to_tensor(matrices, "float32"), (48, 64))
    for crop, matrix in zip(ops.convert_to_numpy(crops), matrices, strict=True):
        expected = affine.warp(image, matrix, (48, 64)).astype(float)
        # Noise is the worst case: 1/100 px of source position is up to 2.5 grey levels.
        assert np.abs(crop - expected).max() <= 1.0
        assert np.abs(crop - expected).mean() < 0.3


def test_warp_fills_the_outside_with_black():
    image = np.full((10, 10, 3), 200, np.uint8)
    matrix = affine.crop_matrix(np.array([5.0, 5.0]), np.array([30.0, 40.0]), (48, 64))
    crop = affine.warp(image, matrix, (48, 64))
    assert crop[0, 0].tolist() == [0, 0, 0]
    assert crop[32, 24].tolist() == [200, 200, 200]
