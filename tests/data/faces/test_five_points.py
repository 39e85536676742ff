import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kptkit.data.faces.five_points import read_face_points, square_boxes
from kptkit.errors import InputError

# Image left first: eye, eye, nose, mouth corner, mouth corner.
POINTS = [[10, 20], [30, 21], [20, 30], [12, 40], [28, 41]]
BOX = [5, 10, 36, 50]


def flat(points, name="a b.jpg", box=BOX):
    """A line of CNN_FacePoint."""
    left, top, right, bottom = box
    return " ".join(map(str, [name, left, right, top, bottom, *np.ravel(points)])) + "\n"


def mtfl(points, attributes=""):
    return " ".join(map(str, ["a.jpg", *np.transpose(points).ravel()])) + attributes + "\n"


def retinaface(points, visibility=(0, 0, 1, 0, 0), box=BOX):
    left, top, right, bottom = box
    numbers = [left, top, right - left, bottom - top]
    for point, visible in zip(points, visibility, strict=True):
        numbers += [*point, visible]
    return " ".join(map(str, [*numbers, 0.8])) + "\n"


def read(tmp_path, text, suffix="txt"):
    path = tmp_path / f"points.{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_face_points(path, "images", lambda line: None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (flat(POINTS), "a b.jpg"),
        (flat(POINTS).replace("\n", " \r\n\r\n"), "a b.jpg"),
        (flat(POINTS, "x\\a 1.jpg").replace(" ", "\t"), "x/a\t1.jpg"),
        ("# a b.jpg\n" + retinaface(POINTS), "a b.jpg"),
        ("#a b.jpg\r\n" + retinaface(POINTS), "a b.jpg"),
    ],
)
def test_formats_with_boxes(tmp_path, text, name):
    faces = read(tmp_path, text)
    assert faces.image_paths == (f"images/{name}",)
    assert faces.boxes_xyxy.tolist() == [BOX]
    assert faces.landmarks.tolist() == [POINTS]
    assert not faces.ignored.any()
    assert not faces.complete


@pytest.mark.parametrize("attributes", ["", " 1 2 1 5"])
def test_points_without_boxes_get_squares(tmp_path, attributes):
    faces = read(tmp_path, mtfl(POINTS, attributes))
    assert faces.landmarks.tolist() == [POINTS]
    (x1, y1, x2, y2), centre = faces.boxes_xyxy[0], np.mean(POINTS, axis=0)
    distance = np.sqrt(np.mean([np.sum((p - centre) ** 2) for p in np.array(POINTS)]))
    np.testing.assert_allclose([x2 - x1, y2 - y1], 3.3 * distance, rtol=1e-5)
    np.testing.assert_allclose([(x1 + x2) / 2, (y1 + y2) / 2], centre + 0.5, rtol=1e-5)


def test_attributes_are_told_by_all_lines(tmp_path):
    tiny = np.array(POINTS) / 10  # mouth corners from 1 to 5, but not all of them whole
    faces = read(tmp_path, flat(tiny, box=[0, 0, 5, 6]) + flat(POINTS))
    assert faces.boxes_xyxy.tolist() == [[0, 0, 5, 6], BOX]


def test_faces_of_a_picture_stand_together(tmp_path):
    faces = read(tmp_path, flat(POINTS) + flat(POINTS, "c.jpg") + flat(POINTS))
    assert faces.image_paths == ("images/a b.jpg", "images/c.jpg")
    assert faces.image_index.tolist() == [0, 1, 0]


def test_retinaface_faces_without_points_and_pictures_without_faces(tmp_path):
    text = "# none.jpg\n# some.jpg\n" + retinaface([[-1, -1]] * 5, [-1] * 5) + "3 4 5 6\n"
    text += retinaface(POINTS, (0, 0, 0, 0, -1)) + retinaface(POINTS)
    faces = read(tmp_path, text)
    assert faces.image_paths == ("images/none.jpg", "images/some.jpg")
    assert faces.image_index.tolist() == [1, 1, 1, 1]
    known = np.isfinite(faces.landmarks).all(axis=(1, 2))
    assert known.tolist() == [False, False, False, True]
    assert faces.boxes_xyxy[1].tolist() == [3, 4, 8, 10]


