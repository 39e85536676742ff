import numpy as np
import pytest

from kptkit.data.mining.crop_pixels import cut_windows
from kptkit.data.mining.crops import CropKind
from kptkit.data.mining.settings import WindowCounts
from kptkit.data.mining.windows import (
    UNUSED,
    background_windows,
    crops_of_windows,
    draw_legal_windows,
    face_windows,
    first_of_each,
    label_windows,
    usable_faces,
    windows_anywhere,
    windows_around,
    windows_near,
)
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples

SIZE_WH = (120, 90)


def faces_of(boxes_xyxy, ignored=(), landmarks=None):
    """Faces of one picture; `ignored` holds the indices of those that are ignored."""
    boxes_xyxy = np.reshape(np.array(boxes_xyxy, np.float32), (-1, 4))
    count = len(boxes_xyxy)
    return FaceSamples(
        image_paths=("a.jpg",),
        image_index=np.zeros(count, np.int64),
        boxes_xyxy=boxes_xyxy,
        ignored=np.isin(np.arange(count), ignored),
        landmarks=np.full((count, 5, 2), np.nan, np.float32) if landmarks is None else landmarks,
        complete=True,
    )


def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return shared, shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def label(window, faces):
    """The labelling rules for one window, in a plain loop over the faces."""
    ious = [overlap(window, box)[1] for box in faces.boxes_xyxy]
    best = int(np.argmax(ious)) if ious else -1
    if ious and ious[best] >= 0.4:
        if faces.ignored[best]:
            return UNUSED, -1
        return (CropKind.POSITIVE if ious[best] >= 0.65 else CropKind.PART), best
    if ious and ious[best] >= 0.3:
        return UNUSED, -1
    centre = (window[0] + window[2]) / 2, (window[1] + window[3]) / 2
    for box, ignored in zip(faces.boxes_xyxy, faces.ignored, strict=True):
        side = window[2] - window[0]
        if ignored and overlap(window, box)[0] >= 0.3 * side * side:
            return UNUSED, -1
        if ignored and box[0] <= centre[0] <= box[2] and box[1] <= centre[1] <= box[3]:
            return UNUSED, -1
    return CropKind.NEGATIVE, -1


@pytest.mark.parametrize("pairs", [7, 100_000])
@pytest.mark.parametrize("num_faces", [0, 1, 6])
def test_labels_against_the_rules_one_by_one(num_faces, pairs, monkeypatch):
    monkeypatch.setattr("kptkit.data.mining.windows._MOST_PAIRS", pairs)
    rng = np.random.default_rng(num_faces)
    low = rng.uniform(0, 60, (num_faces, 2))
    faces = faces_of(np.concatenate([low, low + rng.uniform(8, 40, (num_faces, 2))], 1), [1, 4])
    corner, side = rng.integers(-5, 80, (400, 2)), rng.integers(8, 45, (400, 1))
    windows = np.concatenate([corner, corner + side], axis=1)
    if num_faces:
        close = windows_around(rng, np.repeat(faces.boxes_xyxy, 40, axis=0))
        windows = np.concatenate([windows, close])
    kinds, owners = label_windows(windows, faces.boxes_xyxy, faces.ignored)
    expected = [label(window, faces) for window in windows]
    np.testing.assert_array_equal(kinds, [kind for kind, _ in expected])
    np.testing.assert_array_equal(owners, [owner for _, owner in expected])
    if num_faces == 6:
        assert set(kinds.tolist()) == {UNUSED, 0, 1, -1}


def test_no_windows():
    faces = faces_of([[0, 0, 9, 9]])
    kinds, owners = label_windows(np.zeros((0, 4), int), faces.boxes_xyxy, faces.ignored)
    assert len(kinds) == len(owners) == 0


def test_a_face_decides_that_overlaps_most():
    window, faces = [[10, 10, 30, 30]], faces_of([[10, 10, 30, 24], [10, 10, 30, 27]])
    kinds, owners = label_windows(np.array(window), faces.boxes_xyxy, faces.ignored)
    assert (kinds[0], owners[0]) == (CropKind.POSITIVE, 1)


@pytest.mark.parametrize(
    ("window", "kind"),
    [
        ([0, 0, 20, 20], UNUSED),  # the crowd covers 36 % of it
        ([0, 0, 12, 12], CropKind.NEGATIVE),
        ([0, 0, 100, 100], UNUSED),  # the crowd contains its centre
        ([60, 60, 100, 100], CropKind.NEGATIVE),
    ],
)
def test_crowds_are_no_background(window, kind):
    faces = faces_of([[8, 8, 58, 58]], ignored=[0])
    assert label_windows(np.array([window]), faces.boxes_xyxy, faces.ignored)[0][0] == kind


