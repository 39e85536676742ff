"""Readers of face lists with five landmarks, in the formats of the public data sets.

- CNN_FacePoint: ``path left right top bottom x1 y1 .. x5 y5``;
- MTFL: ``path x1 .. x5 y1 .. y5``, optionally with four attributes (gender, smile, glasses, pose),
  whole numbers from 1 to 5; a file is MTFL, not CNN_FacePoint, if all lines end in such numbers. It
  has no boxes; squares around the points, of the size of CNN_FacePoint's boxes, are used;
- RetinaFace's labels of WIDER FACE: ``# path``, then per face ``left top width height``, x, y and
  visibility of each point, and a blur score; points of visibility -1 are not annotated;
- COCO json with five keypoints (`kptkit.data.faces.coco_faces`).

The points are eye, eye, nose, mouth corner, mouth corner, image left first. None of these formats
guarantees that all faces of a picture are listed, so their pictures are not used as background.
"""

import os
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kptkit.data.faces.coco_faces import read_coco_faces
from kptkit.data.formats.text_lists import Line, as_numbers, picture_path, read_lines
from kptkit.errors import InputError
from kptkit.samples import FaceSamples
from kptkit.wording import say

# Side of CNN_FacePoint's boxes relative to the root mean square distance of the points from their
# mean, which is close to the box's centre: the median of 2,250 faces, with a spread of 9 %.
_BOX_SIDE = 3.3

_ATTRIBUTES = range(1, 6)

# Faces lying on their side are rare: if fewer faces have their points in order, the file's order
# is a different one.
_ORDERED_SHARE = 0.7

# Numbers per line of RetinaFace's labels for training, and for validation, which has no points.
_RETINAFACE, _RETINAFACE_BOX = 20, 4


class _Face(NamedTuple):
    line: int
    name: str
    box_xyxy: np.ndarray  # (4,)
    points: np.ndarray  # (5, 2)


def read_face_points(
    path: str | os.PathLike,
    images_folder: str | os.PathLike,
    report: Callable[[str], None] = say,
) -> FaceSamples:
    """Reads a list of faces with five points in any of the formats above.

    Args:
        images_folder: the names of pictures are relative to it.
        report: called with a line about faces that were left out.

    Raises:
        InputError: the list cannot be used; the message names the line.
    """
    if Path(path).suffix.lower() == ".json":
        samples = read_coco_faces(path, images_folder, report)
    else:
        lines = read_lines(path, "a list of faces with five points")
        read = _read_retinaface if lines[0][1].startswith("#") else _read_flat
        samples = _samples(path, images_folder, *read(path, lines), report)
    _check_order(path, samples.landmarks)
    return samples


def square_boxes(points: np.ndarray) -> np.ndarray:
    """Squares (N, 4) x1 y1 x2 y2 around five points (N, 5, 2), sized like CNN_FacePoint's boxes."""
    centre = points.mean(axis=1)
    distance = np.sqrt(np.square(points - centre[:, None]).sum(axis=2).mean(axis=1))
    # Box coordinates are pixel edges, point coordinates pixel centres.
    reach = _BOX_SIDE / 2 * distance[:, None]
    return np.concatenate([centre + 0.5 - reach, centre + 0.5 + reach], axis=1)


def _read_flat(path: str | os.PathLike, lines: Sequence[Line]) -> tuple[list[str], list[_Face]]:
    """The picture names and faces of a list with one line per face (CNN_FacePoint or MTFL)."""
    rows = [_split(path, line) for line in lines]
    count = len(rows[0][1])
    for (number, text), (_, row) in zip(lines, rows, strict=True):
        if len(row) != count:
            raise InputError(
                f"{path}: line {number}: {reprlib.repr(text)}: {len(row)} numbers; expected "
                f"{count}, as in line {lines[0][0]}"
            )
    numbers = np.array([row for _, row in rows])
    if count == 10 or np.isin(numbers[:, 10:], _ATTRIBUTES).all():
        points = numbers[:, :10].reshape(-1, 2, 5).swapaxes(1, 2)
        boxes_xyxy = square_boxes(points)
    else:
        points, boxes_xyxy = numbers[:, 4:].reshape(-1, 5, 2), numbers[:, [0, 2, 1, 3]]
    columns = zip(lines, rows, boxes_xyxy, points, strict=True)
    faces = [_Face(line[0], row[0], box, five) for line, row, box, five in columns]
    return [face.name for face in faces], faces


