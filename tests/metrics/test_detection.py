"""Average precision and recall of face detections, against loops over thresholds."""

import numpy as np
import pytest

from kptkit.errors import InputError
from kptkit.metrics.detection import (
    FoundFaces,
    average_precision,
    best_predictions,
    judge,
    matched_faces,
    recall_at,
)
from kptkit.samples import FaceSamples

FACE = [10, 10, 30, 40]


def faces(*pictures):
    """Samples of the boxes of each picture."""
    count = [len(picture) for picture in pictures]
    return FaceSamples(
        image_paths=tuple(f"{number}.jpg" for number in range(len(pictures))),
        image_index=np.repeat(np.arange(len(pictures)), count),
        boxes_xyxy=np.array([box for own in pictures for box in own], np.float32).reshape(-1, 4),
        ignored=np.zeros(sum(count), bool),
        landmarks=np.full((sum(count), 5, 2), np.nan, np.float32),
        complete=True,
    )


def predictions(*rows):
    """Rows of picture, score and box."""
    rows = np.array([[row[0], row[1], *row[2]] for row in rows], float).reshape(-1, 6)
    found = rows[:, 0].astype(np.int64), rows[:, 2:], rows[:, 1]
    return FoundFaces(*found, np.zeros((len(rows), 5, 2)))


def judged(found, samples, ignored=None, thresholds=None):
    ignored = samples.ignored if ignored is None else np.array(ignored)
    return judge(found, matched_faces(found, samples), samples, ignored, thresholds)


def overlap_loop(a, b):
    """Of boxes that include their last pixel."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    area_a, area_b = ((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b))
    both = max(0, width) * max(0, height)
    return both / (area_a + area_b - both)


def counts_loop(found, samples, ignored, threshold, picture):
    """Hits and false positives of one picture above a threshold, by the protocol's words."""
    own = [i for i in range(len(found.scores)) if found.image_index[i] == picture]
    own = [i for i in own if found.scores[i] >= threshold]
    hits, false_positives, taken = 0, 0, set()
    for i in sorted(own, key=lambda i: -found.scores[i]):
        best, face = 0.0, None
        for j in range(len(ignored)):
            if samples.image_index[j] != picture:
                continue
            overlap = overlap_loop(found.boxes_xyxy[i], samples.boxes_xyxy[j])
            if overlap > best:
                best, face = overlap, j
        if best < 0.5:
            false_positives += 1
        elif not ignored[face]:
            false_positives += face in taken
            hits += face not in taken
            taken.add(face)
    return hits, false_positives


def curve_loop(found, samples, ignored, thresholds, pictures):
    """Hits and false positives (T, 2) of pictures, which may come more than once."""
    each = {
        picture: [counts_loop(found, samples, ignored, t, picture) for t in thresholds]
        for picture in set(pictures)
    }
    return np.sum([each[picture] for picture in pictures], axis=0)


def ap_loop(curve, num_faces):
    """The best precision at each recall or beyond, face by face."""
    total = 0.0
    for wanted in range(1, num_faces + 1):
        beyond = [hits / (hits + wrong) for hits, wrong in curve if hits >= wanted]
        total += max(beyond, default=0.0)
    return total / num_faces


