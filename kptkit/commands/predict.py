"""Finds keypoints or faces in pictures and draws them.

    python scripts/predict.py PHOTO.jpg --run runs/demo

takes the whole picture as one person; boxes are given as --box X1 Y1 X2 Y2, or as a COCO-style JSON
file: --boxes FILE. With --weights coco-w32-256x192 instead of --run, the published network of that
name is used, once scripts/convert_weights.py has fetched it. Writes PHOTO.jpg with skeletons and
keypoints.json (COCO results) to --out.

    python scripts/predict.py --task face PHOTO.jpg

finds faces with their scores and five landmarks, with the packaged weights. Writes PHOTO.jpg with
faces and faces.json to --out.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from kptkit import cli, files
from kptkit.data.formats.faults import is_numbers
from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector
from kptkit.geometry import boxes
from kptkit.images import drawing
from kptkit.images.codec import printable, read_image, write_image
from kptkit.metrics.oks import coco_results
from kptkit.pose.estimator import PoseEstimator
from kptkit.reading import read_json

Task = Literal["pose", "face"]
# Maps index, path and pixels of a picture to its drawing and its detections, for JSON.
Look = Callable[[int, str, np.ndarray], tuple[np.ndarray, list[dict[str, Any]]]]


@dataclass(frozen=True)
class Config:
    """Which pictures, and which network."""

    images: tyro.conf.Positional[tuple[str, ...]]
    """Pictures."""
    task: Task = "pose"
    """What to find; each task has its own flags (--task face --help)."""
    run: Path = Path("runs/demo")
    """Run folder of train_hrnet.py."""
    weights: str | None = None
    """Instead of --run: a name such as coco-w32-256x192, or a file of convert_weights.py."""
    box: tuple[float, float, float, float] | None = None
    """One person in pixels of the upright picture: x1 y1 x2 y2."""
    boxes: Path | None = None
    """JSON file with persons: COCO, or a list of {"file_name", "bbox": [x, y, w, h]}."""
    out: Path = Path("runs/predict")
    """Folder for pictures and keypoints.json."""


@dataclass(frozen=True)
class FaceConfig:
    """Which pictures, and which detector."""

    images: tyro.conf.Positional[tuple[str, ...]]
    """Pictures."""
    task: Task = "face"
    """What to find; each task has its own flags."""
    weights: str = "default"
    """Weights of the detector: default (packaged), original (published, converted) or a file."""
    min_face_size: float = 20
    """Side in pixels of the smallest faces to detect; halving it takes four times as long."""
    score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    """Score thresholds of the three networks; higher: fewer faces and fewer false positives."""
    out: Path = Path("runs/predict")
    """Folder for pictures and faces.json."""


def main(config: Config) -> None:
    """Draws skeletons on pictures and writes the keypoints as JSON."""
    if config.box and config.boxes:
        raise InputError("--box and --boxes: both are given; expected one of them")
    targets = drawing_paths(config.images, config.out)
    by_name = boxes_by_name(config.boxes) if config.boxes else {}
    estimator = PoseEstimator(config.weights or config.run)

    def look(number: int, path: str, image: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        boxes_xyxy = None if config.box is None else np.array([config.box])
        if config.boxes:
            boxes_xyxy = by_name.get(os.path.basename(path), np.zeros((0, 4)))
        persons = estimator.predict(image, boxes_xyxy)
        drawn = drawing.draw_skeleton(image, persons.keypoints, estimator.schema)
        if boxes_xyxy is not None:
            drawn = drawing.draw_boxes(drawn, persons.boxes_xyxy)
        numbers = [number] * len(persons.scores)
        return drawn, coco_results(numbers, 1, persons.keypoints, persons.scores)

    look_at_all(config.images, targets, look, "person(s)", config.out / "keypoints.json")


def main_face(config: FaceConfig) -> None:
    """Draws faces on pictures and writes them as JSON."""
    targets = drawing_paths(config.images, config.out)
    detector = FaceDetector(
        config.weights, config.min_face_size, score_thresholds=config.score_thresholds
    )

    def look(number: int, _: str, image: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        faces = detector.detect(image)
        drawn = drawing.draw_faces(image, faces.boxes_xyxy, faces.scores, faces.landmarks)
        rows = zip(boxes.to_xywh(faces.boxes_xyxy), faces.scores, faces.landmarks, strict=True)
        return drawn, [
            {
                "image_id": number,
                "bbox": box_xywh.tolist(),
                "score": float(score),
                "landmarks": landmarks.tolist(),
            }
            for box_xywh, score, landmarks in rows
        ]

    look_at_all(config.images, targets, look, "face(s)", config.out / "faces.json")


def look_at_all(
    paths: Sequence[str], targets: Sequence[Path], look: Look, kind: str, json_path: Path
) -> None:
    """Draws the detections on each picture, and writes all of them as JSON."""
    results = []
    bar = tqdm(list(zip(paths, targets, strict=True)), disable=len(targets) < 3)
    for number, (path, target) in enumerate(bar, start=1):
        drawn, found = look(number, path, read_image(path, orientation="exif"))
        write_image(target, drawn)
        results += [{"file_name": os.path.basename(path), **one} for one in found]
        tqdm.write(f"{printable(path)}: {len(found)} {kind}, written {printable(target)}")
    files.write_json(json_path, results)
    print(f"written: {json_path}")


def drawing_paths(paths: Sequence[str], folder: Path) -> list[Path]:
    """The path of each drawing; none replaces another one or an original.

    Raises:
        InputError: a drawing would, or there are no pictures.
    """
    if not paths:
        raise InputError("no pictures; give one or more paths")
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
    """The boxes (N, 4), x1 y1 x2 y2, of every file name in a JSON file.

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


def command() -> None:
    """The command line."""
    cli.run_task({"pose": (main, Config), "face": (main_face, FaceConfig)}, __doc__)
