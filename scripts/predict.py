"""Finds keypoints in pictures and draws them.

    python scripts/predict.py PHOTO.jpg --run runs/demo

takes the whole picture as one person; give boxes as --box X1 Y1 X2 Y2 or from a COCO-style json as
--boxes FILE. Writes PHOTO.jpg with skeletons and keypoints.json (COCO results) to --out.
"""

from kptkit import commands

commands.import_tensorflow_quietly()

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from kptkit import boxes, files, visualize
from kptkit.data.json_files import read_json
from kptkit.errors import InputError
from kptkit.images import read_image, write_image
from kptkit.metrics.oks import coco_results
from kptkit.pose import PoseEstimator


@dataclass(frozen=True)
class Config:
    """What to look at, with which network."""

    images: tyro.conf.Positional[tuple[str, ...]]
    """Pictures."""
    run: Path = Path("runs/demo")
    """Run folder of train_hrnet.py."""
    box: tuple[float, float, float, float] | None = None
    """One person in pixels of the upright picture: x1 y1 x2 y2."""
    boxes: Path | None = None
    """Json with persons: a COCO file, or a list of {"file_name", "bbox": [x, y, w, h]}."""
    out: Path = Path("runs/predict")
    """Folder for pictures and keypoints.json."""


def main(config: Config) -> None:
    """Pictures in; skeletons on pictures and a json out."""
    if not config.images:
        raise InputError("no pictures; give one or more paths")
    by_name = boxes_by_name(config.boxes) if config.boxes else {}
    estimator = PoseEstimator.from_run(config.run)
    results = []
    for number, path in enumerate(tqdm(config.images, disable=len(config.images) < 3), start=1):
        image = read_image(path, orientation="exif")
        boxes_xyxy = None if config.box is None else np.array([config.box])
        if config.boxes:
            boxes_xyxy = by_name.get(os.path.basename(path), np.zeros((0, 4)))
        persons = estimator.predict(image, boxes_xyxy)
        drawn = visualize.draw_skeleton(image, persons.keypoints, estimator.schema)
        if boxes_xyxy is not None:
            drawn = visualize.draw_boxes(drawn, persons.boxes_xyxy)
        name = f"{Path(path).stem}.jpg"
        write_image(config.out / name, drawn)
        found = coco_results([number] * len(persons.scores), 1, persons.keypoints, persons.scores)
        results += [{"file_name": os.path.basename(path), **person} for person in found]
        tqdm.write(f"{path}: {len(found)} person(s), written {config.out / name}")
    files.write_json(config.out / "keypoints.json", results)
    print(f"written: {config.out / 'keypoints.json'}")


def boxes_by_name(path: Path) -> dict[str, np.ndarray]:
    """Boxes (N, 4) as x1 y1 x2 y2 of every file name in a json.

    Raises:
        InputError: the file is neither a COCO file nor a list of boxes with file names.
    """
    content = read_json(path)
    if isinstance(content, dict):
        names = {image["id"]: image["file_name"] for image in content.get("images", [])}
        content = [
            {"file_name": names.get(person.get("image_id")), "bbox": person.get("bbox")}
            for person in content.get("annotations", [])
        ]
    found: dict[str, list] = {}
    for index, person in enumerate(content):
        name, bbox = person.get("file_name"), person.get("bbox")
        if not isinstance(name, str) or not isinstance(bbox, list) or len(bbox) != 4:
            raise InputError(
                f"{path}: [{index}]: file_name {name!r}, bbox {bbox!r}; expected a name and "
                "[x, y, width, height]"
            )
        found.setdefault(os.path.basename(name), []).append(bbox)
    return {name: boxes.from_xywh(rows) for name, rows in found.items()}


if __name__ == "__main__":
    commands.run(main, Config)
