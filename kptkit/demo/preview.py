"""A picture of the demo set's first scenes, to look at."""

import json
from pathlib import Path

import numpy as np

from kptkit import images
from kptkit.geometry import boxes
from kptkit.images import drawing
from kptkit.skeletons.known import COCO_17


def write_preview(folder: Path, num_scenes: int = 8) -> None:
    """Writes preview.jpg: the first training scenes, plain and with boxes and skeletons."""
    content = json.loads(
        (folder / "annotations/person_keypoints_train.json").read_text(encoding="utf-8")
    )
    pictures = []
    for entry in content["images"][:num_scenes]:
        people = [a for a in content["annotations"] if a["image_id"] == entry["id"]]
        found = [a["bbox"] for a in people] + [a["face_box"] for a in people if "face_box" in a]
        keypoints = np.array([a["keypoints"] for a in people]).reshape(-1, 17, 3)
        picture = images.read_image(folder / "images" / entry["file_name"])
        drawn = drawing.draw_skeleton(picture, keypoints, COCO_17)
        pictures += [picture, drawing.draw_boxes(drawn, boxes.from_xywh(np.array(found)))]
    if pictures:
        sheet = drawing.contact_sheet(pictures, columns=4, cell_wh=(400, 320))
        images.write_image(folder / "preview.jpg", sheet)
