"""Samples from annotation files and from detections."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.coco_files import document, load, person, written

from kptkit.data.formats.coco import load_coco
from kptkit.data.to_samples import (
    clean_boxes,
    detection_samples,
    keypoint_samples,
    keypoints_inside,
)
from kptkit.errors import InputError

real_data = pytest.mark.skipif(
    "KPTKIT_DATA" not in os.environ, reason="KPTKIT_DATA does not name the folder of real data"
)


def official_clean_box(box, width, height):
    """The published rule, one box at a time: left, top, right, bottom."""
    x1, y1 = max(0, box[0]), max(0, box[1])
    x2 = min(width - 1, x1 + max(0, box[2] - 1))
    y2 = min(height - 1, y1 + max(0, box[3] - 1))
    return [x1, y1, x2, y2]


def test_boxes_are_cleaned_by_the_official_rule():
    assert clean_boxes(np.zeros((0, 4)), np.zeros((0, 2))).shape == (0, 4)
    rng = np.random.default_rng(0)
    boxes = rng.uniform(-50, 150, (200, 4))
    sizes = rng.integers(50, 120, (200, 2))
    expected = [official_clean_box(b, *wh) for b, wh in zip(boxes, sizes, strict=True)]
    np.testing.assert_allclose(clean_boxes(boxes, sizes), expected)


def test_samples_are_the_persons_that_can_be_trained_on(tmp_path, pictures):
    outside = [12, 22, 2, -3, 5, 2, 100.5, 50, 1]
    coco = load(
        tmp_path,
        person(0, image_id=2),
        person(1, iscrowd=1),
        person(2, keypoints=[0] * 9, num_keypoints=0),
        person(3, area=0),  # a tool that knows no areas
        person(4, bbox=[10, 20, 1, 1]),
        person(5, keypoints=outside, num_keypoints=3, bbox=[-5, 20, 120, 70]),
    )
    lines = []
    samples = keypoint_samples(coco, pictures, report=lines.append)
    assert len(coco.annotations["annotations"]) == 6
    assert samples.sample_ids.tolist() == [0, 3, 5]
    assert samples.image_ids.tolist() == [1, 2]
    assert samples.image_index.tolist() == [1, 0, 0]
    assert samples.image_paths == (str(pictures / "1.png"), str(pictures / "2.png"))
    assert samples.image_wh.tolist() == [[100, 80]] * 2
    assert samples.boxes_xyxy.tolist() == [[10, 20, 39, 59]] * 2 + [[0, 20, 99, 79]]
    assert samples.keypoints[0].tolist() == [[12, 22, 2], [0, 0, 0], [30.5, 50, 1]]
    assert samples.keypoints[2].tolist() == [[12, 22, 2], [-3, 5, 0], [100.5, 50, 0]]
    assert samples.box_scores.tolist() == [1, 1, 1]
    assert samples.orientation == "stored"
    assert coco.annotations["annotations"][5]["keypoints"] == outside
    assert len(lines) == 1
    assert "3 persons of 6 annotations" in lines[0]
    assert "2 keypoints lie outside" in lines[0]


@pytest.mark.parametrize(
    ("xy", "inside"),
    [
        ((-0.5, -0.5), True),  # the picture's edge where pixel centres are whole numbers
        ((100, 80), True),  # and where its corners are
        ((-0.6, 40), False),
        ((50, -0.6), False),
        ((100.1, 40), False),
        ((50, 80.1), False),
    ],
)
def test_keypoints_on_the_edge_of_a_picture_are_inside(xy, inside):
    image_wh = np.array([[100, 80]])
    assert keypoints_inside(np.zeros((0, 3, 3)), image_wh[:0]).shape == (0, 3)
    assert keypoints_inside(np.array([[[*xy, 2]]]), image_wh).tolist() == [[inside]]


def test_nobody_to_train_on_is_an_error(tmp_path, pictures):
    tiny = person(1, bbox=[10, 20, 1, 1], keypoints=[10, 20, 2, 11, 21, 2, 0, 0, 0])
    for annotation in (person(1, iscrowd=1), tiny):
        with pytest.raises(InputError, match="no usable person"):
            keypoint_samples(load(tmp_path, annotation), pictures, report=lambda _: None)


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ([0.1, 0.2, 0.3, 0.4], "bbox: 3 of 3 lie within 0 to 1, as shares of the picture do"),
        ([60, 40, 95, 70], "bbox: 3 of 3 leave their pictures but fit as x1, y1, x2, y2"),
        ([60, 40, 35, 30], None),
    ],
)
def test_detected_boxes_of_another_form_are_refused(tmp_path, pictures, box, told):
    path = tmp_path / "detections.json"
    path.write_text(json.dumps([detection(bbox=box)] * 3))
    coco = load(tmp_path, person(1), person(2, image_id=2))
    if told is None:
        assert len(detection_samples(coco, path, pictures, report=lambda _: None)) == 3
        return
    with pytest.raises(InputError, match=f"^{path}: {told}"):
        detection_samples(coco, path, pictures, report=lambda _: None)


def test_detections_of_merged_categories_count(tmp_path, pictures):
    content = document(person(1), person(2, image_id=2, category_id=6))
    content["categories"][1]["keypoints"] = content["categories"][0]["keypoints"]
    path = tmp_path / "detections.json"
    path.write_text(json.dumps([detection(category_id=n, bbox=[9, 9, 9, 9]) for n in (5, 6, 6)]))
    coco = load_coco(written(tmp_path, content))
    assert len(detection_samples(coco, path, pictures, report=lambda _: None)) == 3


def detection(**changes):
    return {"image_id": 2, "category_id": 5, "bbox": [-5, 20.5, 200, 40], "score": 0.5} | changes


def detected(folder, pictures, *detections, report=lambda _: None):
    path = folder / "detections.json"
    path.write_text(json.dumps(list(detections)))
    return detection_samples(load(folder), path, pictures, report=report)


def test_detections_become_unlabelled_samples_with_their_own_boxes(tmp_path, pictures):
    lines = []
    samples = detected(
        tmp_path,
        pictures,
        detection(category_id=1),
        detection(),
        detection(image_id=77),
        detection(bbox=[1, 2, 0, 4]),
        detection(image_id=1, score=-3, bbox=[1, 2, 3, 4]),
        report=lines.append,
    )
    assert samples.sample_ids.tolist() == [1, 4]
    assert samples.boxes_xyxy.tolist() == [[-5, 20.5, 195, 60.5], [1, 2, 4, 6]]
    assert samples.box_scores.tolist() == [0.5, -3]
    assert samples.image_ids[samples.image_index].tolist() == [2, 1]
    assert samples.keypoints.shape == (2, 3, 3)
    assert not samples.keypoints.any()
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "no detection of category 5"),
        ([detection(image_id=77)], "no detection of category 5"),
        ([3], r"\[0\]: int; expected an object"),
        ([detection(image_id="2")], r"\[0\].image_id: '2'"),
        ([detection(category_id=None)], r"\[0\].category_id: None"),
        ([detection(), detection(score="high")], r"\[1\].score: 'high'"),
        ([detection(bbox=[1, 2, 3])], r"\[0\].bbox: \[1, 2, 3\]"),
        ([detection(bbox=[1, 2, 0, 4])] * 11, "more than 10 and than 1%"),
    ],
)
def test_malformed_detections_are_refused(tmp_path, pictures, entries, message):
    with pytest.raises(InputError, match=f"^{tmp_path}/detections.json: .*{message}"):
        detected(tmp_path, pictures, *entries)


def test_detections_must_be_a_list(tmp_path, pictures):
    with pytest.raises(InputError, match="dict; expected a list"):
        detection_samples(load(tmp_path), written(tmp_path, {}), pictures)


@real_data
def test_real_detections_are_read():
    folder = Path(os.environ["KPTKIT_DATA"], "coco")
    path = folder / "mmpose_tests" / "test_coco_det_AP_H_56.json"
    coco = load_coco(folder / "mmpose_tests" / "test_coco.json")
    samples = detection_samples(coco, path, folder / "images", report=lambda _: None)
    entries = json.loads(path.read_text())
    assert len(samples) == sum(entry["category_id"] == 1 for entry in entries)