def test_usable_faces():
    faces = faces_of(
        [[10, 10, 40, 40], [-10, 5, 20, 30], [130, 0, 160, 30], [50, 50, 58, 61], [60, 60, 90, 90]],
        ignored=[4],
    )
    usable, notes = usable_faces(faces, SIZE_WH, 12)
    assert usable.boxes_xyxy.tolist() == [
        *([10, 10, 40, 40], [0, 5, 20, 30], [50, 50, 58, 61], [60, 60, 90, 90]),
    ]
    assert usable.ignored.tolist() == [False, False, True, True]
    assert notes == {
        "faces": 4,
        "faces flagged as invalid": 1,
        "faces too small": 1,
        "boxes cut to their picture": 1,
        "boxes outside their picture": 1,
    }
    assert faces.boxes_xyxy[1, 0] == -10
    assert len(usable_faces(faces_of([]), SIZE_WH, 12)[0]) == 0


COUNTS = WindowCounts(negatives_per_image=200, negatives_per_face=20)


def test_background_is_half_near_faces_half_anywhere():
    faces = faces_of([[20, 20, 50, 60], [80, 30, 110, 66]])
    windows = background_windows(np.random.default_rng(0), faces, SIZE_WH, 12, COUNTS)
    assert len(windows) == 240
    near = [max(overlap(window, box)[0] for box in faces.boxes_xyxy) > 0 for window in windows]
    assert all(near[:120])
    assert not all(near[120:])
    for window in windows:
        assert max(overlap(window, box)[1] for box in faces.boxes_xyxy) < 0.3
        assert window[2] - window[0] == window[3] - window[1] >= 12
        assert window.min() >= 0
        assert (window[2:] <= SIZE_WH).all()


@pytest.mark.parametrize(
    ("faces", "count"),
    [
        (faces_of([]), 200),
        (faces_of([[20, 20, 50, 60]], ignored=[0]), 200),
        (faces_of([[0, 0, *SIZE_WH]], ignored=[0]), 0),  # no legal place
        (faces_of([[0, 0, *SIZE_WH]]), 220),  # windows inside a face that fills the picture
    ],
)
def test_background_of_special_pictures(faces, count):
    windows = background_windows(np.random.default_rng(0), faces, SIZE_WH, 12, COUNTS)
    assert len(windows) == count


def test_a_picture_of_one_window():
    faces = faces_of([[1, 1, 11, 11]])
    for draw in (
        background_windows(np.random.default_rng(0), faces, (12, 12), 12, COUNTS),
        face_windows(np.random.default_rng(0), faces, (12, 12), COUNTS)[0],
    ):
        assert ((draw >= 0) & (draw <= 12)).all()


def test_windows_of_faces():
    faces = faces_of([[20, 20, 50, 60], [0, 0, 25, 30], [80, 30, 110, 66], [3, 70, 5, 89]], [2])
    counts = WindowCounts(positives_per_face=7, parts_per_face=5)
    windows, kinds, owners = face_windows(np.random.default_rng(0), faces, SIZE_WH, counts)
    assert windows.min() >= 0
    assert (windows[:, 2:] <= SIZE_WH).all()
    for face in (0, 1):
        own = kinds[owners == face].tolist()
        assert (own.count(CropKind.POSITIVE), own.count(CropKind.PART)) == (7, 5)
    assert 2 not in owners
    assert CropKind.POSITIVE not in kinds[owners == 3]  # no square fits so narrow a face
    for window, kind, owner in zip(windows, kinds, owners, strict=True):
        assert label(window, faces) == (kind, owner)


@pytest.mark.parametrize("counts", [(0, 0), (3, 0), (0, 3)])
def test_kinds_of_faces_can_be_left_out(counts):
    faces = faces_of([[20, 20, 50, 60]])
    counts = WindowCounts(positives_per_face=counts[0], parts_per_face=counts[1])
    _, kinds, _ = face_windows(np.random.default_rng(0), faces, SIZE_WH, counts)
    assert (kinds == CropKind.POSITIVE).sum() == counts.positives_per_face
    assert (kinds == CropKind.PART).sum() == counts.parts_per_face


