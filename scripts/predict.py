"""Finds keypoints in pictures and draws them.

    python scripts/predict.py PHOTO.jpg --run runs/demo

takes the whole picture as one person; give boxes as --box X1 Y1 X2 Y2 or from a COCO-style json as
--boxes FILE. Writes PHOTO.jpg with skeletons and keypoints.json (COCO results) to --out.
"""

from kptkit import commands

commands.import_tensorflow_quietly()

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from kptkit import boxes, files, visualize
from kptkit.data.coco_faults import is_numbers
from kptkit.data.json_files import read_json
from kptkit.errors import InputError
from kptkit.images import printable, read_image, write_image
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
    if config.box and config.boxes:
        raise InputError("--box and --boxes: both are given; expected one of them")
    targets = drawing_paths(config.images, config.out)
    by_name = boxes_by_name(config.boxes) if config.boxes else {}
    estimator = PoseEstimator.from_run(config.run)
    results = []
    bar = tqdm(list(zip(config.images, targets, strict=True)), disable=len(targets) < 3)
    for number, (path, target) in enumerate(bar, start=1):
        image = read_image(path, orientation="exif")
        boxes_xyxy = None if config.box is None else np.array([config.box])
        if config.boxes:
            boxes_xyxy = by_name.get(os.path.basename(path), np.zeros((0, 4)))
        persons = estimator.predict(image, boxes_xyxy)
        drawn = visualize.draw_skeleton(image, persons.keypoints, estimator.schema)
        if boxes_xyxy is not None:
            drawn = visualize.draw_boxes(drawn, persons.boxes_xyxy)
        write_image(target, drawn)
        found = coco_results([number] * len(persons.scores), 1, persons.keypoints, persons.scores)
        results += [{"file_name": os.path.basename(path), **person} for person in found]
        tqdm.write(f"{printable(path)}: {len(found)} person(s), written {printable(target)}")
    files.write_json(config.out / "keypoints.json", results)
    print(f"written: {config.out / 'keypoints.json'}")


def drawing_paths(paths: Sequence[str], folder: Path) -> list[Path]:
    """Where each picture is drawn, so that none takes the place of another or of an original.

    Raises:
        InputError: one would.
    """
    targets = [folder / f"{Path(path).stem}.jpg" for path in paths]
    taken = {os.path.realpath(path) for path in paths}
    for path, target in zip(paths, targets, strict=True):
        if os.path.realpath(target) in taken:
            raise InputError(
                f"{printable(path)}: {printable(target)} would replace another picture; give "
                "another --out, or pictures of different names"
            )
        taken.add(os.path.realpath(target))
    return targets


def boxes_by_name(path: Path) -> dict[str, np.ndarray]:
    """Boxes (N, 4) as x1 y1 x2 y2 of every file name in a json.

    Raises:
        InputError: the file is neither a COCO file nor a list of boxes with file names.
    """
    content = read_json(path)
    try:
        if isinstance(content, dict):
            names = {image["id"]: image["file_name"] for image in content["images"]}
            content = [a | {"file_name": names[a["image_id"]]} for a in content["annotations"]]
        persons = [(person["file_name"], person["bbox"]) for person in content]
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{path}: {error!r}; expected a COCO file, or a list of objects with file_name and bbox"
        ) from None
    found: dict[str, list] = {}
    for index, (name, bbox) in enumerate(persons):
        if not (isinstance(name, str) and is_numbers(bbox, 4) and min(bbox[2:]) > 0):
            raise InputError(
                f"{path}: [{index}]: file_name {name!r}, bbox {bbox!r}; expected a name and "
                "[x, y, width, height], the last two above 0"
            )
        found.setdefault(os.path.basename(name), []).append(bbox)
    return {name: boxes.from_xywh(rows) for name, rows in found.items()}


if __name__ == "__main__":
    commands.run(main, Config)
