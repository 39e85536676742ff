"""Pictures in, drawings of what was found and a JSON file out."""

import os
import sys
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
from kptkit.images.codec import read_image, write_image
from kptkit.metrics.oks import coco_results
from kptkit.pose.estimator import PoseEstimator
from kptkit.wording import counted, printable

# Maps number, path and pixels of a picture to its drawing and to what was found, for JSON.
Look = Callable[[int, str, np.ndarray], tuple[np.ndarray, list[dict[str, Any]]]]


def look_for_persons(
    estimator: PoseEstimator,
    box_xyxy: Sequence[float] | None = None,
    boxes_of: Callable[[str], np.ndarray] | None = None,
) -> Look:
    """Looks at persons and draws their skeletons.

    Args:
        box_xyxy: one person, the same in every picture.
        boxes_of: the persons (N, 4), x1 y1 x2 y2, of the picture of a path. Without either, the
            whole picture is one person.
    """

    def look(number: int, path: str, image: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        boxes_xyxy = None if box_xyxy is None else np.array([box_xyxy])
        if boxes_of is not None:
            boxes_xyxy = boxes_of(path)
        if boxes_xyxy is not None:
            _check_inside(boxes_xyxy, path, image)
        persons = estimator.predict(image, boxes_xyxy)
        drawn = drawing.draw_skeleton(image, persons.keypoints, estimator.schema)
        if boxes_xyxy is not None:
            drawn = drawing.draw_boxes(drawn, persons.boxes_xyxy)
        numbers = [number] * len(persons.scores)
        return drawn, coco_results(numbers, 1, persons.keypoints, persons.scores)

    return look


def _check_inside(boxes_xyxy: np.ndarray, path: str, image: np.ndarray) -> None:
    """Raises an InputError if a box has no part in the picture."""
    height, width = image.shape[:2]
    picture = np.array([[0, 0, width, height]])
    outside = boxes.intersection(boxes_xyxy, picture) <= 0
    if outside.any():
        corners = " ".join(f"{side:g}" for side in boxes_xyxy[outside][0])
        raise InputError(
            f"{printable(path)}: box {corners}: outside the picture of {width}x{height} pixels"
        )


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
    paths: Sequence[str],
    targets: Sequence[Path],
    look: Look,
    noun: str,
    json_path: Path,
) -> None:
    """Draws the detections on each picture, and writes all of them as JSON.

    A picture that cannot be used is named and left out; the others are finished first.

    Args:
        noun: what is found, in the singular.

    Raises:
        InputError: a picture could not be used.
    """
    results = []
    errors: list[InputError] = []
    bar = tqdm(list(zip(paths, targets, strict=True)), disable=len(targets) < 3)
    for number, (path, target) in enumerate(bar, start=1):
        try:
            drawn, found = look(number, path, read_image(path, orientation="exif"))
        except InputError as error:
            errors.append(error)
            if len(paths) > 1:
                tqdm.write(f"not used: {error}", file=sys.stderr)
            continue
        write_image(target, drawn)
        results += [{"file_name": os.path.basename(path), **one} for one in found]
        written = printable(target)
        tqdm.write(f"{printable(path)}: {counted(len(found), noun)}, written {written}")
    if len(errors) < len(paths):
        files.write_json(json_path, results)
        print(f"written: {json_path}")
    if len(paths) == 1 and errors:
        raise errors[0]
    if errors:
        kept = f"; the others are in {json_path}" if len(errors) < len(paths) else ""
        pictures = counted(len(paths), "picture")
        raise InputError(f"{len(errors)} of {pictures} could not be used, listed above{kept}")