def test_sizes_reach_the_shorter_side_evenly_over_the_scales():
    windows = windows_anywhere(np.random.default_rng(0), 20_000, (200, 96), 12)
    sides = windows[:, 2] - windows[:, 0]
    assert (sides.min(), sides.max()) == (12, 96)
    octaves = np.histogram(np.log2(sides), [np.log2(12), np.log2(24), np.log2(48), np.log2(97)])[0]
    np.testing.assert_allclose(octaves / len(sides), 1 / 3, atol=0.02)
    assert (windows[:, 0].min(), windows[:, 2].max()) == (0, 200)
    assert (windows[:, 1].min(), windows[:, 3].max()) == (0, 96)


def test_near_windows_touch_their_box():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (500, 2))
    faces = np.concatenate([low, low + rng.uniform(0.5, 30, (500, 2))], axis=1)
    for window, box in zip(windows_near(rng, faces, SIZE_WH, 12), faces, strict=True):
        assert overlap(window, box)[0] > 0


def test_windows_around_faces_vary_by_the_published_law():
    box = np.tile(np.array([[100, 200, 140, 260]], np.float32), (5000, 1))
    windows = windows_around(np.random.default_rng(0), box)
    sides = windows[:, 2] - windows[:, 0]
    assert (sides.min(), sides.max()) == (32, 75)  # 0.8 times 40, 1.25 times 60
    shift = (windows[:, :2] + windows[:, 2:]) / 2 - [120, 230]
    np.testing.assert_allclose(np.abs(shift).max(axis=0), [8, 12], atol=0.6)


def test_find_stops():
    draws = []

    def draw(count):
        draws.append(count)
        return np.zeros((count, 4), np.int64)

    assert len(draw_legal_windows(0, draw, lambda w: np.ones(len(w), bool))) == 0
    assert draws == []
    assert len(draw_legal_windows(9, draw, lambda w: np.ones(len(w), bool))) == 9
    assert len(draws) == 1
    assert len(draw_legal_windows(9, draw, lambda w: np.zeros(len(w), bool))) == 0
    assert len(draws) < 20


@pytest.mark.parametrize(
    ("groups", "limit", "expected"),
    [
        ([], 2, []),
        ([4, 4, 4, 1, 4], 2, [1, 1, 0, 1, 0]),
        ([-1, 0, -1, 0], 1, [0, 1, 0, 0]),
        ([5, 3], 0, [0, 0]),
    ],
)
def test_first_of_each(groups, limit, expected):
    found = first_of_each(np.array(groups, int), limit)
    np.testing.assert_array_equal(found, np.array(expected, bool))


def test_crops_of_windows():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)
    landmarks = rng.uniform(20, 50, (2, 5, 2)).astype(np.float32)
    landmarks[1] = np.nan
    faces = faces_of([[20, 20, 50, 60], [0, 0, 25, 30]], landmarks=landmarks)
    windows = np.array([[15, 20, 55, 60], [2, 1, 28, 27], [60, 5, 110, 55]])
    kinds, owners = np.array([1, -1, 0]), np.array([0, 1, -1])
    crops = crops_of_windows(image, windows, kinds, owners, faces, 12)
    assert crops.kinds.tolist() == [1, -1, 0]
    np.testing.assert_array_equal(crops.images, cut_windows(image, windows, 12))
    np.testing.assert_allclose(crops.boxes[0], [5 / 40, 0, -5 / 40, 0])
    np.testing.assert_allclose(crops.boxes[1], [-2 / 26, -1 / 26, -3 / 26, 3 / 26], rtol=1e-6)
    assert np.isnan(crops.boxes[2]).all()
    expected = (landmarks[0] + 0.5 - [15, 20]) / 40
    np.testing.assert_allclose(crops.landmarks[0], expected.ravel(), rtol=1e-5)
    assert np.isnan(crops.landmarks[1:]).all()
    assert {array.dtype for array in (crops.boxes, crops.landmarks)} == {np.dtype("float32")}
    assert len(crops_of_windows(image, windows[:0], kinds[:0], owners[:0], faces, 12)) == 0


def test_negative_counts_are_refused():
    with pytest.raises(InputError, match="parts_per_face: -1"):
        WindowCounts(parts_per_face=-1)


def test_crowds_are_compared_in_blocks(monkeypatch):
    """No array has an element for every pair of 2,000 faces and as many windows."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 900, (2000, 2))
    faces = faces_of(np.concatenate([low, low + 14], axis=1))
    largest = []
    iou = boxes.iou
    monkeypatch.setattr(boxes, "iou", lambda a, b: largest.append(len(a) * len(b)) or iou(a, b))
    background_windows(rng, faces, (1000, 1000), 12, WindowCounts(100, 1, 0, 0))
    assert max(largest) <= 100_000
