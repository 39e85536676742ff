"""Reader of WIDER FACE's list of faces, ``wider_face_train_bbx_gt.txt``.

The record of a picture is its name, the number of its faces, and one line per face:

    0--Parade/0_Parade_marchingband_1_849.jpg
    1
    449 330 122 149 0 0 0 0 0 0

left, top, width, height, then blur, expression, illumination, invalid, occlusion and pose. Lists
without these six flags are read too. A picture without faces may be followed by a line of zeros.
Faces flagged as invalid are ignored, since it is unclear whether they are faces.
"""

import os
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kptkit.data.formats.text_lists import Line, as_numbers, picture_path, read_lines
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples
from kptkit.wording import name_of

_INVALID = 7  # index of this flag among a face's numbers


@dataclass
class _Faces:
    """The faces read so far, as columns."""

    named_at: dict[str, int] = field(default_factory=dict)
    """The line number at which each picture's path is named."""
    image_index: list[int] = field(default_factory=list)
    boxes_xywh: list[list[float]] = field(default_factory=list)
    ignored: list[bool] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    """The line numbers of boxes without area, which are left out."""


def read_wider(
    path: str | os.PathLike,
    images_folder: str | os.PathLike,
    report: Callable[[str], None] = print,
) -> FaceSamples:
    """Reads a list in WIDER FACE's format.

    Args:
        images_folder: the names of pictures are relative to it.
        report: called with a line about boxes that were left out.

    Raises:
        InputError: the list cannot be used; the message names the line.
    """
    lines = read_lines(path, "a list of faces in WIDER FACE's format")
    faces, place = _Faces(), 0
    while place < len(lines):
        place = _read_record(lines, place, faces, path, images_folder)
    if not faces.boxes_xywh:
        raise InputError(f"{path}: no faces in {len(faces.named_at)} pictures; expected some")
    if faces.empty:
        more = f", and {len(faces.empty) - 1} more" if len(faces.empty) > 1 else ""
        report(f"{path}: line {faces.empty[0]}{more}: a box without area; left out")
    return FaceSamples(
        image_paths=tuple(faces.named_at),
        image_index=np.array(faces.image_index, np.int64),
        boxes_xyxy=boxes.from_xywh(np.array(faces.boxes_xywh)).astype(np.float32),
        ignored=np.array(faces.ignored, bool),
        landmarks=np.full((len(faces.boxes_xywh), 5, 2), np.nan, np.float32),
        complete=True,
    )


def _read_record(
    lines: list[Line],
    place: int,
    faces: _Faces,
    path: str | os.PathLike,
    images_folder: str | os.PathLike,
) -> int:
    """Reads the record that begins at index `place` of `lines`; returns the next one's index."""
    number, name = lines[place]
    if as_numbers(name) is not None and len(name.split()) > 1:
        raise InputError(
            f"{path}: line {number}: {reprlib.repr(name)}; expected the name of a picture; is the "
            "number of faces above it right?"
        )
    picture = picture_path(name, images_folder, f"{path}: line {number}")
    if picture in faces.named_at:
        raise InputError(
            f"{path}: line {number}: {name_of(name)} is already listed in line "
            f"{faces.named_at[picture]}; expected all faces of a picture together"
        )
    count = _read_count(lines, place + 1, path)
    faces.named_at[picture] = number
    first, stop = place + 2, place + 2 + count
    if stop > len(lines):
        raise InputError(
            f"{path}: line {lines[-1][0]}: the list ends after {len(lines) - first} of {count} "
            f"faces of {name_of(name)}; is the file cut off?"
        )
    for line in lines[first:stop]:
        _read_face(line, faces, path)
    without_faces = count == 0 and stop < len(lines) and as_numbers(lines[stop][1]) is not None
    return stop + 1 if without_faces else stop


def _read_count(lines: list[Line], place: int, path: str | os.PathLike) -> int:
    """The number of faces, at index `place` of `lines`, below the picture's name."""
    number, name = lines[place - 1]
    expected = f"expected the number of faces of {name_of(name)}"
    if place == len(lines):
        raise InputError(f"{path}: line {number}: the list ends here; {expected}")
    number, text = lines[place]
    if not (len(text) < 10 and text.isascii() and text.isdigit()):
        raise InputError(f"{path}: line {number}: {reprlib.repr(text)}; {expected}")
    return int(text)


def _read_face(line: Line, faces: _Faces, path: str | os.PathLike) -> None:
    number, text = line
    numbers = as_numbers(text)
    if numbers is None or len(numbers) < 4:
        raise InputError(
            f"{path}: line {number}: {reprlib.repr(text)}; expected left, top, width and height of "
            "a face in pixels; is the number of faces above right?"
        )
    if min(numbers[2:4]) < 0:
        raise InputError(
            f"{path}: line {number}: width {numbers[2]:g} and height {numbers[3]:g}; expected "
            "none below 0"
        )
    if min(numbers[2:4]) == 0:
        faces.empty.append(number)
        return
    faces.image_index.append(len(faces.named_at) - 1)
    faces.boxes_xywh.append(numbers[:4])
    faces.ignored.append(len(numbers) > _INVALID and numbers[_INVALID] == 1)