def random_set(seed):
    """Four pictures of crowded faces, a fifth with none, and predictions near some of them."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 60, (4, 6, 2))
    samples = faces(*np.concatenate([low, low + rng.integers(6, 30, (4, 6, 2))], axis=-1), [])
    rows = []
    for image, box in zip(samples.image_index, samples.boxes_xyxy, strict=True):
        for _ in range(rng.integers(0, 4)):
            # Scores of few values: many are equal.
            rows.append((image, rng.integers(3, 20) / 20, box + rng.integers(-4, 5, 4)))
    for _ in range(12):
        corner = rng.integers(0, 60, 2)
        rows.append((rng.integers(5), rng.integers(1, 14) / 20, [*corner, *(corner + 15)]))
    rng.shuffle(rows)
    return predictions(*rows), samples, rng.random(len(samples)) < 0.3


@pytest.mark.parametrize("thresholds", [None, 1000])
def test_nothing_found_and_nothing_to_find(thresholds):
    none = predictions()
    assert np.isnan(average_precision(judged(none, faces(), thresholds=thresholds)))
    assert np.isnan(average_precision(judged(none, faces([], []), thresholds=thresholds)))
    assert np.isnan(recall_at(judged(none, faces([])), (0, 10))).all()
    missed = judged(none, faces([FACE]), thresholds=thresholds)
    assert average_precision(missed) == 0
    assert recall_at(missed, (0, 10)).tolist() == [0, 0]
    only_ignored = judged(predictions((0, 0.9, FACE)), faces([FACE]), [True], thresholds)
    assert len(only_ignored.hit) == 0
    assert np.isnan(average_precision(only_ignored))
    assert np.isnan(average_precision(missed, np.zeros(1)))


@pytest.mark.parametrize(
    ("rows", "ignored", "ap", "recall"),
    [
        ([(0, 0.5, FACE)], [False, False], 0.5, 0.5),
        ([(0, 0.5, FACE), (1, 0.2, FACE)], [False, False], 1, 1),
        ([(0, 0.5, FACE), (0, 0.4, FACE), (1, 0.2, FACE)], [False, False], 0.5 + 0.5 * 2 / 3, 0.5),
        ([(1, 0.5, [50, 50, 60, 60]), (0, 0.4, FACE)], [False, False], 0.25, 0),
        # A face outside the subset: what is found there counts neither way.
        ([(0, 0.9, FACE), (0, 0.8, FACE), (1, 0.2, FACE)], [True, False], 1, 1),
        # Equal scores come together: the order of the rows says nothing.
        ([(1, 0.5, [50, 50, 60, 60]), (0, 0.5, FACE)], [False, False], 0.25, 0),
    ],
)
def test_cases_worked_by_hand(rows, ignored, ap, recall):
    for thresholds in (None, 1000):
        result = judged(predictions(*rows), faces([FACE], [FACE]), ignored, thresholds)
        assert average_precision(result) == pytest.approx(ap, abs=1e-12)
    result = judged(predictions(*rows), faces([FACE], [FACE]), ignored)
    assert recall_at(result, [0]).tolist() == [recall]


def test_half_an_overlap_is_enough_and_a_pixel_less_is_not():
    samples = faces([[0, 0, 9, 9]])  # ten by ten pixels, as WIDER FACE counts
    found = predictions((0, 1, [0, 0, 9, 4]), (0, 1, [0, 0, 9, 3]), (0, 1, [0, 0, 4, 9]))
    assert matched_faces(found, samples).tolist() == [0, -1, 0]
    assert best_predictions(found.scores, np.array([0, -1, 0]), 1).tolist() == [0]
    assert best_predictions(np.array([0.1, 0.5, 0.2]), np.array([0, -1, 0]), 2).tolist() == [2, -1]


@pytest.mark.parametrize(
    ("scores", "levels"),
    [
        ([], []),
        ([7], [0]),
        ([3, 3], [0, 0]),
        # Stretched to 1, 0.5, 0.49, 0 and cut at 0.5 and 0: a threshold itself is enough.
        ([9, 4, 3.9, -1], [0, 0, 1, 1]),
    ],
)
def test_scores_are_stretched_and_cut(scores, levels):
    found = predictions(*[(0, score, FACE) for score in scores])
    assert judged(found, faces([FACE]), thresholds=2).level.tolist() == levels


@pytest.mark.parametrize("seed", range(6))
def test_random_sets_equal_a_loop(seed):
    found, samples, ignored = random_set(seed)
    num_faces = int((~ignored).sum())
    low, high = found.scores.min(), found.scores.max()
    grid = [low + (high - low) * (1 - (step + 1) / 20) for step in range(20)]
    # One part in a billion lower, because the loop does not stretch the scores.
    coarse = curve_loop(found, samples, ignored, np.array(grid) - 1e-9, range(5))
    result = judged(found, samples, ignored, thresholds=20)
    assert average_precision(result) == pytest.approx(ap_loop(coarse, num_faces), abs=1e-12)

    distinct = sorted(set(found.scores), reverse=True)
    fine = curve_loop(found, samples, ignored, distinct, range(5))
    result = judged(found, samples, ignored)
    assert average_precision(result) == pytest.approx(ap_loop(fine, num_faces), abs=1e-12)
    for limit in (0, 1, 3, 7, 1000):
        allowed = [hits for hits, wrong in fine if wrong <= limit]
        expected = max(allowed, default=0) / num_faces
        assert recall_at(result, [limit]) == pytest.approx(expected, abs=1e-12)


def test_weights_are_pictures_counted_again():
    found, samples, ignored = random_set(7)
    drawn = [0, 0, 2, 3, 3]
    distinct = sorted(set(found.scores), reverse=True)
    curve = curve_loop(found, samples, ignored, distinct, drawn)
    own = [int((~ignored & (samples.image_index == picture)).sum()) for picture in range(5)]
    expected = ap_loop(curve, sum(own[picture] for picture in drawn))
    weights = np.bincount(drawn, minlength=5)
    assert average_precision(judged(found, samples, ignored), weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "place"), [("boxes_xyxy", (1, 2)), ("scores", 1), ("landmarks", (1, 4, 0))]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(name, place, value):
    arrays = {
        "image_index": np.array([0, 3]),
        "boxes_xyxy": np.zeros((2, 4)),
        "scores": np.zeros(2),
        "landmarks": np.zeros((2, 5, 2)),
    }
    FoundFaces(**arrays)
    arrays[name][place] = value
    with pytest.raises(InputError, match=rf"{name} \(picture 3\): NaN or infinity"):
        FoundFaces(**arrays)
