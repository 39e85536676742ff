"""COCO keypoint files: read, checked and completed; and the samples of any annotation file.

The format is that of the COCO keypoint challenge (https://cocodataset.org/#format-data). Labelling
tools leave some of it out; what can be derived is, with one notice per kind. The readers of other
formats give the same document, so that `coco_samples` serves them all.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kptkit.data.formats.coco_document import (
    keypoint_category,
    read_lists,
    sound_annotations,
    sound_images,
)
from kptkit.data.formats.document import (
    AnnotationFile,
    fault_notices,
    is_labelled,
    picture_sizes,
    stop_at,
)
from kptkit.data.formats.faults import Fault, corner_box_faults, detection_faults
from kptkit.data.picture_sizes import with_readable_images
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.reading import read_json, shown
from kptkit.samples import KeypointSamples, Orientation
from kptkit.skeletons.schema import KeypointSchema, schema_from_category

Report = Callable[[str], None]


def load_coco(path: str | Path, category: str | None = None) -> AnnotationFile:
    """Reads a COCO keypoints file.

    Args:
        category: the name of the category to read, where several have keypoints.

    Raises:
        InputError: the file cannot be used; the message names the first fault and counts the rest.
    """
    coco, faults = inspect_coco(path, category)
    try:
        stop_at(faults, len(coco.annotations["annotations"]), path)
    except InputError as error:
        hint = f"python scripts/check_data.py {path} lists every fault"
        raise InputError(f"{error}; {hint}") from None
    return coco


def inspect_coco(
    path: str | Path, category: str | None = None, schema: KeypointSchema | None = None
) -> tuple[AnnotationFile, Counter[Fault]]:
    """What is sound in a COCO keypoints file, and how often each fault occurs in it.

    Args:
        category: the name of the category to read, where several have keypoints.
        schema: the keypoints, where the file does not name them.

    Raises:
        InputError: it is no COCO keypoints file at all.
    """
    image_list, annotation_list, categories = read_lists(path)
    notices: list[str] = []
    if schema is not None:
        categories = [c | {"keypoints": list(schema.names), "skeleton": []} for c in categories]
    chosen = keypoint_category(categories, category, path)
    if schema is None:
        source = f"{path}: category {shown(chosen, 'name')}"
        schema, notices = schema_from_category(chosen, source)
    faults: Counter[Fault] = Counter()
    images = sound_images(image_list, faults)
    annotations = sound_annotations(annotation_list, images, chosen, categories, faults)
    faults.update(corner_box_faults(annotations, images))
    if not annotations:
        faults[Fault("error", "annotations", "no sound one; expected at least one person")] += 1
    document = {
        "info": {},
        "images": list(images.values()),
        "annotations": annotations,
        "categories": [chosen],
    }
    notices += fault_notices(faults, path)
    return AnnotationFile(str(path), document, schema, tuple(notices)), faults


def clean_boxes(boxes_xywh: np.ndarray, image_wh: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) inside pictures (N, 2), in the official HRNet code's way: x1 y1 x2 y2.

    The corners are those of the first and the last pixel, one less apart than the box is wide; a
    box that begins before the picture is moved inside before it is cut. Boxes that lie outside come
    back inverted.
    """
    low = np.maximum(boxes_xywh[:, :2], 0)
    high = np.minimum(image_wh - 1, low + np.maximum(boxes_xywh[:, 2:] - 1, 0))
    return np.concatenate([low, high], axis=1)


def coco_samples(
    coco: AnnotationFile,
    images_folder: str | os.PathLike,
    orientation: Literal["auto"] | Orientation = "auto",
    report: Report = print,
) -> KeypointSamples:
    """The persons to train on, or to be judged on in their true boxes, by COCO's official rules.

    A person needs a labelled keypoint, an area, a box inside the picture and a readable picture,
    and must be no crowd. Keypoints outside the picture become unlabelled: a crop cannot show them.

    Args:
        orientation: see `kptkit.data.picture_sizes.with_readable_images`.
        report: gets one line for each kind of thing left out.

    Raises:
        InputError: nobody is left, too many pictures cannot be read, or the sizes of pictures are
            not those of the file.
    """
    annotations = coco.annotations["annotations"]
    persons = [a for a in annotations if is_labelled(a) and a["area"] > 0]
    boxes_xywh = np.array([a["bbox"] for a in persons], np.float64).reshape(-1, 4)
    person_wh = picture_sizes(coco, persons)
    if coco.boxes_may_leave:
        boxes_xyxy = boxes.from_xywh(boxes_xywh)
    else:
        boxes_xyxy = clean_boxes(boxes_xywh, person_wh)
    usable = _is_usable(boxes_xywh, boxes_xyxy, person_wh)
    if not usable.any():
        raise InputError(f"{coco.path}: annotations: no usable person with labelled keypoints")
    persons = list(compress(persons, usable))
    keypoints = np.array([a["keypoints"] for a in persons], np.float32)
    keypoints = keypoints.reshape(-1, coco.schema.num_keypoints, 3)
    outside = (keypoints[..., 2] > 0) & ~is_inside(keypoints, person_wh[usable])
    keypoints[outside, 2] = 0
    report(
        f"{coco.path}: {len(persons)} persons of {len(annotations)} annotations; the others are "
        f"crowds, unlabelled or without a usable box; {np.sum(outside)} keypoints lie outside "
        "their pictures"
    )
    samples = KeypointSamples(
        schema=coco.schema,
        **_image_columns(coco, images_folder, [a["image_id"] for a in persons]),
        sample_ids=np.array([a["id"] for a in persons], np.int64),
        boxes_xyxy=boxes_xyxy[usable].astype(np.float32),
        keypoints=keypoints,
        box_scores=np.ones(len(persons), np.float32),
        protocol=coco.protocol,
        reference_lengths=_reference_lengths(persons),
    )
    return with_readable_images(samples, orientation, coco.path, report)


