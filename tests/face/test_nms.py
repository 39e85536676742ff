"""Non-maximum suppression against the greedy loop over boxes."""

import numpy as np
import pytest
import tensorflow as tf

from kptkit.face.nms import iou_nms, min_area_nms

BOTH = pytest.mark.parametrize("nms", [iou_nms, min_area_nms])


def share(a, b, nms):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [max(x2 - x1, 0) * max(y2 - y1, 0) for x1, y1, x2, y2 in (a, b)]
    common = width * height
    whole = min(areas) if nms is min_area_nms else sum(areas) - common
    return common / whole if whole > 0 else 0


def greedy(boxes, scores, threshold, most, nms):
    kept = []
    for index in np.argsort(-scores, kind="stable")[:most]:
        if all(share(boxes[index], boxes[k], nms) <= threshold for k in kept):
            kept.append(index)
    return kept


@BOTH
@pytest.mark.parametrize("count", [0, 1, 2, 60, 400])
@pytest.mark.parametrize("most", [1000, 30])
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "graph"])
def test_is_the_greedy_loop(nms, count, most, compile):
    rng = np.random.default_rng(count)
    low = rng.uniform(0, 80, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 40, (count, 2))], axis=1).astype(np.float32)
    scores = rng.permutation(count).astype(np.float32) / max(count, 1)
    function = tf.function(nms, autograph=False) if compile else nms
    kept = function(tf.constant(boxes), tf.constant(scores), 0.5, most)
    np.testing.assert_array_equal(kept, greedy(boxes, scores, 0.5, most, nms))


@pytest.mark.parametrize(("nms", "kept"), [(iou_nms, [1, 0]), (min_area_nms, [1])])
def test_a_box_inside_another(nms, kept):
    boxes, scores = [[10.0, 10, 14, 14], [0, 0, 40, 40]], [0.8, 0.9]
    found = nms(tf.constant(boxes), tf.constant(scores), 0.7, 10)
    np.testing.assert_array_equal(found, kept)


def test_only_kept_boxes_drop_others():
    """The second overlaps the first and is dropped; the third overlaps only the second: kept."""
    boxes = [[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]
    kept = iou_nms(tf.constant(boxes), tf.constant([0.9, 0.8, 0.7]), 0.4, 10)
    np.testing.assert_array_equal(kept, [0, 2])


@BOTH
def test_boxes_without_area(nms):
    boxes = tf.constant([[5.0, 5, 5, 9], [5, 5, 5, 9], [9, 9, 5, 5]])
    assert len(nms(boxes, tf.constant([0.9, 0.8, 0.7]), 0.5, 10)) == 3
