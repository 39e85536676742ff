"""OKS against plain loops, AP against pycocotools called as its authors call it."""

import contextlib
import copy
import io
import json
import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from kptkit.errors import InputError
from kptkit.metrics import oks as judge
from kptkit.skeletons.known import COCO_17

SIGMAS = COCO_17.oks_sigmas
CATEGORY = {"id": 1, "name": "person", "keypoints": list(COCO_17.names), "skeleton": []}


def random_set(seed, num_keypoints=17, num_images=6):
    """A ground truth, and results that are near, far off, repeated or on somebody else."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image_id in range(num_images):  # the first image has id 0, the last has nobody
        for _ in range(rng.integers(0, 5) if image_id < num_images - 1 else 0):
            low, side = rng.uniform(0, 300, 2), rng.uniform(8, 200, 2)
            keypoints = np.ones((num_keypoints, 3))
            keypoints[:, :2] = low + rng.uniform(0, 1, (num_keypoints, 2)) * side
            keypoints[:, 2] = rng.choice(3, num_keypoints, p=[0.3, 0.1, 0.6])
            keypoints[:, 2] *= rng.uniform() > 0.15
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "bbox": [*low.tolist(), *side.tolist()],
                    "area": float(0.53 * side[0] * side[1]),
                    "iscrowd": int(rng.uniform() < 0.1),
                    "keypoints": keypoints.ravel().tolist(),
                    "num_keypoints": int((keypoints[:, 2] > 0).sum()),
                }
            )
            for _ in range(rng.integers(0, 3)):
                noisy = keypoints.copy()
                noisy[:, :2] += rng.normal(0, rng.uniform(0, 0.1) * side.max(), noisy[:, :2].shape)
                results.append((image_id, noisy, float(rng.choice([0.2, 0.5, rng.uniform()]))))
        stray = rng.uniform(0, 400, (num_keypoints, 3))
        results.append((image_id, stray, float(rng.uniform())))
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(num_images)]
    truth = {"images": images, "annotations": annotations, "categories": [CATEGORY]}
    ids, keypoints, scores = zip(*results, strict=True)
    return truth, judge.coco_results(ids, 1, np.array(keypoints), np.array(scores))


def official(truth, results, oks_sigmas):
    """pycocotools as in its own demo, sigmas set by hand."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(oks_sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def loop_oks(predicted, true, area, oks_sigmas):
    """The mean of exp(-d² / (2 s² k²)) over the labelled, k = 2 sigma (cocodataset.org)."""
    values = []
    for (x, y, _), (u, v, visible), sigma in zip(predicted, true, oks_sigmas, strict=True):
        if visible > 0:
            values.append(math.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * area * (2 * sigma) ** 2)))
    return sum(values) / len(values) if values else math.nan


def loop_nms(keypoints, scores, areas, oks_sigmas, threshold):
    """Keep the best, drop its copies, repeat."""
    left, kept = sorted(range(len(scores)), key=lambda i: -scores[i]), []
    while left:
        best = left.pop(0)
        kept.append(best)
        everything = np.concatenate([keypoints[best][:, :2], np.ones((17, 1))], axis=1)
        left = [
            i
            for i in left
            if loop_oks(keypoints[i], everything, (areas[best] + areas[i]) / 2, oks_sigmas)
            <= threshold
        ]
    return kept


def test_oks_equals_the_formula():
    assert judge.oks(np.zeros((0, 17, 3)), np.zeros((0, 17, 3)), np.zeros(0), SIGMAS).shape == (0,)
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 100, (40, 17, 3))
    true[..., 2] = rng.integers(0, 3, (40, 17))
    true[0, :, 2] = 0
    true[1, true[1, :, 2] == 0, :2] = np.nan  # what is not labelled is not looked at
    predicted = true + rng.normal(0, 5, true.shape)
    predicted[1] = np.nan_to_num(predicted[1])
    areas = rng.uniform(1, 5000, 40)
    expected = [loop_oks(*row, SIGMAS) for row in zip(predicted, true, areas, strict=True)]
    assert math.isnan(expected[0])
    np.testing.assert_allclose(judge.oks(predicted, true, areas, SIGMAS), expected, rtol=1e-12)
    np.testing.assert_allclose(judge.oks(predicted[2], true[2], areas[2], SIGMAS), expected[2])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_no_numbers_are_refused(value):
    true = np.ones((2, 17, 3))
    predicted = true.copy()
    predicted[1, 3, 0] = value
    truth, results = random_set(0)
    broken = copy.deepcopy(results)
    broken[0]["keypoints"][4] = value
    unscored = [{**results[0], "score": value}]
    with pytest.raises(InputError, match="NaN or infinity"):
        judge.oks(predicted, true, np.ones(2), SIGMAS)
    with pytest.raises(InputError, match=r"image id 12\): NaN or infinity"):
        judge.coco_results([11, 12], 1, predicted, np.ones(2))
    with pytest.raises(InputError, match=r"image id 11\): NaN or infinity"):
        judge.coco_results([11, 12], 1, true, np.array([value, 1]))
    for unusable in (broken, unscored):
        with pytest.raises(InputError, match=r"image id 0\): NaN or infinity"):
            judge.evaluate_oks(truth, unusable, SIGMAS)


