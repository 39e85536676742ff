from pathlib import Path

import numpy as np
import pytest

from kptkit import images
from kptkit.data.faces.sets import check_disjoint, check_pictures, with_landmarks
from kptkit.errors import InputError
from kptkit.samples import FaceSamples


def make_set(paths, image_index, boxes, landmarks=np.nan, complete=True):
    count = len(image_index)
    return FaceSamples(
        image_paths=tuple(paths),
        image_index=np.array(image_index, np.int64),
        boxes_xyxy=np.reshape(np.array(boxes, np.float32), (-1, 4)),
        ignored=np.zeros(count, bool),
        landmarks=np.full((count, 5, 2), 0, np.float32)
        + np.reshape(np.float32(landmarks), (-1, 1, 1)),
        complete=complete,
    )


def test_landmarks_go_to_the_faces_they_lie_on():
    faces = make_set(
        ["a/1.jpg", "a/2.jpg", "a/3.jpg"], [0, 2, 2], [[0, 0, 9, 9], [20, 20, 40, 40], [0, 0, 9, 9]]
    )
    points = make_set(
        ["a/./3.jpg", "b/1.jpg", "a/2.jpg", "a/1.jpg"],
        [0, 0, 1, 2, 3],
        [[0, 0, 9, 10], [22, 20, 40, 40], [0, 0, 5, 5], [7, 7, 15, 15], [30, 30, 40, 40]],
        [1, 2, 3, 4, 5],
        complete=False,
    )
    merged, rest = with_landmarks(faces, points)
    assert merged.complete
    assert merged.image_paths == faces.image_paths
    by_face = list(
        zip(merged.image_index.tolist(), merged.landmarks[:, 0, 0].tolist(), strict=True)
    )
    assert by_face[1:] == [(2, 2), (2, 1), (1, 4), (0, 5)]  # two faces were listed nowhere else
    assert np.isnan(by_face[0][1])
    np.testing.assert_array_equal(merged.boxes_xyxy[:3], faces.boxes_xyxy)
    assert merged.boxes_xyxy[3:].tolist() == [[7, 7, 15, 15], [30, 30, 40, 40]]
    assert merged.ignored.tolist() == [False] * 5
    assert rest.image_paths == ("b/1.jpg",)
    assert rest.landmarks[:, 0, 0].tolist() == [3]
    assert not rest.complete


@pytest.mark.parametrize("paths", [[], ["b.jpg"]])
def test_nothing_in_common(paths):
    faces = make_set(["a.jpg"], [0], [[0, 0, 9, 9]])
    points = make_set(paths, [0] * len(paths), [[0, 0, 9, 9]] * len(paths), complete=False)
    merged, rest = with_landmarks(faces, points)
    np.testing.assert_array_equal(merged.boxes_xyxy, faces.boxes_xyxy)
    assert rest.image_paths == points.image_paths


def test_good_pictures_pass(faces):
    check_pictures(faces, "list.txt")
    Path(faces.image_paths[3]).unlink()
    check_pictures(faces, "list.txt")


def test_a_wrong_folder_is_seen_at_once():
    faces = make_set(["nowhere/1.jpg", "nowhere/2.jpg"], [0], [[0, 0, 9, 9]])
    with pytest.raises(InputError, match=r"nowhere/1.jpg: no such file.*list\.txt.*right folder"):
        check_pictures(faces, "list.txt")


@pytest.mark.parametrize(("count", "refused"), [(10, False), (11, True)])
def test_corners_given_as_sizes_are_seen_at_once(tmp_path, count, refused):
    path = str(tmp_path / "a.png")
    images.write_image(path, np.zeros((100, 200, 3), np.uint8))
    # Corners 50 50 90 90, the last two taken for width and height.
    faces = make_set([path], [0] * count, [[50, 50, 50 + 90, 50 + 90]] * count)
    if not refused:
        check_pictures(faces, "list.txt")
        return
    with pytest.raises(InputError, match=f"list.txt: {count} of {count} boxes leave.*200x100"):
        check_pictures(faces, "list.txt")


def test_a_picture_of_two_complete_lists_is_refused():
    faces = make_set(["a/1.jpg", "a/2.jpg"], [0], [[0, 0, 9, 9]])
    check_disjoint(faces, make_set(["a/3.jpg"], [0], [[0, 0, 9, 9]]), "x and y")
    check_disjoint(faces, make_set([], [], []), "x and y")
    with pytest.raises(InputError, match="x and y: both list a/"):
        check_disjoint(faces, make_set(["a/./2.jpg"], [0], [[0, 0, 9, 9]]), "x and y")
