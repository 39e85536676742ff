from pathlib import Path

import cv2
import numpy as np
import pytest

from kptkit import images
from kptkit.data.formats.build_document import (
    DataSetInfo,
    Entry,
    Findings,
    PictureFolder,
    build_annotation_file,
    keypoint_extent,
    landmark_box,
)
from kptkit.data.formats.document import own_part, refuse_faults, split_by_image
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError
from kptkit.skeletons.known import DEFAULT_OKS_SIGMA
from kptkit.skeletons.schema import KeypointSchema

SCHEMA = KeypointSchema(("nose", "tail"), ((0, 1),), (), (0.026, DEFAULT_OKS_SIGMA))
STAYS = DataSetInfo(SCHEMA, "pck_torso")
LEAVES = DataSetInfo(SCHEMA, "pckh", boxes_may_leave=True)
POINTS = np.array([[10, 20, 2], [30, 40, 1]], float)
BOX = np.array([5, 10, 45, 60], float)


def entry(name="a.png", points=POINTS, box=BOX, **rest):
    return Entry(f"line of {name!r}", name, np.asarray(points, float), box, **rest)


@pytest.fixture
def folder(tmp_path):
    for name, (w, h) in {"a.png": (100, 80), "b.png": (60, 50)}.items():
        images.write_image(tmp_path / name, np.zeros((h, w, 3), np.uint8))
    return tmp_path


def read(folder, *entries, data_set=STAYS, orientation="auto"):
    findings = Findings("x.txt", list(entries))
    return build_annotation_file(findings, data_set, PictureFolder(folder, orientation))


def errors(faults, level="error"):
    return [str(fault) for fault in faults if fault.level == level]


def test_nothing_found(folder):
    file, faults = read(folder)
    assert file.annotations["annotations"] == []
    with pytest.raises(InputError, match="no valid one; expected at least one person"):
        refuse_faults(faults, 0, "x.txt")


def test_the_document_is_cocos(folder):
    persons = [entry(), entry("b.png", [[1, 2, 2], [9, 9, 0]]), entry(reference_length=7.5)]
    file, faults = read(folder, *persons)
    assert not errors(faults)
    assert not errors(faults, "skip")
    assert file.annotations["images"] == [
        {"id": 1, "file_name": "a.png", "width": 100, "height": 80},
        {"id": 2, "file_name": "b.png", "width": 60, "height": 50},
    ]
    first, second, third = file.annotations["annotations"]
    assert first == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [5, 10, 40, 50],
        "area": 0.53 * 40 * 50,
        "iscrowd": 0,
        "keypoints": [10, 20, 2, 30, 40, 1],
        "num_keypoints": 2,
    }
    assert second["image_id"] == 2
    assert second["bbox"] == [5, 10, 40, 40]  # cut at the picture's lower edge
    assert second["keypoints"] == [1, 2, 2, 0, 0, 0]
    assert third["reference_length"] == 7.5
    assert third["id"] == 3
    (category,) = file.annotations["categories"]
    assert category["keypoints"] == ["nose", "tail"]
    assert category["skeleton"] == [[1, 2]]
    assert file.protocol == "pck_torso"
    assert "0.05 as sigma of tail" in file.notices[-1]
    assert "nose" not in file.notices[-1]


@pytest.mark.parametrize(
    ("data_set", "expected"),
    [(STAYS, [0, 0, 99, 79]), (LEAVES, [-20, -30, 150, 90])],
)
def test_boxes_leave_the_picture_only_where_they_may(folder, data_set, expected):
    file, _ = read(folder, entry(box=np.array([-20, -30, 150, 90.0])), data_set=data_set)
    samples = keypoint_samples(file, folder, report=lambda _: None)
    assert samples.boxes_xyxy.tolist() == [expected]
    assert samples.protocol == data_set.protocol
    assert samples.reference_lengths is None


