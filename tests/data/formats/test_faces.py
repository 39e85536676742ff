"""300W's .pts files and WFLW's lists here follow their formats; the real ones were not at hand."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from kptkit import images
from kptkit.data.formats.index import inspect_annotations, load_annotations
from kptkit.data.formats.w300 import read_pts
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError
from kptkit.geometry import affine
from kptkit.skeletons.known import COFW_29, FACE_68, WFLW_98

real_data = pytest.mark.skipif(
    "KPTKIT_DATA" not in os.environ, reason="KPTKIT_DATA does not name the folder of real data"
)


def landmarks(count, seed=0):
    """Points (K, 2) in a picture of 100 x 80 pixels; the extent is 10.5..89.5, 5.25..70."""
    points = np.random.default_rng(seed).uniform((11, 6), (89, 69), (count, 2))
    points[0], points[1] = (10.5, 5.25), (89.5, 70)
    return points


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "sub/b.png", "c d.jpg"):
        images.write_image(tmp_path / name, np.zeros((80, 100, 3), np.uint8))
    return tmp_path


def samples_of(file, folder):
    return keypoint_samples(file, folder, report=lambda _: None)


# 300W


def pts(xy, **changes):
    parts = {
        "head": "version: 1\nn_points:  68\n{\n",
        "points": "".join(f"{x} {y}\n" for x, y in xy),
        "tail": "}\n",
    }
    return "".join((parts | changes).values())


def write_300w(folder, *names, **changes):
    for name in names:
        (folder / name).write_text(pts(landmarks(68), **changes))
    path = folder / "train.txt"
    path.write_text("".join(f"./{name}\r\n" for name in names))
    return path


def test_pts_files(folder):
    path = write_300w(folder, "a.pts", "sub/b.pts", "c d.pts")
    file = load_annotations(path, "300w", folder)
    samples = samples_of(file, folder)
    assert samples.schema == FACE_68
    assert samples.protocol == "nme_interocular"
    assert [Path(p).name for p in samples.image_paths] == ["a.jpg", "b.png", "c d.jpg"]
    np.testing.assert_allclose(samples.keypoints[0, :, :2], landmarks(68) - 1, rtol=1e-6)
    # The extent from 0, rounded out to whole pixels.
    assert samples.boxes_xyxy.tolist() == [[9, 4, 89, 69]] * 3


def test_the_crop_is_that_of_the_published_code(folder):
    """1.25 times the longer side of the whole-pixel extent, about its centre."""
    file = load_annotations(write_300w(folder, "a.pts"), "300w", folder)
    centre, size = affine.crop_window(samples_of(file, folder).boxes_xyxy, (256, 256))
    assert centre.tolist() == [[49, 36.5]]
    assert size.tolist() == [[100, 100]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": ""}, r"no line \{; expected version, n_points and points in \{ \}"),
        ({"tail": ""}, r"no line \} after the points; is the file cut off\?"),
        ({"points": ""}, "0 points; expected 68"),
        ({"points": "1 2\n" * 67}, "67 points; expected 68"),
        ({"points": "1 2\n" * 67 + "1 2 3\n"}, "line 71: '1 2 3'; expected x and y"),
        ({"points": "1 2\n" * 67 + "1 nan\n"}, "line 71: '1 nan'; expected x and y"),
        ({"points": "1 2\n" * 67 + "x 1\n"}, "line 71: 'x 1'; expected x and y"),
        ({"head": "", "points": "", "tail": ""}, "empty; expected a .pts file of 68 points"),
    ],
)
def test_faults_of_pts_files_name_the_line(folder, changes, message):
    path = write_300w(folder, "a.pts", **changes)
    with pytest.raises(InputError, match=message):
        read_pts(folder / "a.pts")
    with pytest.raises(InputError, match=rf"train.txt: line 1: .*a\.pts: {message}"):
        load_annotations(path, "300w", folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "train.txt: empty; expected a list of .pts files or a COCO-like json"),
        ("a.pts\n../a.pts\n", r"line 2: '\.\./a\.pts'; expected a .pts file inside the folder"),
        ("a.pts\n/etc/x.pts\n", r"line 2: '/etc/x\.pts'; expected a .pts file inside"),
        ("a.jpg\n", r"line 1: 'a\.jpg'; expected a .pts file inside the folder of pictures"),
        ("a.pts\nnone.pts\n", r"line 2: .*none\.pts: No such file or directory; expected"),
    ],
)
def test_faults_of_the_list_name_the_line(folder, lines, message):
    path = write_300w(folder, "a.pts")
    path.write_text(lines)
    with pytest.raises(InputError, match=message):
        load_annotations(path, "300w", folder)


def test_a_folder_is_no_list(folder):
    with pytest.raises(InputError, match=r"a folder; expected a list of .pts files, as find"):
        load_annotations(folder, "300w", folder)


def test_points_without_their_picture_are_left_out(folder):
    file, faults = inspect_annotations(write_300w(folder, "a.pts", "z.pts"), "300w", folder)
    assert len(file.annotations["annotations"]) == 1
    assert [str(f) for f in faults if f.level == "skip"] == ["line 2: picture 'z.jpg': missing"]


# COCO-like json


def face_json(folder, count, **changes):
    points = np.hstack([landmarks(count), np.full((count, 1), 2)])
    face = {
        "id": 7,
        "image_id": 3,
        "category_id": 1,
        "bbox": [0, 0, 95, 78],
        "area": 7410.0,
        "iscrowd": 0,
        "num_keypoints": count,
        "keypoints": points.ravel().tolist(),
    }
    document = {
        "images": [{"id": 3, "file_name": "a.jpg", "width": 100, "height": 80}],
        "annotations": [face | changes],
        "categories": [{"id": 1, "name": "face", "keypoints": [], "skeleton": []}],
    }
    path = folder / "faces.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("name", "schema"), [("300w", FACE_68), ("wflw", WFLW_98), ("cofw", COFW_29)]
)
def test_json_of_faces(folder, name, schema):
    count = schema.num_keypoints
    file = load_annotations(face_json(folder, count), name)
    samples = samples_of(file, folder)
    assert samples.schema == schema
    assert samples.protocol == "nme_interocular"
    np.testing.assert_allclose(samples.keypoints[0, :, :2], landmarks(count), rtol=1e-6)
    assert samples.boxes_xyxy.tolist() == [[10, 5, 90, 70]]
    with pytest.raises(InputError, match=rf"\(id 7\): {count + 1}.*expected {3 * count} numbers"):
        load_annotations(face_json(folder, count, keypoints=[1.0] * (count + 1)), name)


def test_boxes_of_a_detector_stay(folder):
    path = face_json(folder, 68, bbox=[1, 2, 90, 70], box_source="detector")
    samples = samples_of(load_annotations(path, "300w"), folder)
    assert samples.boxes_xyxy.tolist() == [[1, 2, 91, 72]]


@real_data
def test_real_json_of_300w():
    """The boxes give the centres and scales that the file states for the published crops."""
    folder = Path(os.environ["KPTKIT_DATA"]) / "misc_mmpose/300w"
    samples = samples_of(load_annotations(folder / "test_300w.json", "300w"), folder)
    stated = json.loads((folder / "test_300w.json").read_text())["annotations"]
    centre, size = affine.crop_window(samples.boxes_xyxy, (256, 256))
    np.testing.assert_allclose(centre, [face["center"] for face in stated])
    np.testing.assert_allclose(size[:, 0], [1.25 * 200 * face["scale"] for face in stated])


# WFLW


def wflw_line(name="a.jpg", rect=True, points=None):
    points = landmarks(98) if points is None else points
    numbers = [f"{value:.6f}" for value in np.ravel(points)]
    return " ".join([*numbers, *(["9", "9", "80", "75", *"010100"] if rect else []), name])


def load_wflw(folder, *lines):
    path = folder / "list_98pt_rect_attr_train.txt"
    path.write_text("\n".join(lines))
    return load_annotations(path, "wflw", folder)


@pytest.mark.parametrize("rect", [True, False])
def test_lists_of_wflw(folder, rect):
    lines = [wflw_line(name, rect) for name in ("a.jpg", "sub/b.png", "a.jpg", "c d.jpg")]
    samples = samples_of(load_wflw(folder, *lines), folder)
    assert samples.schema == WFLW_98
    assert [Path(p).name for p in samples.image_paths] == ["a.jpg", "b.png", "c d.jpg"]
    assert samples.image_index.tolist() == [0, 1, 0, 2]
    np.testing.assert_allclose(samples.keypoints[2, :, :2], landmarks(98), atol=1e-5)
    assert samples.boxes_xyxy[0].tolist() == [10, 5, 90, 70]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "empty; expected a list of faces of 98 points"),
        ("a.jpg", "line 2: 'a.jpg' begins with 0 numbers; expected 206 or 196, followed by a"),
        (
            " ".join(wflw_line().split()[:-1]),
            "begins with 206 numbers; expected 206 or 196, fol",
        ),
        (" ".join(wflw_line().split()[5:]), "line 2: .* begins with 201 numbers"),
        (wflw_line().replace(" 5.25", " nan", 1), "line 2: .* begins with 1 numbers"),
        (wflw_line("../a.jpg"), r"line 2 .*picture '\.\./a\.jpg'; expected the path"),
    ],
)
def test_faults_of_the_lists_name_the_line(folder, line, message):
    lines = [wflw_line(), line] if line else [""]
    with pytest.raises(InputError, match=message):
        load_wflw(folder, *lines)


# dlib


def part(index, x, y):
    return f"<part name='{index:02}' x='{x}' y='{y}'/>"


def box(points=None, extra="", skip=()):
    points = landmarks(68) if points is None else points
    parts = "".join(part(n, *xy) for n, xy in enumerate(points) if n not in skip)
    return f"<box top='1' left='1' width='9' height='9' {extra}>{parts}</box>"


def load_dlib(folder, *boxes, size="width='100' height='80'", name="a.jpg", head=""):
    image = f"<image file='{name}' {size}>{''.join(boxes)}</image>"
    text = f"<?xml version='1.0' encoding='ISO-8859-1'?>\n{head}<dataset><images>\n{image}\n"
    path = folder / "faces.xml"
    path.write_text(f"{text}</images></dataset>")
    return load_annotations(path, "dlib", folder)


@pytest.mark.parametrize("size", ["width='100' height='80'", ""])
def test_xml_of_dlib(folder, size):
    file = load_dlib(folder, box(), box(skip=(5, 67)), box(extra="ignore='1'"), size=size)
    samples = samples_of(file, folder)
    assert samples.sample_ids.tolist() == [1, 2]
    np.testing.assert_allclose(samples.keypoints[0, :, :2], landmarks(68), rtol=1e-6)
    assert (samples.keypoints[0, :, 2] == 2).all()
    assert np.flatnonzero(samples.keypoints[1, :, 2] == 0).tolist() == [5, 67]
    assert samples.boxes_xyxy[0].tolist() == [10, 5, 90, 70]
    assert any("marked to be ignored" in line for line in file.notices)


def test_boxes_without_parts_are_left_out(folder):
    file = load_dlib(folder, box(points=[]), box())
    assert [a["id"] for a in file.annotations["annotations"]] == [2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "width='x' height='80'"}, "line 3: image: width 'x' and height '80'; expected"),
        ({"size": "width='0' height='80'"}, "line 3: image: width '0'"),
        ({"name": "../a.jpg"}, r"line 3 .*picture '\.\./a\.jpg'; expected the path"),
        ({"name": ""}, "line 3 .*picture ''; expected the path"),
    ],
)
def test_faults_of_images_name_the_line(folder, changes, message):
    with pytest.raises(InputError, match=message):
        load_dlib(folder, box(), **changes)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ("<part name='68' x='1' y='2'/>", "line 3: part: name '68'; expected 00 to 67"),
        ("<part x='1' y='2'/>", "line 3: part: name ''; expected 00 to 67"),
        ("<part name='-1' x='1' y='2'/>", "line 3: part: name '-1'; expected 00 to 67"),
        ("<part name='1' x='1'/>", "line 3: part 1: expected x and y in pixels"),
        ("<part name='1' x='1' y='inf'/>", "line 3: part 1: expected x and y in pixels"),
        ("<part name='1' x='1' y='2 3'/>", "line 3: part 1: expected x and y in pixels"),
    ],
)
def test_faults_of_parts_name_the_line(folder, piece, message):
    with pytest.raises(InputError, match=rf"faces\.xml: {message}"):
        load_dlib(folder, box().replace("</box>", f"{piece}</box>"))


BOMB = "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>\n"


@pytest.mark.parametrize(
    "head",
    ["<!DOCTYPE dataset>\n", BOMB, "<!DOCTYPE d SYSTEM 'file:///etc/passwd'>\n"],
    ids=["empty", "entities", "external"],
)
def test_declarations_are_refused(folder, head):
    with pytest.raises(InputError, match=r"faces\.xml: line 2: a document type declaration"):
        load_dlib(folder, box(), head=head)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "faces.xml: empty; expected dlib's XML of faces"),
        ("<dataset>", "line 1: no element found; expected dlib's XML of faces; is the file cut"),
        ("{}", "line 1: not well-formed .*; expected dlib's XML"),
        ("<dataset></dataset>", "no <image>; expected dlib's XML of faces"),
        (
            "<?xml version='1.0' encoding='no-such'?><a/>",
            "unknown encoding: no-such; expected",
        ),
        ("<image file='a.jpg'/>", "no valid one; expected at least one face"),
        ("<a>" * 100_000, "no element found"),
    ],
)
def test_what_is_no_such_xml(folder, text, message):
    path = folder / "faces.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_annotations(path, "dlib", folder)


@real_data
def test_real_xml_of_dlib():
    folder = Path(os.environ["KPTKIT_DATA"]) / "dlib_faces"
    file = load_annotations(folder / "training_with_face_landmarks.xml", "dlib", folder)
    samples = samples_of(file, folder)
    assert len(samples) == 18
    assert len(samples.image_paths) == 4
    eyes, chin = samples.keypoints[:, 36:48, 1].mean(axis=1), samples.keypoints[:, 8, 1]
    assert (eyes < chin).all()
    # The person's right eye is left in the picture.
    right, left = samples.keypoints[:, 36:42, 0].mean(axis=1), samples.keypoints[:, 42:48, 0]
    assert (right < left.mean(axis=1)).all()
