"""Wherever a published area, scale or pixel convention enters: golden numbers by plain arithmetic.

Each case follows the formulas of the authors' code, written again in loops: HRNet's
(leoxiaobin/deep-high-resolution-net.pytorch), DARK's (ilovepose/DarkPose), UDP's paper, and the
stacked hourglass's (princeton-vl/pytorch_stacked_hourglass).
"""

import math

import cv2
import numpy as np
import pytest

from kptkit.data.augment.pose import half_body_windows
from kptkit.data.augment.settings import AugmentConfig
from kptkit.data.formats.mpii import head_sizes, person_window
from kptkit.data.to_samples import clean_boxes
from kptkit.evaluate.pose import person_areas
from kptkit.geometry import affine
from kptkit.metrics import oks, pck
from kptkit.network import heatmaps_to_crop
from kptkit.pose.crops import cut_persons, to_image
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.known import COCO_17

# Boxes of every shape: none, the crop's aspect, taller, wider, a square, a flat one at the border.
BOXES_XYWH = [
    (0, 0, 0, 0),
    (10, 20, 60, 80),
    (100.5, 3.25, 40, 200),
    (7, 9, 300, 50),
    (33, 44, 99, 99),
    (0, 400, 640, 1),
]


def official_centre_and_scale(box_xywh, size_wh):
    """`_box2cs`: the box brought to the crop's aspect ratio, in units of 200 px, times 1.25."""
    x, y, w, h = box_xywh
    aspect = size_wh[0] / size_wh[1]
    if w > aspect * h:
        h = w / aspect
    elif w < aspect * h:
        w = h * aspect
    return (x + box_xywh[2] / 2, y + box_xywh[3] / 2), (w / 200 * 1.25, h / 200 * 1.25)


@pytest.mark.parametrize("size_wh", [(192, 256), (288, 384), (256, 256)])
@pytest.mark.parametrize("box", BOXES_XYWH)
def test_windows_and_areas_of_persons(box, size_wh):
    """The areas of OKS-NMS were those of the raw boxes times 1.25 squared."""
    centre, scale = official_centre_and_scale(box, size_wh)
    box_xyxy = np.array([[box[0], box[1], box[0] + box[2], box[1] + box[3]]], float)
    found_centre, window = affine.crop_window(box_xyxy, size_wh)
    np.testing.assert_allclose(found_centre[0], centre)
    np.testing.assert_allclose(window[0], (scale[0] * 200, scale[1] * 200))
    # lib/core/function.py: all_boxes[:, 4] = np.prod(s * 200, 1)
    np.testing.assert_allclose(
        person_areas(box_xyxy, size_wh), [(scale[0] * 200) * (scale[1] * 200)]
    )


def official_oks_nms(persons, scores, areas, threshold):
    """`oks_nms`: greedy, over all keypoints, by the mean of both areas."""
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        remaining = []
        for other in left:
            total = 0.0
            for k, sigma in enumerate(COCO_17.oks_sigmas):
                dx = persons[other][k][0] - persons[best][k][0]
                dy = persons[other][k][1] - persons[best][k][1]
                area = (areas[best] + areas[other]) / 2 + np.spacing(1)
                total += math.exp(-(dx**2 + dy**2) / (2 * sigma) ** 2 / area / 2)
            if total / 17 <= threshold:
                remaining.append(other)
        left = remaining
    return kept


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_oks_nms(count):
    rng = np.random.default_rng(count)
    persons = np.concatenate(
        [rng.uniform(0, 60, (count, 1, 2)) + rng.uniform(0, 5, (count, 17, 2))]
    )
    keypoints = np.concatenate([persons, rng.uniform(0, 1, (count, 17, 1))], axis=-1)
    low = rng.uniform(0, 50, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 300, (count, 2))], axis=1)
    scores = rng.permutation(count) / 31
    areas = [
        math.prod(200 * s for s in official_centre_and_scale((x, y, p - x, q - y), (192, 256))[1])
        for x, y, p, q in boxes
    ]
    expected = official_oks_nms(persons, scores, areas, 0.9)
    found = oks.oks_nms(keypoints, scores, person_areas(boxes, (192, 256)), COCO_17.oks_sigmas, 0.9)
    assert found.tolist() == expected
    assert count < 3 or len(expected) < count


