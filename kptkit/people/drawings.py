"""Pictures in, drawings of what was found and a JSON file out."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kptkit import files
from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector
from kptkit.geometry import boxes
from kptkit.images import drawing
from kptkit.images.codec import printable, read_image, write_image
from kptkit.metrics.oks import coco_results
from kptkit.pose.estimator import PoseEstimator

# Maps number, path and pixels of a picture to its drawing and to what was found, for JSON.
Look = Callable[[int, str, np.ndarray], tuple[np.ndarray, list[dict[str, Any]]]]


def look_for_persons(
    estimator: PoseEstimator,
    box_xyxy: Sequence[float] | None = None,
    boxes_of: dict[str, np.ndarray] | None = None,
) -> Look:
    """Looks at persons and draws their skeletons.

    Args:
        box_xyxy: one person, the same in every picture.
        boxes_of: the persons (N, 4), x1 y1 x2 y2, by the file name of the picture. Without either,
            the whole picture is one person.
    """

    def look(number: int, path: str, image: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        boxes_xyxy = None if box_xyxy is None else np.array([box_xyxy])
        if boxes_of is not None:
            boxes_xyxy = boxes_of.get(os.path.basename(path), np.zeros((0, 4)))
        persons = estimator.predict(image, boxes_xyxy)
        drawn = drawing.draw_skeleton(image, persons.keypoints, estimator.schema)
        if boxes_xyxy is not None:
            drawn = drawing.draw_boxes(drawn, persons.boxes_xyxy)
        numbers = [number] * len(persons.scores)
        return drawn, coco_results(numbers, 1, persons.keypoints, persons.scores)

    return look


def look_for_faces(detector: FaceDetector) -> Look:
    """Looks for faces, and draws them with their scores and landmarks."""

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

    return look


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


def paths_of_drawings(paths: Sequence[str], folder: Path) -> list[Path]:
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