def test_reference_lengths_reach_the_samples(folder):
    file, _ = read(folder, entry(), entry(reference_length=12.5), entry("b.png"), data_set=LEAVES)
    samples = keypoint_samples(file, folder, report=lambda _: None)
    np.testing.assert_array_equal(samples.reference_lengths, [np.nan, 12.5, np.nan])
    assert samples.reference_lengths.dtype == np.float32
    train, val = split_by_image(file, 0.5, seed=0)
    assert {train.protocol, val.protocol} == {"pckh"}
    assert train.boxes_may_leave
    assert val.boxes_may_leave


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("../a.png"), "line of '../a.png': picture '../a.png'; expected the path"),
        (entry("/a.png"), "picture '/a.png'; expected the path"),
        (entry(""), "picture ''; expected the path"),
        (entry("a\0.png"), "expected the path"),
        (
            entry(points=[[np.nan, 1, 2], [3, 4, 2]]),
            "a labelled keypoint without finite coordinates",
        ),
        (
            entry(points=[[np.inf, 1, 2], [3, 4, 2]]),
            "a labelled keypoint without finite coordinates",
        ),
        (entry(points=[[1e9, 1, 2], [3, 4, 2]]), "a labelled keypoint without finite coordinates"),
        (entry(box=np.array([0, 0, np.nan, 5])), "box 0, 0, nan, 5; expected finite pixels"),
        (entry(reference_length=0.0), "reference length 0; expected pixels above 0"),
        (entry(reference_length=float("nan")), "reference length nan"),
    ],
)
def test_errors_stop(folder, bad, message):
    file, faults = read(folder, entry(), bad)
    assert [a["id"] for a in file.annotations["annotations"]] == [1]
    assert len(errors(faults)) == 1
    assert message in errors(faults)[0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("gone.png"), "picture 'gone.png': missing"),
        (entry("text.png"), "picture 'text.png': not an image"),
        (entry(box=np.array([5, 5, 5, 9.0])), "a box without area"),
        (entry(box=np.array([9, 5, 5, 9.0])), "a box without area"),
        (entry(box=np.array([200, 5, 250, 9.0])), "outside the picture of 100x80 pixels"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_counted(folder, bad, message):
    (folder / "text.png").write_text("no picture")
    file, faults = read(folder, entry(), bad, entry("b.png"))
    assert [a["id"] for a in file.annotations["annotations"]] == [1, 3]
    assert len(errors(faults, "skip")) == 1
    assert message in errors(faults, "skip")[0]
    refuse_faults(faults, 2, "x.txt")


def test_many_missing_pictures_stop(folder):
    _, faults = read(folder, entry(), *[entry(f"{n}.png") for n in range(11)])
    with pytest.raises(InputError, match=r"picture '0.png': missing; and 10 more; more than 10"):
        refuse_faults(faults, 1, "x.txt")


def test_the_wrong_folder_is_named(folder):
    with pytest.raises(InputError, match=r"a.png: missing; is this the right folder of images\?"):
        read(folder / "none", entry())
    with pytest.raises(InputError, match=r"--data.images: not given"):
        build_annotation_file(Findings("x.txt", [entry()]), STAYS, PictureFolder())


def test_stated_sizes_need_no_folder():
    file, _ = build_annotation_file(
        Findings("x.txt", [entry(image_wh=(70, 60))]), STAYS, PictureFolder()
    )
    assert file.annotations["images"][0]["width"] == 70


def test_people_without_enough_keypoints_are_left_out_and_counted(folder):
    file, faults = read(folder, entry(box=None), entry(box=None), entry())
    assert [a["id"] for a in file.annotations["annotations"]] == [3]
    assert any("too few are labelled" in line and "(2 times)" in line for line in file.notices)
    assert not errors(faults, "skip")


def test_labels_at_the_origin_are_none(folder):
    file, _ = read(folder, entry(points=[[0, 0, 2], [30, 40, 1]]))
    (annotation,) = file.annotations["annotations"]
    assert annotation["keypoints"] == [0, 0, 0, 30, 40, 1]
    assert annotation["num_keypoints"] == 1


@pytest.mark.parametrize(
    ("orientation", "size"), [("auto", (100, 80)), ("stored", (100, 80)), ("exif", (80, 100))]
)
def test_sizes_follow_the_orientation(tmp_path, orientation, size):
    ok, jpeg = cv2.imencode(".jpg", np.zeros((80, 100, 3), np.uint8))
    assert ok
    tag = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # 6: turned
    segment = b"\xff\xe1" + (len(tag) + 8).to_bytes(2, "big") + b"Exif\0\0" + tag
    (tmp_path / "a.jpg").write_bytes(jpeg.tobytes()[:2] + segment + jpeg.tobytes()[2:])
    file, _ = read(tmp_path, entry("a.jpg"), orientation=orientation)
    (image,) = file.annotations["images"]
    assert (image["width"], image["height"]) == size
    assert any("EXIF" in line for line in file.notices) == (orientation == "auto")


def test_own_parts(folder):
    plain, _ = read(folder, entry(), entry("b.png"))
    for part in ("train", "test"):
        assert len(own_part(plain, part).annotations["annotations"]) == 2
    parted, _ = read(folder, entry(part="train"), entry("b.png", part="test"))
    for part, name in (("train", "a.png"), ("test", "b.png")):
        chosen = own_part(parted, part).annotations
        assert [image["file_name"] for image in chosen["images"]] == [name]
        assert len(chosen["annotations"]) == 1
    only, _ = read(folder, entry(part="train"))
    with pytest.raises(InputError, match=r"x.txt: no persons to evaluate on.*share such as 0.1"):
        own_part(only, "test")


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], None),
        ([[1, 2, 2]], None),
        ([[1, 2, 2], [1, 2, 2]], None),
        ([[1, 2, 2], [8, 2, 2]], [1, 2, 8, 2]),
        ([[1.5, 2.25, 1], [9, 9, 0], [4.5, -7, 2]], [1.5, -7, 4.5, 2.25]),
        ([[np.nan, 2, 2], [8, 2, 2]], None),
    ],
)
def test_extent_is_that_of_the_labelled(points, expected):
    box = keypoint_extent(np.reshape(np.array(points, float), (-1, 3)))
    assert (None if box is None else box.tolist()) == expected


def test_landmark_box_reaches_to_whole_pixels():
    box = landmark_box(np.array([[1.5, 2.25, 1], [4.5, -7.5, 2]]))
    assert box.tolist() == [1, -8, 5, 3]
    assert landmark_box(np.zeros((68, 3))) is None


def test_paths_stay_in_the_folder():
    assert PictureFolder("pictures").path("a/b.png") == str(Path("pictures") / "a/b.png")