@pytest.mark.parametrize(
    ("joint_scores", "box_score", "expected"),
    [
        ([0.0, 0.0], 0.9, 0.0),
        ([0.2, 0.2], 0.9, 0.0),  # in_vis_thre 0.2 itself does not count
        ([0.2001, 0.1], 0.5, 0.10005),
        ([0.5, 1.5, 0.1], 0.8, 0.8),
    ],
)
def test_rescoring(joint_scores, box_score, expected):
    keypoints = np.zeros((1, len(joint_scores), 3))
    keypoints[0, :, 2] = joint_scores
    np.testing.assert_allclose(oks.rescore(keypoints, np.array([box_score])), [expected])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 0, 0), (0, 0, 0, 0)),
        ((10, 20, 30, 40), (10, 20, 39, 59)),
        ((-5, -7, 30, 40), (0, 0, 29, 39)),  # moved inside, not cut
        ((90, 70, 30, 40), (90, 70, 99, 79)),
    ],
)
def test_boxes_of_the_ground_truth(box, expected):
    found = clean_boxes(np.array([box], float), np.array([[100, 80]]))
    np.testing.assert_allclose(found, [expected])


@pytest.mark.parametrize("wanted", ["upper", "lower"])
@pytest.mark.parametrize("size_wh", [(192, 256), (256, 256)])
def test_half_bodies(wanted, size_wh):
    """`half_body_transform`: the extent of the joints brought to the aspect ratio, times 1.5."""
    rng = np.random.default_rng(3)
    keypoints = np.concatenate([rng.uniform(0, 300, (1, 17, 2)), np.full((1, 17, 1), 2.0)], axis=-1)
    joints = [k for k in range(17) if (k in range(11)) == (wanted == "upper")]
    xs, ys = ([float(keypoints[0, k, axis]) for k in joints] for axis in (0, 1))
    w, h, aspect = max(xs) - min(xs), max(ys) - min(ys), size_wh[0] / size_wh[1]
    if w > aspect * h:
        h = w / aspect
    else:
        w = h * aspect
    fits, centre, window = half_body_windows(
        AugmentConfig(), keypoints, COCO_17, size_wh, np.array([wanted == "upper"])
    )
    assert fits.tolist() == [True]
    np.testing.assert_allclose(centre[0], (sum(xs) / len(xs), sum(ys) / len(ys)))
    np.testing.assert_allclose(window[0], (1.5 * w, 1.5 * h))


@pytest.mark.parametrize(
    ("visible", "fits"), [(8, False), (9, True)]
)  # np.sum(joints_vis) > NUM_JOINTS_HALF_BODY, which is 8
def test_half_bodies_need_nine_joints(visible, fits):
    keypoints = np.random.default_rng(0).uniform(0, 99, (1, 17, 3))
    keypoints[..., 2] = np.arange(17) < visible
    found, _, _ = half_body_windows(
        AugmentConfig(), keypoints, COCO_17, (192, 256), np.array([True])
    )
    assert found.tolist() == [fits]


@pytest.mark.parametrize(
    ("position", "scale", "window"),
    [
        # c[1] += 15 s; s *= 1.25; c -= 1; the side is 200 s. In the hourglass's own files scale and
        # position have this already, and its window is the same 200 s.
        ((100, 200), 1.0, (-26, 89, 224, 339)),
        ((594, 257), 3.021046, (215.36925, -76.31506, 970.63075, 678.94644)),
    ],
)
def test_windows_of_mpii(position, scale, window):
    box = person_window(np.array(position), scale)
    centre, size = affine.crop_window(box[None], (256, 256))
    found = np.concatenate([centre - size / 2, centre + size / 2], axis=1)[0]
    np.testing.assert_allclose(found, window, rtol=1e-6)


