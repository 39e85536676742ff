"""The face detector as users call it: pictures, paths, lists, errors and crops."""

import keras
import numpy as np
import pytest
from PIL import Image

from kptkit.errors import InputError
from kptkit.face.crops import aligned_crops, box_crops
from kptkit.face.detector import FaceDetector, FacePrediction
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES
from kptkit.weights.cascade import save_cascade


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random networks that take about half of all windows for faces."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "mtcnn.npz"
    save_cascade(path, {stage: mtcnn(stage) for stage in STAGES})
    return path


@pytest.fixture(scope="module")
def detector(weights):
    return FaceDetector(weights, score_thresholds=(0.5, 0.45, 0.4))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def assert_same(found, expected):
    for name in ("boxes_xyxy", "scores", "landmarks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("size_hw", [(1, 1), (60, 50)])
def test_a_prediction_has_one_shape(detector, size_hw):
    faces = detector.detect(noise(*size_hw))
    count = len(faces)
    assert (count > 0) == (size_hw != (1, 1))
    assert faces.boxes_xyxy.shape == (count, 4)
    assert faces.scores.shape == (count,)
    assert faces.landmarks.shape == (count, 5, 2)
    assert {a.dtype for a in (faces.boxes_xyxy, faces.scores, faces.landmarks)} == {
        np.dtype(np.float32)
    }


def test_a_list_gives_what_its_pictures_give(detector):
    pictures = [noise(60, 50), noise(5, 5), noise(41, 77, 1), noise(60, 50, 2)]
    found = detector.detect(pictures)
    assert len(found) == 4
    for faces, picture in zip(found, pictures, strict=True):
        assert_same(faces, detector.detect(picture))
    assert detector.detect([]) == []


def test_arrays_of_all_kinds(detector):
    image = noise(50, 60)
    read_only = image.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(image), read_only, np.dstack([image, image[..., :1]])):
        assert_same(detector.detect(other), detector.detect(image))
    gray = image[..., 0]
    assert_same(detector.detect(gray), detector.detect(np.repeat(gray[..., None], 3, axis=2)))


def test_a_path_is_read_upright(detector, tmp_path):
    image = noise(48, 70)
    exif = Image.Exif()
    exif[0x112] = 6  # turn a quarter clockwise to see it
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)
    upright = np.ascontiguousarray(np.rot90(image, -1))
    assert_same(detector.detect(tmp_path / "turned.png"), detector.detect(upright))
    assert_same(detector.detect(str(tmp_path / "turned.png")), detector.detect(upright))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "NoneType"),
        (3, "int"),
        (np.zeros((0, 0, 3), np.uint8), "at least one pixel"),
        (np.zeros((20, 20, 3), np.float32), "float32"),
        (np.zeros((20, 20, 3), np.uint16), "uint16"),
        (np.zeros((20, 20, 2), np.uint8), "shape"),
        ("no such picture.jpg", "no such picture.jpg: no such file"),
    ],
)
def test_what_is_no_picture_is_refused(detector, image, message):
    with pytest.raises(InputError, match=message):
        detector.detect(image)
    with pytest.raises(InputError, match=rf"^images\[1\]: .*{message}"):
        detector.detect([noise(30, 30), image])


def test_numbers_are_checked_before_weights_are_read():
    with pytest.raises(InputError, match="min_face_size"):
        FaceDetector("no such weights.npz", min_face_size=5)
    with pytest.raises(InputError, match="no such weights"):
        FaceDetector("no such weights.npz")


def test_extract(detector):
    image = noise(70, 80)
    faces = detector.detect(image)
    assert len(faces) > 2
    np.testing.assert_array_equal(detector.extract(image), aligned_crops(image, faces.landmarks))
    few = FacePrediction(faces.boxes_xyxy[:2], faces.scores[:2], faces.landmarks[:2])
    assert detector.extract(image, few, size=128).shape == (2, 128, 128, 3)
    for resample in ("area", "bilinear"):
        np.testing.assert_array_equal(
            detector.extract(image, few, size=60, margin=10, resample=resample),
            box_crops(image, few.boxes_xyxy, 60, 10, resample),
        )


def test_extract_of_no_face(detector):
    assert detector.extract(noise(9, 9)).shape == (0, 112, 112, 3)
    assert detector.extract(noise(9, 9), size=160, margin=0).shape == (0, 160, 160, 3)
