"""300W (Sagonas et al. 2013): a .pts file of 68 points next to each picture, or a COCO-like json.

Coordinates in .pts files count from 1:

    version: 1
    n_points: 68
    {
    446.000 91.000
    ...
    }

Training and test set are different folders (training: afw, helen/trainset, lfpw/trainset; testing:
helen/testset, lfpw/testset, ibug), so the annotation file is a list of .pts files, one per line,
relative to the folder of pictures:

    find afw helen/trainset lfpw/trainset -name "*.pts" > train.txt

A picture has the name of its .pts file with another suffix. The .pts reader has not been tested on
the data set itself; the json reader has, on two faces.
"""

import os
import reprlib
from pathlib import Path

import numpy as np

from kptkit.data.formats.build_document import (
    DataSetInfo,
    Entry,
    Findings,
    Inspected,
    PictureFolder,
    build_annotation_file,
    landmark_box,
)
from kptkit.data.formats.coco_like_faces import inspect_face_json
from kptkit.data.formats.faults import is_file_name
from kptkit.data.formats.text_lists import as_numbers, read_lines
from kptkit.data.links import LINK_OUT, lead_out
from kptkit.errors import InputError
from kptkit.skeletons.known import FACE_68

W300 = DataSetInfo(FACE_68, "nme_interocular", "face", boxes_may_leave=True)

_POINTS = FACE_68.num_keypoints
_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")


def inspect_300w(
    path: str | Path, pictures: PictureFolder, category: str | None = None
) -> Inspected:
    """The valid faces of a list of .pts files or of a json, and how often each fault occurs.

    Args:
        category: of a json, name of the category to read, if several have keypoints.

    Raises:
        InputError: it is not such a file.
    """
    if Path(path).suffix.lower() == ".json":
        return inspect_face_json(path, W300, category)
    if Path(path).is_dir():
        raise InputError(
            f"{path}: a folder; expected a list of .pts files, as find . -name '*.pts' writes it"
        )
    findings = Findings(path)
    for number, name in read_lines(path, "a list of .pts files or a COCO-like json"):
        where, name = f"line {number}", name.removeprefix("./")
        if not (is_file_name(name) and name.endswith(".pts")):
            found = reprlib.repr(name)
            findings.error(where, f"{found}; expected a .pts file inside the folder of pictures")
            continue
        points = pictures.path(name)
        if lead_out(pictures.folder, [points])[0]:
            findings.skip(where, f"{reprlib.repr(name)}: {LINK_OUT}")
            continue
        try:
            keypoints = read_pts(points)
        except InputError as error:
            findings.error(where, str(error))
            continue
        picture = _picture_of(name, pictures)
        findings.entries.append(Entry(where, picture, keypoints, landmark_box(keypoints)))
    return build_annotation_file(findings, W300, pictures)


def read_pts(path: str | Path) -> np.ndarray:
    """The points (68, 3) of a .pts file: x, y in pixels from 0, and visibility 2.

    Raises:
        InputError: it is not such a file; the message names the line.
    """
    lines = read_lines(path, f"a .pts file of {_POINTS} points")
    texts = [text for _, text in lines]
    if "{" not in texts:
        raise InputError(f"{path}: no line {{; expected version, n_points and points in {{ }}")
    first = texts.index("{") + 1
    stop = texts.index("}", first) if "}" in texts[first:] else None
    if stop is None:
        raise InputError(f"{path}: no line }} after the points; is the file cut off?")
    if stop - first != _POINTS:
        raise InputError(f"{path}: {stop - first} points; expected {_POINTS}")
    points = []
    for number, text in lines[first:stop]:
        numbers = as_numbers(text)
        if numbers is None or len(numbers) != 2:
            raise InputError(f"{path}: line {number}: {reprlib.repr(text)}; expected x and y")
        points.append(numbers)
    return np.hstack([np.array(points) - 1, np.full((_POINTS, 1), 2.0)])


def _picture_of(name: str, pictures: PictureFolder) -> str:
    """The picture next to a .pts file; if there is none, the usual name, reported missing later."""
    stem = name.removesuffix(".pts")
    found = [suffix for suffix in _SUFFIXES if os.path.exists(pictures.path(stem + suffix))]
    return stem + (found or _SUFFIXES)[0]
