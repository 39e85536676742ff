"""What the labeller writes is what the readers of face lists read."""

import numpy as np
import pytest

from kptkit.data.faces.five_points import read_face_points
from kptkit.data.faces.wider import read_wider
from kptkit.face.detector import FacePrediction
from kptkit.face.label_pictures import landmark_lines, picture_names, wider_record

SURE = np.array([True, False, True])


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (3, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 40, (3, 2))], axis=1)
    face = np.array([[6, 8], [14, 8], [10, 12], [7, 16], [13, 16]])
    landmarks = low[:, None] + face + rng.uniform(-2, 2, (3, 5, 2))
    return FacePrediction(
        boxes.astype(np.float32), np.array([0.99, 0.4, 0.97]), landmarks.astype(np.float32)
    )


def test_unsure_faces_are_flagged_and_pictures_without_faces_stay(tmp_path, faces):
    nobody = FacePrediction(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
    lines = [
        *wider_record("empty.jpg", nobody, np.zeros(0, bool)),
        *wider_record("a b/c.jpg", faces, SURE),
    ]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    read = read_wider(tmp_path / "list.txt", tmp_path)
    assert read.image_paths == (f"{tmp_path}/empty.jpg", f"{tmp_path}/a b/c.jpg")
    assert read.image_index.tolist() == [1, 1, 1]
    assert read.ignored.tolist() == [False, True, False]
    np.testing.assert_allclose(read.boxes_xyxy, faces.boxes_xyxy, atol=0.11)


def test_sure_faces_have_their_points(tmp_path, faces):
    lines = landmark_lines("c.jpg", faces, SURE)
    (tmp_path / "points.txt").write_text("\n".join(lines) + "\n")
    read = read_face_points(tmp_path / "points.txt", tmp_path)
    np.testing.assert_allclose(read.boxes_xyxy, faces.boxes_xyxy[SURE], atol=0.01)
    np.testing.assert_allclose(read.landmarks, faces.landmarks[SURE], atol=0.01)


def test_pictures_are_found_in_all_folders_or_listed(tmp_path):
    for name in ("b.jpg", "a/c.PNG", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert picture_names(tmp_path, None) == ["a/c.PNG", "b.jpg"]
    (tmp_path / "some.txt").write_text("x y.jpg\n\nb.jpg\n")
    assert picture_names(tmp_path, tmp_path / "some.txt") == ["b.jpg", "x y.jpg"]
    with pytest.raises(Exception, match="no pictures"):
        picture_names(tmp_path / "nowhere", None)