SWAPPED = [POINTS[i] for i in (1, 0, 2, 4, 3)]
UPSIDE_DOWN = [POINTS[i] for i in (3, 4, 2, 0, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a.jpg 1 2 3\n", "line 1: 'a.jpg 1 2 3'; expected a picture's path and 14 numbers"),
        (flat(POINTS) + "b.jpg\n", "line 2: 'b.jpg'"),
        (flat(POINTS) + mtfl(POINTS), "line 2: .*10 numbers; expected 14, as in line 1"),
        (flat(POINTS).replace("30", "nan"), "line 1"),
        (flat(POINTS, "../a.jpg"), "line 1: '../a.jpg'; .*inside its folder"),
        (flat(POINTS, box=[36, 10, 5, 50]), "line 1: a face from x = 36 to 5 and y = 10 to 50"),
        (flat(POINTS, box=[5, 5, 5, 5]), "no faces"),
        (flat(SWAPPED), "only 0% of 1 faces have the first eye left of the second"),
        (flat(UPSIDE_DOWN), "only 0% of 1 faces have the eyes above the mouth"),
        ("a.jpg " + " ".join(map(str, np.ravel(POINTS))), "only 0% of 1 faces"),
        ("# a.jpg\n1 2 3\n", "line 2: '1 2 3'; expected # and a picture's path, or 20 numbers"),
        ("# a.jpg\n1 2 3 4\n", "no face with five points"),
        ("#\n" + retinaface(POINTS), "''; expected the path of a picture"),
    ],
)
def test_faults_name_the_place(tmp_path, text, message):
    with pytest.raises(InputError, match=f"^{tmp_path}/points.txt: .*{message}"):
        read(tmp_path, text)


@settings(max_examples=300, deadline=None)
@given(
    place=st.integers(0, 200),
    junk=st.binary(max_size=4),
    cut=st.integers(0, 4),
    kind=st.integers(0, 2),
)
def test_any_damage_is_read_or_refused(tmp_path_factory, place, junk, cut, kind):
    lists = [flat(POINTS) * 3, mtfl(POINTS) * 3, "# a.jpg\n" + retinaface(POINTS) * 2]
    sound = lists[kind].encode()
    path = tmp_path_factory.getbasetemp() / "damaged.txt"
    path.write_bytes(sound[:place] + junk + sound[place + cut :])
    try:
        faces = read_face_points(path, "images", lambda line: None)
    except InputError as error:
        told = str(error)
    else:
        told = f"{path}: {len(faces)} faces"
        assert np.isfinite(faces.boxes_xyxy).all()
        assert (faces.boxes_xyxy[:, 2:] >= faces.boxes_xyxy[:, :2]).all()
    assert told.startswith(f"{path}: ")


def coco(tmp_path, names, points, **changes):
    """A face of five keypoints, read from a COCO file."""
    keypoints = [n for x, y in points for n in (x, y, 2)]
    annotation = {"id": 1, "image_id": 4, "category_id": 1, "bbox": [5, 10, 31, 40]}
    annotation |= {"keypoints": keypoints, "iscrowd": 0, "area": 900, "num_keypoints": 5}
    document = {
        "images": [{"id": 4, "file_name": "a.jpg", "width": 60, "height": 60}],
        "annotations": [annotation | changes, annotation | {"id": 2}],
        "categories": [{"id": 1, "name": "face", "keypoints": names}],
    }
    return read(tmp_path, json.dumps(document), "json")


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"], [0, 1, 2, 3, 4]),
        (["nose", "right_eye", "left_eye", "right_lip", "left_lip"], [2, 0, 1, 3, 4]),
        (["left_mouth", "left_eye", "right_mouth", "right_eye", "nose"], [4, 1, 3, 0, 2]),
    ],
)
def test_coco_keypoints_are_told_by_names_and_places(tmp_path, names, order):
    faces = coco(tmp_path, names, [POINTS[i] for i in order])
    assert faces.image_paths == ("images/a.jpg",)
    assert faces.boxes_xyxy.tolist() == [BOX, BOX]
    assert faces.landmarks.tolist() == [POINTS, POINTS]
    assert not faces.complete


NAMES = ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]


def test_coco_faces_that_lack_points_and_crowds(tmp_path):
    faces = coco(tmp_path, NAMES, POINTS, keypoints=[9, 9, 2] * 4 + [0, 0, 0], num_keypoints=4)
    assert np.isnan(faces.landmarks).all(axis=(1, 2)).tolist() == [True, False]
    faces = coco(tmp_path, NAMES, POINTS, iscrowd=1)
    assert faces.ignored.tolist() == [True, False]


@pytest.mark.parametrize("names", [["a", "b", "c", "d", "e"], NAMES[:4], [*NAMES, "chin"]])
def test_other_keypoints_are_refused(tmp_path, names):
    with pytest.raises(InputError, match="expected five, named as two eyes"):
        coco(tmp_path, names, (POINTS * 2)[: len(names)], num_keypoints=len(names))


def test_no_points():
    assert square_boxes(np.zeros((0, 5, 2))).shape == (0, 4)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("face5_net/trainImageList.txt", 2250),
        ("face5_net/valImageList.txt", 150),
        ("face5_mtfl80/landmarks.txt", 1400),
    ],
)
def test_real_lists(path, count):
    data = os.environ.get("KPTKIT_DATA")
    if not data:
        pytest.skip("KPTKIT_DATA is not set")
    faces = read_face_points(Path(data, path), Path(data, path).parent)
    assert len(faces) == len(faces.image_paths) == count
    inside = (faces.landmarks > faces.boxes_xyxy[:, None, :2]) & (
        faces.landmarks < faces.boxes_xyxy[:, None, 2:]
    )
    assert inside.all(axis=(1, 2)).mean() > 0.97
