"""Judging a detector that is a few lines of Python: what it finds is known."""

import numpy as np
import pytest

from kptkit import images
from kptkit.errors import InputError
from kptkit.evaluate import face
from kptkit.evaluate.face import evaluate_faces
from kptkit.face.detector import FacePrediction
from kptkit.samples import FaceSamples

# Eyes, nose and mouth corners in shares of a box.
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
# Of each picture, whose grey level is its number: a face of 40 px and one of 15 px in height.
TALL, SMALL = np.array([10, 10, 40, 50]), np.array([60, 20, 72, 35])


def landmarks_of(box_xyxy):
    return box_xyxy[:2] + POINTS * (box_xyxy[2:] - box_xyxy[:2])


def prediction(*rows):
    """Of rows of score and box."""
    boxes = np.array([box for _, box in rows], np.float32).reshape(-1, 4)
    points = np.array([landmarks_of(box) for box in boxes]).reshape(-1, 5, 2)
    return FacePrediction(boxes, np.array([s for s, _ in rows], np.float32), points)


@pytest.fixture
def samples(tmp_path):
    """Four pictures of both faces, and a fifth with none."""
    paths = []
    for number in range(5):
        paths.append(str(tmp_path / f"{number}.png"))
        images.write_image(paths[-1], np.full((60, 80, 3), number, np.uint8))
    boxes = np.array([TALL, SMALL] * 4, np.float32)
    return FaceSamples(
        image_paths=tuple(paths),
        image_index=np.repeat(np.arange(4), 2),
        boxes_xyxy=boxes,
        ignored=np.zeros(8, bool),
        landmarks=np.array([landmarks_of(box) for box in boxes], np.float32),
        complete=True,
    )


def perfect(image):
    return prediction(*([(0.9, TALL), (0.8, SMALL)] if image[0, 0, 0] < 4 else []))


def careless(image):
    """Misses both faces of picture 0, finds one on picture 4, and puts points 3 px to the right."""
    number = image[0, 0, 0]
    found = prediction(*([(0.95, TALL), (0.8, SMALL)] if number in (1, 2, 3) else []))
    found = prediction((0.99, TALL)) if number == 4 else found
    return FacePrediction(found.boxes_xyxy, found.scores, found.landmarks + np.array([3, 0]))


def wild(image):
    """Finds all, with points 9 px off on picture 0, where `careless` finds nothing."""
    found = perfect(image)
    shift = 9 if image[0, 0, 0] == 0 else 0
    return FacePrediction(found.boxes_xyxy, found.scores, found.landmarks + shift)


def blind(image):
    return prediction()


def test_no_pictures():
    empty = FaceSamples(
        image_paths=(),
        image_index=np.zeros(0, np.int64),
        boxes_xyxy=np.zeros((0, 4), np.float32),
        ignored=np.zeros(0, bool),
        landmarks=np.zeros((0, 5, 2), np.float32),
        complete=True,
    )
    evaluation = evaluate_faces(perfect, empty)
    numbers = face.box_metrics(evaluation, empty.ignored)
    assert numbers.pop("faces") == 0
    assert np.isnan(list(numbers.values())).all()
    assert face.landmark_metrics(evaluation)["found"] == 0
    difference = face.compare_boxes(evaluation, evaluation, empty.ignored, 10)
    assert np.isnan(difference.value)


def test_a_blind_detector_finds_nothing(samples):
    evaluation = evaluate_faces(blind, samples)
    numbers = face.box_metrics(evaluation, samples.ignored)
    assert numbers.pop("faces") == 8
    assert set(numbers.values()) == {0}
    numbers = face.landmark_metrics(evaluation)
    assert (numbers["faces"], numbers["found"]) == (8, 0)
    assert np.isnan(numbers["NME_sqrt_wh"])