def test_head_sizes_and_pckh():
    """SC_BIAS 0.6 of the diagonal of the head's box; an error of exactly half of it is correct."""
    corners = np.array([[[10, 20], [40, 60]]], float)  # a diagonal of 50
    size = head_sizes(corners)
    np.testing.assert_allclose(size, [30])
    true = np.zeros((1, 3, 2))
    errors = np.array([[[15, 0], [0, 15.001], [3.29, 0]]], float)
    shares, _ = pck.pck(errors, true, np.ones((1, 3)), size, pck.PCKH_THRESHOLDS)
    # at 0.5, 0.1 and entry 11 of the table, 0.11
    assert shares.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def peak_at(x, y, heatmap_wh):
    heatmap = np.zeros((1, heatmap_wh[1], heatmap_wh[0], 1), np.float32)
    heatmap[0, y, x, 0] = 1
    return heatmap


def three_points(centre, window_w, out_wh, margin):
    """`get_affine_transform` with inv=1, from heatmap to picture; DARK's subtracts 1 from sizes."""
    corner = [(out_wh[0] - margin) / 2, (out_wh[1] - margin) / 2]
    reach_in, reach_out = (window_w - margin) / 2, (out_wh[0] - margin) / 2
    x, y = centre
    picture = np.float32([[x, y], [x, y - reach_in], [x - reach_in, y - reach_in]])
    x, y = corner
    heatmap = np.float32([[x, y], [x, y - reach_out], [x - reach_out, y - reach_out]])
    return cv2.getAffineTransform(heatmap, picture)


@pytest.mark.parametrize("size_wh", [(192, 256), (288, 384), (256, 256)])
@pytest.mark.parametrize("peak", [(0, 0), (5, 40), (31, 7), (47, 63)])
@pytest.mark.parametrize("convention", ["official", "darkpose", "udp", "princeton"])
def test_a_peak_of_a_heatmap_in_the_picture(convention, peak, size_wh):
    """Through crop pixels as everywhere here, or straight from heatmap to picture as published."""
    box = np.array([[120.0, 30.0, 220.0, 330.0]])
    heatmap_wh = size_wh[0] // 4, size_wh[1] // 4
    centre, (scale_w, scale_h) = official_centre_and_scale((120, 30, 100, 300), size_wh)
    window_w, window_h = 200 * scale_w, 200 * scale_h
    if convention in ("official", "darkpose"):
        matrix = three_points(centre, window_w, heatmap_wh, convention == "darkpose")
        expected = matrix @ [*peak, 1]
    elif convention == "udp":
        expected = [
            centre[axis] + side * (peak[axis] / (heatmap_wh[axis] - 1) - 0.5)
            for axis, side in enumerate((window_w, window_h))
        ]
    else:  # the peak plus a half, times 4, through the inverse of get_transform
        expected = [
            centre[axis] + ((peak[axis] + 0.5) * 4 / size_wh[axis] - 0.5) * side
            for axis, side in enumerate((window_w, window_h))
        ]
    recipe = PoseRecipe(input_size_wh=size_wh, convention=convention, decoder="argmax")
    picture = np.zeros((400, 400, 3), np.uint8)
    _, crop_to_image = cut_persons(picture, box, size_wh, convention)
    in_crop = np.asarray(heatmaps_to_crop(peak_at(*peak, heatmap_wh), recipe))
    found = to_image(in_crop, crop_to_image)[0, 0, :2]
    np.testing.assert_allclose(found, expected, atol=2e-3)  # OpenCV's triangles are float32


def test_targets_of_the_hourglass_are_rounded_down():
    """`int(pt)` of crop / 4: what our rounding to the nearest makes of crop / 4 - 1 / 2."""
    (factor, _), (shift, _) = affine.crop_to_heatmap((256, 256), (64, 64), "princeton")
    crop = np.linspace(0.01, 255, 999)
    np.testing.assert_array_equal(np.floor(crop * factor + shift + 0.5), np.floor(crop / 4))
