"""COCO-like json files, as face data sets are redistributed; checked as COCO's own files are.

Their only category does not name its keypoints, so these come from the data set. Their boxes are
1.2 times the extent of the landmarks, and are replaced by those that the data sets' own formats get
(`kptkit.data.formats.build_document.landmark_box`), except where an annotation states its origin
under the key `BOX_SOURCE`. Coordinates are not shifted.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from kptkit.data.formats.build_document import DataSetInfo, landmark_box
from kptkit.data.formats.coco import inspect_coco
from kptkit.data.formats.document import AnnotationFile
from kptkit.data.formats.faults import Fault
from kptkit.geometry import boxes

# `kptkit data face-boxes` marks the boxes of its detector with this key.
BOX_SOURCE = "box_source"


def inspect_face_json(
    path: str | Path, data_set: DataSetInfo, category: str | None = None
) -> tuple[AnnotationFile, Counter[Fault]]:
    """The valid faces of a COCO-like file, and how often each fault occurs.

    Args:
        category: name of the category to read, if several have keypoints.

    Raises:
        InputError: it is not a COCO file at all.
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