@pytest.mark.parametrize(
    ("joint_scores", "box_score", "expected"),
    [
        ([0.0, 0.1, 0.2], 0.9, 0.0),
        ([0.3, 0.1, 0.9], 0.5, 0.3),
        ([1.0, 1.0, 1.0], 1.0, 1.0),
        ([-5.0, 0.8, 0.8], 0.5, 0.4),
    ],
)
def test_rescoring_is_the_official(joint_scores, box_score, expected):
    keypoints = np.zeros((1, 3, 3), np.float32)
    assert judge.rescore(keypoints[:0], np.zeros(0)).shape == (0,)
    keypoints[0, :, 2] = joint_scores
    np.testing.assert_allclose(judge.rescore(keypoints, [box_score]), [expected], rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_nms_equals_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    copies = np.repeat(rng.uniform(0, 100, (4, 17, 3)), 5, axis=0)
    keypoints = copies + rng.normal(0, 1.5, copies.shape)
    scores, areas = rng.uniform(size=20), rng.uniform(200, 2000, 20)
    kept = judge.oks_nms(keypoints, scores, areas, SIGMAS, 0.7)
    assert kept.tolist() == loop_nms(keypoints, scores, areas, SIGMAS, 0.7)
    assert 4 <= len(kept) < 20


def test_nms_of_nobody_and_of_one():
    nobody = judge.oks_nms(np.zeros((0, 17, 3)), np.zeros(0), np.zeros(0), SIGMAS)
    assert nobody.tolist() == []
    assert judge.oks_nms(np.zeros((1, 17, 3)), np.ones(1), np.ones(1), SIGMAS).tolist() == [0]


def test_nms_drops_copies_and_leaves_its_inputs_alone():
    keypoints = np.zeros((3, 17, 3))
    keypoints[2, :, :2] = 1000
    scores, areas = np.array([0.9, 0.8, 0.3]), np.full(3, 100.0)
    assert judge.oks_nms(keypoints, scores, areas, SIGMAS).tolist() == [0, 2]
    assert scores.tolist() == [0.9, 0.8, 0.3]


def test_results_are_json_without_boxes():
    assert judge.coco_results([], 1, np.zeros((0, 17, 3)), np.zeros(0)) == []
    keypoints = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    results = judge.coco_results(np.array([7]), 1, keypoints, np.array([0.5], np.float32))
    expected = {"image_id": 7, "category_id": 1, "keypoints": [0, 1, 2, 3, 4, 5], "score": 0.5}
    assert json.loads(json.dumps(results)) == [expected]


@pytest.mark.parametrize("seed", range(50))
def test_ap_equals_pycocotools(seed):
    num_keypoints = 17 if seed % 2 else 5
    sigmas = np.random.default_rng(seed).uniform(0.02, 0.1, num_keypoints)
    truth, results = random_set(seed, num_keypoints)
    given = copy.deepcopy((truth, results))
    metrics = judge.evaluate_oks(truth, results, sigmas)
    assert (truth, results) == given
    expected = [math.nan if value == -1 else value for value in official(*given, sigmas)]
    assert list(metrics) == list(judge.METRIC_NAMES)
    np.testing.assert_allclose(list(metrics.values()), expected, atol=1e-12)


def test_random_sets_are_neither_trivial_nor_hopeless():
    precision = [judge.evaluate_oks(*random_set(seed), SIGMAS)["AP"] for seed in range(10)]
    assert 0.05 < np.mean(precision) < 0.95


def test_the_true_keypoints_reach_one_from_any_first_id(capsys):
    truth, _ = random_set(1, num_images=8)
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 0
    persons = [a for a in truth["annotations"] if a["num_keypoints"]]
    ids = [a["image_id"] for a in persons]
    keypoints = np.array([a["keypoints"] for a in persons]).reshape(-1, 17, 3)
    results = judge.coco_results(ids, 1, keypoints, np.ones(len(ids)))
    for first_id in (0, 1, 10**12):
        for number, annotation in enumerate(truth["annotations"]):
            annotation["id"] = first_id + number
        metrics = judge.evaluate_oks(truth, results, SIGMAS)
        assert metrics["AP"] == pytest.approx(1, abs=1e-12)
        assert metrics["AR"] == pytest.approx(1, abs=1e-12)
    assert capsys.readouterr().out == ""


def test_a_box_in_the_results_changes_nothing():
    truth, results = random_set(2)
    boxed = [{**result, "bbox": [0, 0, 1, 1], "id": 5, "area": 7} for result in results]
    plain = judge.evaluate_oks(truth, results, SIGMAS)
    np.testing.assert_equal(judge.evaluate_oks(truth, boxed, SIGMAS), plain)


def test_nothing_found_is_zero_and_nobody_there_is_undefined():
    truth, results = random_set(3)
    areas = [a["area"] for a in truth["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    assert any(32**2 < area < 96**2 for area in areas)
    assert any(area > 96**2 for area in areas)
    assert set(judge.evaluate_oks(truth, [], SIGMAS).values()) == {0.0}
    nobody = {**truth, "annotations": []}
    for found in ([], results):
        assert all(math.isnan(v) for v in judge.evaluate_oks(nobody, found, SIGMAS).values())
    medium = [a for a in truth["annotations"] if a["area"] < 96**2]
    metrics = judge.evaluate_oks({**truth, "annotations": medium}, [], SIGMAS)
    assert math.isnan(metrics["APL"])
    assert metrics["APM"] == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image_id", 99, "image_id 99: not in the ground truth"),
        ("image_id", "0", "image_id '0': not in the ground truth"),
        ("category_id", 2, "category_id 2: not in the ground truth"),
        ("keypoints", [1.0] * 48, r"result: keypoints \(image id 0\): 48 numbers; expected 51"),
    ],
)
def test_results_of_another_file_are_refused(field, value, message):
    truth, results = random_set(0)
    with pytest.raises(InputError, match=message):
        judge.evaluate_oks(truth, [{**results[0], field: value}], SIGMAS)


def test_sigmas_of_another_schema_are_refused():
    truth, results = random_set(0)
    with pytest.raises(InputError, match=r"annotation: keypoints .* 51 numbers; expected 48"):
        judge.evaluate_oks(truth, results, SIGMAS[:16])
    with pytest.raises(InputError, match="16 for 17 keypoints"):
        judge.oks(np.ones((17, 3)), np.ones((17, 3)), 1.0, SIGMAS[:16])


def test_per_keypoint_statistics_by_hand():
    predicted = np.array([[[3.0, 4, 0.5], [0, 0, 0.2]], [[0, 0, 0.7], [9, 9, 0.9]]])
    true = np.array([[[0.0, 0, 2], [0, 0, 0]], [[0, 0, 1], [0, 0, 0]]])
    statistics = judge.per_keypoint(predicted, true, np.array([100, 400]), (0.1, 0.1))
    assert statistics["labelled"].tolist() == [2, 0]
    np.testing.assert_allclose(statistics["distance"], [(5 / 10 + 0 / 20) / 2, np.nan])
    # exp(-25 / (2 * 100 * 0.04)) = 0.044 and 1.
    np.testing.assert_allclose(statistics["similar"], [0.5, np.nan])
    np.testing.assert_allclose(statistics["score"], [0.6, np.nan])
    empty = judge.per_keypoint(predicted[:0], true[:0], np.zeros(0), (0.1, 0.1))
    assert empty["labelled"].tolist() == [0, 0]
    assert np.isnan(empty["distance"]).all()


def test_tables_read_well():
    statistics = {
        "labelled": np.array([2, 0]),
        "distance": np.array([0.25, np.nan]),
        "similar": np.array([0.5, np.nan]),
        "score": np.array([0.6, np.nan]),
    }
    assert judge.per_keypoint_table(("nose", "tail"), statistics).splitlines() == [
        "| keypoint | labelled | distance / sqrt(area) | similarity > 0.5 | score |",
        "| -------: | -------: | --------------------: | ---------------: | ----: |",
        "|     nose |        2 |                 0.250 |            0.500 | 0.600 |",
        "|     tail |        0 |                     - |                - |     - |",
        "|      all |        2 |                 0.250 |            0.500 | 0.600 |",
    ]