def test_heights_say_which_faces_are_to_be_found(samples):
    evaluation = evaluate_faces(perfect, samples)
    subsets = face.height_subsets(samples, (20, 10))
    assert [(~out).sum() for out in subsets.values()] == [4, 8]
    assert list(subsets) == ["at_least_20px", "at_least_10px"]
    for ignored in subsets.values():
        numbers = face.box_metrics(evaluation, ignored)
        assert numbers["AP"] == pytest.approx(1)
        assert numbers["AP_exact"] == pytest.approx(1)
        assert numbers["recall_10fp"] == 1


def test_numbers_of_a_careless_detector(samples):
    evaluation = evaluate_faces(careless, samples)
    assert evaluation.belongs.tolist() == [2, 3, 4, 5, 6, 7, -1]
    numbers = face.box_metrics(evaluation, samples.ignored)
    # The worst comes first: 1 wrong, then 3 of 3, then 3 of 3 more, of 8.
    assert numbers["AP_exact"] == pytest.approx(6 / 7 * 6 / 8)
    assert numbers["recall_10fp"] == pytest.approx(6 / 8)
    numbers = face.landmark_metrics(evaluation)
    assert (numbers["faces"], numbers["found"]) == (8, 6)
    eyes, roots = [0.4 * 30, 0.4 * 12], [(30 * 40) ** 0.5, (12 * 15) ** 0.5]
    for name, lengths in (("inter_ocular", eyes), ("sqrt_wh", roots)):
        errors = [3 / length for length in lengths]
        assert numbers[f"NME_{name}"] == pytest.approx(sum(errors) / 2)
        assert numbers[f"failures_{name}"] == sum(error > 0.1 for error in errors) / 2


def test_ignored_faces_and_faces_without_landmarks_are_not_judged(samples):
    samples.ignored[0] = True
    samples.landmarks[3] = np.nan
    numbers = face.landmark_metrics(evaluate_faces(perfect, samples))
    assert (numbers["faces"], numbers["found"]) == (6, 6)
    assert numbers["NME_inter_ocular"] == pytest.approx(0, abs=1e-6)


def test_landmark_boxes_may_be_of_other_shapes(samples):
    """A square of a face that is twice as high overlaps it by half, and a little less here."""
    samples.boxes_xyxy[::2] = [10, 31, 40, 50]
    evaluation = evaluate_faces(perfect, samples)
    assert face.box_metrics(evaluation, samples.ignored)["recall_100fp"] == 4 / 8
    assert face.landmark_metrics(evaluation)["found"] == 8


def test_differences_are_those_of_the_numbers(samples):
    first, second = evaluate_faces(perfect, samples), evaluate_faces(careless, samples)
    one, other = (face.box_metrics(e, samples.ignored) for e in (first, second))
    difference = face.compare_boxes(first, second, samples.ignored, 200)
    assert difference.value == pytest.approx(one["AP"] - other["AP"])
    assert 0 <= difference.low < difference.value < difference.high <= 1
    first = evaluate_faces(wild, samples)
    points = face.compare_landmarks(first, second, 50)["sqrt_wh"]
    expected = face.landmark_metrics(second)["NME_sqrt_wh"]
    assert points.value == pytest.approx(-expected)
    turned = face.compare_landmarks(second, first, 50)["sqrt_wh"]
    assert turned.value == pytest.approx(expected)
    # Every picture on which both found faces errs alike.
    assert [points.low, points.high] == pytest.approx([-expected] * 2)


def test_unreadable_pictures_are_left_out_and_counted(samples, tmp_path):
    (tmp_path / "0.png").write_bytes(b"")
    (tmp_path / "2.png").unlink()
    evaluation = evaluate_faces(perfect, samples)
    assert evaluation.skipped == {"empty": 1, "missing": 1}
    assert len(evaluation.samples.image_paths) == 3
    numbers = face.box_metrics(evaluation, evaluation.samples.ignored)
    assert (numbers["faces"], numbers["AP_exact"]) == (4, 1)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"0.png: missing, as are all 5 pictures of the list"):
        evaluate_faces(perfect, samples)


def test_what_is_not_finite_is_refused(samples):
    def broken(image):
        return prediction((np.nan, TALL))

    with pytest.raises(InputError, match=r"predictions: scores \(picture 0\): NaN"):
        evaluate_faces(broken, samples)