def _split(path: str | os.PathLike, line: Line) -> tuple[str, list[float]]:
    """The picture's name and the numbers of a line; names may contain spaces."""
    number, text = line
    for count in (14, 10):
        words = text.rsplit(None, count)
        numbers = as_numbers(" ".join(words[1:]))
        if len(words) == count + 1 and numbers is not None:
            return words[0], numbers
    raise InputError(
        f"{path}: line {number}: {reprlib.repr(text)}; expected a picture's path and 14 numbers "
        "(left right top bottom x1 y1 .. x5 y5) or 10 (x1 .. x5 y1 .. y5)"
    )


def _read_retinaface(
    path: str | os.PathLike, lines: Sequence[Line]
) -> tuple[list[str], list[_Face]]:
    """The picture names and faces of RetinaFace's labels."""
    names, faces = [], []
    for number, text in lines:
        if text.startswith("#"):
            names.append(text[1:].strip())
            continue
        numbers = as_numbers(text)
        if numbers is None or len(numbers) not in (_RETINAFACE, _RETINAFACE_BOX):
            raise InputError(
                f"{path}: line {number}: {reprlib.repr(text)}; expected # and a picture's path, or "
                f"{_RETINAFACE} numbers: left top width height, x y visibility of five points, blur"
            )
        left, top, width, height = numbers[:4]
        points = np.full((5, 3), np.nan)
        if len(numbers) == _RETINAFACE:
            points = np.reshape(numbers[4:19], (5, 3))
            points[points[:, 2] < 0] = np.nan
        box = np.array([left, top, left + width, top + height])
        faces.append(_Face(number, names[-1], box, points[:, :2]))
    return names, faces


def _samples(
    path: str | os.PathLike,
    images_folder: str | os.PathLike,
    names: list[str],
    faces: list[_Face],
    report: Callable[[str], None],
) -> FaceSamples:
    numbers: dict[str, int] = {}
    for name in names:
        numbers.setdefault(name, len(numbers))
    inverted = [face for face in faces if (face.box_xyxy[2:] < face.box_xyxy[:2]).any()]
    if inverted:
        box = [f"{value:g}" for value in inverted[0].box_xyxy]
        raise InputError(
            f"{path}: line {inverted[0].line}: a face from x = {box[0]} to {box[2]} and y = "
            f"{box[1]} to {box[3]}; expected left right top bottom"
        )
    valid = [face for face in faces if (face.box_xyxy[2:] > face.box_xyxy[:2]).all()]
    if not valid:
        raise InputError(f"{path}: no faces; expected some")
    if len(valid) < len(faces):
        report(f"{path}: {len(faces) - len(valid)} faces have no area; left out")
    place = {face.name: f"{path}: line {face.line}" for face in faces}
    return FaceSamples(
        image_paths=tuple(
            picture_path(name, images_folder, place.get(name, str(path))) for name in numbers
        ),
        image_index=np.array([numbers[face.name] for face in valid], np.int64),
        boxes_xyxy=np.array([face.box_xyxy for face in valid], np.float32),
        ignored=np.zeros(len(valid), bool),
        landmarks=np.array([face.points for face in valid], np.float32),
        complete=False,
    )


def _check_order(path: str | os.PathLike, landmarks: np.ndarray) -> None:
    """Refuses landmarks (N, 5, 2) in a different order, which may come from a different format.

    Raises:
        InputError: in too many faces the first eye or mouth corner is not left of the second, or
            the eyes are not above the mouth.
    """
    points = landmarks[np.isfinite(landmarks).all(axis=(1, 2))]
    if not len(points):
        raise InputError(f"{path}: no face with five points; expected some")
    ordered = {
        "the first eye left of the second": points[:, 0, 0] < points[:, 1, 0],
        "the first mouth corner left of the second": points[:, 3, 0] < points[:, 4, 0],
        "the eyes above the mouth": points[:, :2, 1].mean(axis=1) < points[:, 3:, 1].mean(axis=1),
    }
    for expected, right in ordered.items():
        if right.mean() < _ORDERED_SHARE:
            raise InputError(
                f"{path}: only {right.mean():.0%} of {len(points)} faces have {expected}; expected "
                "eye, eye, nose, mouth corner, mouth corner, those at image left first"
            )
