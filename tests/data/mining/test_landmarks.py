import cv2
import numpy as np
import pytest

from kptkit.data.mining.crops import CropKind
from kptkit.data.mining.landmarks import landmark_crops
from kptkit.data.mining.settings import LandmarkConfig
from kptkit.errors import InputError
from kptkit.samples import FaceSamples

POINTS = np.array([[90, 80], [130, 78], [112, 104], [95, 124], [127, 122]], np.float32)
BOX = [70, 50, 150, 140]
COLOURS = np.array([[255, 0, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255], [0, 255, 255]])
MIRRORED = [1, 0, 2, 4, 3]


def make_faces(boxes=(BOX,), landmarks=(POINTS,), ignored=(False,)):
    count = len(boxes)
    return FaceSamples(
        image_paths=("a.jpg",),
        image_index=np.zeros(count, np.int64),
        boxes_xyxy=np.reshape(np.array(boxes, np.float32), (-1, 4)),
        ignored=np.array(ignored, bool),
        landmarks=np.reshape(np.array(landmarks, np.float32), (-1, 5, 2)),
        complete=False,
    )


@pytest.fixture
def image():
    """A face of five coloured dots on grey."""
    picture = np.full((200, 220, 3), 90, np.uint8)
    for point, colour in zip(POINTS.astype(int).tolist(), COLOURS.tolist(), strict=True):
        cv2.circle(picture, point, 5, colour, -1)
    return picture


def mine(image, faces, inside=True, size=48, seed=0, **config):
    rng = np.random.default_rng(seed)
    return landmark_crops(image, faces, rng, LandmarkConfig(**config), size, inside)


def seen_colours(crop, landmarks):
    """The colours at the five landmarks: indices into `COLOURS`, and the distances from them."""
    places = np.floor(landmarks.reshape(5, 2) * len(crop)).astype(int)
    pixels = crop[places[:, 1], places[:, 0]].astype(int)
    distance = np.abs(pixels[:, None] - COLOURS).max(axis=2)
    return distance.argmin(axis=1).tolist(), distance.min(axis=1)


@pytest.mark.parametrize("degrees", [0, 5, 25, -25])
def test_points_go_with_the_pixels(image, degrees):
    crops = mine(image, make_faces(), landmarks_per_face=60, rotation_degrees=degrees)
    assert len(crops) == 60
    assert (crops.kinds == CropKind.LANDMARK).all()
    mirrored = []
    for crop, landmarks in zip(crops.images, crops.landmarks, strict=True):
        order, distance = seen_colours(crop, landmarks)
        assert distance.max() < 40
        assert order in ([0, 1, 2, 3, 4], MIRRORED)
        assert ((landmarks > 0) & (landmarks < 1)).all()
        mirrored.append(order == MIRRORED)
    assert 15 < sum(mirrored) < 45
    eyes = crops.landmarks[:, 2:4] - crops.landmarks[:, 0:2]
    # Mirroring also mirrors the slope of the drawn eyes, 2 pixels in 40.
    slopes = np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0])) * np.where(mirrored, -1, 1)
    upright = np.degrees(np.arctan2(-2, 40))
    turns = np.unique(np.round(slopes - upright, 2))
    np.testing.assert_allclose(turns, sorted({-abs(degrees), 0, abs(degrees)}), atol=0.02)


def test_boxes_stay_with_their_faces(image):
    crops = mine(image, make_faces(), landmarks_per_face=60, rotation_degrees=10)
    centre = (np.array(BOX[:2]) + BOX[2:]) / 2
    for crop, box, landmarks in zip(crops.images, crops.boxes, crops.landmarks, strict=True):
        order, _ = seen_colours(crop, landmarks)
        low, high = box[:2], 1 + box[2:]
        width, height = (high - low) * [9, 8]  # the box is 80 by 90 pixels
        np.testing.assert_allclose(width, height, rtol=1e-4)
        # The points are as far from the centre of the box in the crop as in the picture.
        side = 80 / (high - low)[0]
        found = (landmarks.reshape(5, 2) - (low + high) / 2) * side
        expected = POINTS[order] + 0.5 - centre
        np.testing.assert_allclose(
            np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1), atol=0.01
        )
        overlap = np.prod(np.minimum(high, 1) - np.maximum(low, 0))
        assert overlap / (1 + np.prod(high - low) - overlap) >= 0.65 - 1e-6


@pytest.mark.parametrize(
    "faces",
    [
        make_faces([], [], []),
        make_faces(landmarks=[np.where(np.arange(5)[:, None] == 2, np.nan, POINTS)]),
        make_faces(ignored=[True]),
        make_faces(boxes=[[100, 90, 112, 102]]),
        make_faces(landmarks=[POINTS + np.array([0, 80])]),  # too far below for any window
    ],
    ids=["none", "a point unknown", "ignored", "too small", "points outside"],
)
def test_faces_that_give_none(image, faces):
    crops = mine(image, faces)
    assert crops.images.shape == (0, 48, 48, 3)
    assert crops.boxes.shape == (0, 4)
    assert crops.landmarks.shape == (0, 10)


def test_each_face_gives_its_own(image):
    faces = make_faces([BOX, [20, 20, 60, 70]], [POINTS, POINTS / 2 - [15, 5]], [False, False])
    crops = mine(image, faces, landmarks_per_face=10)
    assert len(crops) == 20
    pairs = zip(crops.images, crops.landmarks, strict=True)
    with_dots = [seen_colours(crop, landmarks)[1].max() < 40 for crop, landmarks in pairs]
    assert sum(with_dots) == 10


@pytest.mark.parametrize("inside", [True, False])
def test_beyond_the_picture_all_is_black(image, inside):
    cut = image[55:, 75:]  # the face's box leaves the picture on two sides
    faces = make_faces([np.array(BOX) - [75, 55, 75, 55]], [POINTS - [75, 55]])
    crops = mine(cut, faces, inside, landmarks_per_face=30, rotation_degrees=0)
    assert len(crops) > 0
    black = (crops.images == 0).all(axis=3).any(axis=(1, 2))
    assert black.mean() > 0.5 if not inside else not black.any()
    for crop, landmarks in zip(crops.images, crops.landmarks, strict=True):
        assert seen_colours(crop, landmarks)[1].max() < 40


def test_same_seed_same_crops(image):
    first, again, other = (mine(image, make_faces(), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images != other.images).any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"landmarks_per_face": -1}, "landmarks_per_face: -1"),
        ({"rotation_degrees": float("nan")}, "rotation_degrees: nan"),
        ({"rotation_degrees": 200}, "rotation_degrees: 200"),
    ],
)
def test_unusable_settings(config, message):
    with pytest.raises(InputError, match=message):
        LandmarkConfig(**config)
