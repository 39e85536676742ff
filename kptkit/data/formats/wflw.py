"""WFLW (Wu et al. 2018): its lists, one face of 98 points per line, or a COCO-like json.

A line of ``list_98pt_rect_attr_train.txt`` or ``..._test.txt`` has 196 numbers x1 y1 .. x98 y98,
four of a box, six attributes of 0 or 1 (pose, expression, illumination, make-up, occlusion, blur)
and the picture's name; the lists of ``list_98pt_test`` have neither box nor attributes. Coordinates
are not shifted. Boxes are made from the landmarks, as for the published results, not taken from the
list. This reader has not been tested on the data set itself.
"""

import reprlib
from itertools import takewhile
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
from kptkit.data.formats.text_lists import as_numbers, read_lines
from kptkit.skeletons.known import WFLW_98
from kptkit.wording import name_of

WFLW = DataSetInfo(WFLW_98, "nme_interocular", "face", boxes_may_leave=True)

_POINTS = WFLW_98.num_keypoints
# Numbers per line: the points alone, or followed by a box and six attributes.
_NUMBERS = (2 * _POINTS, 2 * _POINTS + 4 + 6)


def inspect_wflw(
    path: str | Path, pictures: PictureFolder, category: str | None = None
) -> Inspected:
    """The valid faces of one of WFLW's lists or of a json, and how often each fault occurs.

    Args:
        category: of a json, name of the category to read, if several have keypoints.

    Raises:
        InputError: it is not such a file.
    """
    if Path(path).suffix.lower() == ".json":
        return inspect_face_json(path, WFLW, category)
    findings = Findings(path)
    for number, text in read_lines(path, "a list of faces of 98 points"):
        where = f"line {number}"
        words = text.split()
        numbers = list(takewhile(lambda n: n is not None, (as_numbers(word) for word in words)))
        if len(numbers) not in _NUMBERS or len(words) == len(numbers):
            findings.error(
                where,
                f"{reprlib.repr(text)} begins with {len(numbers)} numbers; expected {_NUMBERS[1]} "
                f"or {_NUMBERS[0]}, followed by a picture's path",
            )
            continue
        name = text.split(None, len(numbers))[-1].replace("\\", "/")
        points = np.array(numbers[: 2 * _POINTS]).reshape(_POINTS, 2)
        keypoints = np.hstack([points, np.full((_POINTS, 1), 2.0)])
        where = f"{where} ({name_of(name)})"
        findings.entries.append(Entry(where, name, keypoints, landmark_box(keypoints)))
    return build_annotation_file(findings, WFLW, pictures)