def _reference_lengths(persons: list[dict[str, Any]]) -> np.ndarray | None:
    """The column of `KeypointSamples`: NaN for persons without, None where nobody has one."""
    lengths = np.array([a.get("reference_length", np.nan) for a in persons], np.float32)
    return None if np.isnan(lengths).all() else lengths


def _image_columns(
    coco: AnnotationFile, images_folder: str | os.PathLike, image_ids: Sequence[int]
) -> dict[str, Any]:
    """The columns of `KeypointSamples` about images, those named by `image_ids`, one per person."""
    by_id = {image["id"]: image for image in coco.annotations["images"]}
    used, image_index = np.unique(np.array(image_ids, np.int64), return_inverse=True)
    images = [by_id[image_id] for image_id in used.tolist()]
    folder = os.fsdecode(images_folder)
    return {
        "image_paths": tuple(os.path.join(folder, image["file_name"]) for image in images),
        "image_ids": used,
        "image_wh": np.array([(i["width"], i["height"]) for i in images], np.int32),
        "image_index": image_index,
    }


def is_inside(keypoints: np.ndarray, image_wh: np.ndarray) -> np.ndarray:
    """Which keypoints (N, K, 3) lie in pictures (N, 2), by either of two conventions.

    With pixel centres at whole numbers a picture begins at -0.5; tools that count from its edge
    place its end at its width.
    """
    points = keypoints[..., :2]
    return ((points >= -0.5) & (points <= image_wh[:, None])).all(axis=-1)


def _is_usable(boxes_xywh: np.ndarray, cleaned: np.ndarray, image_wh: np.ndarray) -> np.ndarray:
    """Which persons have a box: not inverted, overlapping the picture, more than one pixel."""
    low, high = boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]
    overlaps = (boxes_xywh[:, 2:] > 0) & (low < image_wh) & (high > 0)
    sides = cleaned[:, 2:] - cleaned[:, :2]
    return overlaps.all(axis=1) & (sides >= 0).all(axis=1) & (sides > 0).any(axis=1)


def detection_samples(
    coco: AnnotationFile,
    detections_json: str | Path,
    images_folder: str | os.PathLike,
    orientation: Literal["auto"] | Orientation = "auto",
    report: Report = print,
) -> KeypointSamples:
    """Detected boxes to be judged on, unlabelled; as in the official code they are not cleaned.

    Args:
        detections_json: COCO detection results, a list of objects with ``image_id``,
            ``category_id``, ``bbox`` and ``score``. Other categories, and images that `coco` does
            not list, are left out. The sample id is the place in this list.

    Raises:
        InputError: as `coco_samples`, or a detection is malformed.
    """
    detections = read_json(detections_json, without=("segmentation",))
    if not isinstance(detections, list):
        raise InputError(f"{detections_json}: {type(detections).__name__}; expected a list")
    image_ids = {image["id"] for image in coco.annotations["images"]}
    category_id = coco.annotations["categories"][0]["id"]
    faults: Counter[Fault] = Counter()
    kept = []
    for index, detection in enumerate(detections):
        found = list(detection_faults(index, detection, image_ids, category_id))
        faults.update(found)
        if not found:
            kept.append(index)
    stop_at(faults, len(kept), detections_json)
    for line in fault_notices(faults, detections_json):
        report(line)
    if not kept:
        raise InputError(
            f"{detections_json}: no detection of category {category_id} on an image of {coco.path}"
        )
    columns = _image_columns(coco, images_folder, [detections[i]["image_id"] for i in kept])
    boxes_xyxy = boxes.from_xywh(np.array([detections[i]["bbox"] for i in kept]))
    samples = KeypointSamples(
        schema=coco.schema,
        **columns,
        sample_ids=np.array(kept, np.int64),
        boxes_xyxy=boxes_xyxy.astype(np.float32),
        keypoints=np.zeros((len(kept), coco.schema.num_keypoints, 3), np.float32),
        box_scores=np.array([detections[i]["score"] for i in kept], np.float32),
    )
    return with_readable_images(samples, orientation, coco.path, report)
