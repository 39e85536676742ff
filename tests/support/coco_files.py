"""Small COCO keypoint files on two pictures."""

import json

from kptkit.data.formats.coco import load_coco


def person(number, image_id=1, **changes):
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 5,
        "bbox": [10.0, 20.0, 30.0, 40.0],
        "area": 700.0,
        "iscrowd": 0,
        "num_keypoints": 2,
        "keypoints": [12, 22, 2, 0, 0, 0, 30.5, 50, 1],
    } | changes


def document(*annotations):
    """Two pictures of 100x80 pixels; category 5 has three keypoints, category 6 has none."""
    names = ["nose", "left_eye", "right_eye"]
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": 100, "height": 80}
            for number in (1, 2)
        ],
        "annotations": list(annotations) or [person(3), person(4, image_id=2)],
        "categories": [
            {"id": 5, "name": "person", "keypoints": names, "skeleton": [[1, 2], [1, 3]]},
            {"id": 6, "name": "car"},
        ],
    }


def written(folder, content):
    path = folder / "x.json"
    path.write_text(json.dumps(content))
    return path


def load(folder, *annotations):
    return load_coco(written(folder, document(*annotations)))
