"""A detector's boxes in the place of those around landmarks, on noise that it takes for faces."""

import json

import numpy as np
import pytest

from kptkit.commands import data_face_boxes
from kptkit.data.formats.index import load_annotations
from kptkit.face.detector import FaceDetector
from kptkit.geometry import boxes
from kptkit.images.codec import write_image


@pytest.fixture(scope="module")
def annotated(tmp_path_factory, cascade_file):
    """A picture of noise with two annotated faces where the detector finds some, and one in black.

    The points of a face fill nine tenths of what the detector finds.
    """
    folder = tmp_path_factory.mktemp("faces")
    picture = np.random.default_rng(3).integers(0, 256, (120, 240, 3), np.uint8)
    picture[:, 160:] = 0
    write_image(folder / "a.png", picture)
    found = FaceDetector(cascade_file).detect(picture).boxes_xyxy
    first = found[0]
    second = next(box for box in found if boxes.iou(first, box)[0, 0] == 0)
    regions = [first, second, np.array([190, 40, 230, 80], np.float32)]
    annotations = []
    for number, (x1, y1, x2, y2) in enumerate(regions, start=1):
        share = np.linspace(0.05, 0.95, 68)
        points = np.stack([x1 + (x2 - x1) * share, y1 + (y2 - y1) * share, 2 + 0 * share], axis=1)
        annotation = {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 400}
        annotation |= {"keypoints": points.ravel().tolist(), "num_keypoints": 68}
        annotations.append(annotation | {"bbox": np.array([x1, y1, x2 - x1, y2 - y1]).tolist()})
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 240, "height": 120}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "face"}],
    }
    (folder / "faces.json").write_text(json.dumps(document))
    return folder, regions


def test_detected_boxes_take_the_place_of_landmark_boxes(annotated, cascade_file, capsys):
    folder, regions = annotated
    config = data_face_boxes.FaceBoxesConfig(
        annotations=str(folder / "faces.json"),
        images=str(folder),
        out=folder / "boxed.json",
        detector=str(cascade_file),
    )
    data_face_boxes.main(config)
    assert "2 of 3 faces with boxes of the detector" in capsys.readouterr().out
    before = load_annotations(folder / "faces.json", "300w", folder).annotations["annotations"]
    after = load_annotations(folder / "boxed.json", "300w", folder).annotations["annotations"]
    for region, old, new in zip(regions[:2], before, after, strict=False):
        np.testing.assert_allclose(boxes.from_xywh(new["bbox"])[0], region, atol=1e-3)
        assert np.abs(np.subtract(old["bbox"], new["bbox"])).max() > 0.5
    assert after[2] == before[2]
    for old, new in zip(before, after, strict=True):
        assert old["keypoints"] == new["keypoints"]
