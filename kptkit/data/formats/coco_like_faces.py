"""The COCO-like json files in which face data sets are passed around: COCO but for the categories.

Their one category names no keypoints, and their boxes are 1.2 times the extent of the landmarks.
Which keypoints there are is therefore the format's affair, and boxes are made from the landmarks as
for the data sets' own files (`kptkit.data.formats.build_document.landmark_box`), unless an annotation says under
`BOX_SOURCE` where its box is from. Coordinates are taken as they stand. Whatever COCO's reader
checks is checked.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from kptkit.data.formats.build_document import DataSet, landmark_box
from kptkit.data.formats.coco import inspect_coco
from kptkit.data.formats.document import AnnotationFile
from kptkit.data.formats.faults import Fault
from kptkit.geometry import boxes

# The key under which `data_prep/detect_face_boxes.py` says that a box is a detector's.
BOX_SOURCE = "box_source"


def inspect_face_json(
    path: str | Path, data_set: DataSet, category: str | None = None
) -> tuple[AnnotationFile, Counter[Fault]]:
    """What is sound in a COCO-like file of faces, and how often each fault occurs.

    Raises:
        InputError: it is no COCO file at all.
    """
    file, faults = inspect_coco(path, category, data_set.schema)
    annotations = [_with_landmark_box(a) for a in file.annotations["annotations"]]
    document = file.annotations | {"annotations": annotations}
    file = replace(
        file,
        annotations=document,
        protocol=data_set.protocol,
        boxes_may_leave=data_set.boxes_may_leave,
    )
    return file, faults


def _with_landmark_box(annotation: dict) -> dict:
    if BOX_SOURCE in annotation:
        return annotation
    box = landmark_box(np.reshape(np.array(annotation["keypoints"], np.float64), (-1, 3)))
    if box is None:
        return annotation
    return annotation | {"bbox": boxes.to_xywh(box)[0].tolist()}
