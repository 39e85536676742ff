"""Metrics of crops against loops over thresholds and crops."""

import numpy as np
import pytest

from kptkit.metrics.crops import crop_metrics, recall_at_precision


def slow_recall(scores, is_face, precision):
    best = 0.0
    for threshold in sorted(set(scores)):
        taken = [
            bool(face) for score, face in zip(scores, is_face, strict=True) if score >= threshold
        ]
        if sum(taken) >= precision * len(taken):
            best = max(best, sum(taken) / max(1, sum(is_face)))
    return best


@pytest.mark.parametrize(
    ("scores", "is_face", "expected"),
    [
        ([], [], 0),
        ([0.9, 0.1], [False, False], 0),
        ([0.9, 0.1], [True, True], 1),
        ([0.9, 0.8, 0.7, 0.6], [True, False, True, True], 1 / 3),
        ([0.5, 0.5], [True, False], 0),  # no threshold parts them
    ],
)
def test_recall_of_few(scores, is_face, expected):
    assert recall_at_precision(np.array(scores), np.array(is_face, bool), 0.9) == expected


@pytest.mark.parametrize("seed", range(5))
def test_recall_of_many(seed):
    rng = np.random.default_rng(seed)
    is_face = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + 3 * is_face, 1)
    for precision in (0.5, 0.9, 0.97):
        expected = slow_recall(scores.tolist(), is_face.tolist(), precision)
        assert recall_at_precision(scores, is_face, precision) == pytest.approx(expected)


def made(count, seed=0):
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 4, count)  # negative, positive, part, landmark
    true = {
        "is_face": (kinds == 1).astype(np.float32),
        "class_valid": kinds < 2,
        "box": rng.normal(size=(count, 4)),
        "box_valid": (kinds == 1) | (kinds == 2),
        "landmark": rng.random((count, 10)),
        "landmark_valid": kinds == 3,
    }
    predicted = {
        "logits": rng.normal(size=(count, 2)),
        "box": rng.normal(size=(count, 4)),
        "landmark": rng.random((count, 10)),
    }
    return true, predicted, kinds


def test_nothing_to_judge():
    metrics = crop_metrics(*made(0)[:2])
    assert metrics.pop("recall_97") == 0
    assert np.isnan(list(metrics.values())).all()


def test_every_number_is_the_loop():
    true, predicted, kinds = made(200)
    right = {0: [], 1: []}
    box, landmark = [], []
    for row, kind in enumerate(kinds):
        if kind < 2:
            right[kind].append(int(np.argmax(predicted["logits"][row])) == kind)
        if kind in (1, 2):
            box.append(np.abs(predicted["box"][row] - true["box"][row]).mean())
        if kind == 3:
            points = true["landmark"][row].reshape(5, 2)
            far = np.linalg.norm(predicted["landmark"][row].reshape(5, 2) - points, axis=1)
            landmark.append(far.mean() / np.linalg.norm(points[0] - points[1]))
    expected = {
        "accuracy": np.mean(right[0] + right[1]),
        "accuracy_faces": np.mean(right[1]),
        "accuracy_others": np.mean(right[0]),
        "box_error": np.mean(box),
        "landmark_error": np.mean(landmark),
    }
    metrics = crop_metrics(true, predicted)
    metrics.pop("recall_97")
    assert metrics == pytest.approx(expected)


def test_a_network_without_landmarks_is_not_judged_on_them():
    true, predicted, _ = made(50)
    predicted.pop("landmark")
    assert "landmark_error" not in crop_metrics(true, predicted)
