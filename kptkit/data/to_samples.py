"""Samples to train on and to evaluate on, from an annotation file of any format."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kptkit.data.formats.box_faults import detected_box_faults
from kptkit.data.formats.document import (
    AnnotationFile,
    fault_notices,
    image_wh_of,
    is_labelled,
    refuse_faults,
)
from kptkit.data.formats.faults import Fault, detection_faults
from kptkit.data.picture_sizes import with_readable_images
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.reading import read_json
from kptkit.samples import KeypointSamples, Orientation
from kptkit.wording import counted, say


def keypoint_samples(
    file: AnnotationFile,
    images_folder: str | os.PathLike,
    orientation: Literal["auto"] | Orientation = "auto",
    report: Callable[[str], None] = say,
) -> KeypointSamples:
    """The persons to train on, or to evaluate on in their ground-truth boxes, by COCO's rules.

    A person must have a labelled keypoint, an area, a box inside the image and a readable image,
    and must not be a crowd. Keypoints outside the image become unlabelled, since no crop shows
    them.

    Args:
        orientation: see `kptkit.data.picture_sizes.with_readable_images`.
        report: called with one line for each kind of thing left out.

    Raises:
        InputError: no person remains, too many images cannot be read, or the images' sizes are not
            those that the file states.
    """
    annotations = file.annotations["annotations"]
    persons, boxes_xyxy = usable_persons(file)
    keypoints = np.array([a["keypoints"] for a in persons], np.float32)
    keypoints = keypoints.reshape(-1, file.schema.num_keypoints, 3)
    outside = (keypoints[..., 2] > 0) & ~keypoints_inside(keypoints, image_wh_of(file, persons))
    keypoints[outside, 2] = 0
    report(f"{file.path}: {_used(len(persons), len(annotations), int(np.sum(outside)))}")
    samples = KeypointSamples(
        schema=file.schema,
        **_image_columns(file, images_folder, [a["image_id"] for a in persons]),
        sample_ids=np.array([a["id"] for a in persons], np.int64),
        boxes_xyxy=boxes_xyxy.astype(np.float32),
        keypoints=keypoints,
        box_scores=np.ones(len(persons), np.float32),
        protocol=file.protocol,
        reference_lengths=_reference_lengths(persons),
    )
    return with_readable_images(samples, orientation, file.path, report, images_folder)


def usable_persons(file: AnnotationFile) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The annotations of N persons that can be trained on, and their boxes (N, 4) x1 y1 x2 y2.

    Raises:
        InputError: there is none; the message says why.
    """
    annotations = file.annotations["annotations"]
    labelled = [a for a in annotations if is_labelled(a)]
    persons = [a for a in labelled if a["area"] > 0]
    boxes_xywh = np.array([a["bbox"] for a in persons], np.float64).reshape(-1, 4)
    person_wh = image_wh_of(file, persons)
    if file.boxes_may_leave:
        boxes_xyxy = boxes.from_xywh(boxes_xywh)
    else:
        boxes_xyxy = clean_boxes(boxes_xywh, person_wh)
    usable = _has_usable_box(boxes_xywh, boxes_xyxy, person_wh)
    if not usable.any():
        raise InputError(
            f"{file.path}: annotations: no usable person with labelled keypoints: of "
            f"{len(annotations)}, {len(labelled)} are single and labelled, {len(persons)} of these "
            "have an area, and none a box of more than a pixel in its picture"
        )
    return list(compress(persons, usable)), boxes_xyxy[usable]


def _used(persons: int, annotations: int, outside: int) -> str:
    """What is used of a file, in words."""
    said = f"{counted(persons, 'person')} of {counted(annotations, 'annotation')}"
    if annotations > persons:
        said += "; the others are crowds, unlabelled or without a usable box"
    if outside:
        lie = "lies outside its picture" if outside == 1 else "lie outside their pictures"
        said += f"; {counted(outside, 'keypoint')} {lie}"
    return said


def detection_samples(
    file: AnnotationFile,
    detections_json: str | Path,
    images_folder: str | os.PathLike,
    orientation: Literal["auto"] | Orientation = "auto",
    report: Callable[[str], None] = say,
) -> KeypointSamples:
    """Detected boxes to evaluate on, without keypoints; not cleaned, as in HRNet's official code.

    Args:
        file: the ground truth.
        detections_json: COCO detection results, a list of objects with ``image_id``,
            ``category_id``, ``bbox`` and ``score``. Other categories, and images that `file` does
            not list, are left out. The sample id is the index in this list.
        orientation: see `kptkit.data.picture_sizes.with_readable_images`.
        report: called with one line for each kind of thing left out.

    Raises:
        InputError: as `keypoint_samples`, or a detection is malformed.
    """
    detections = read_json(detections_json, without=("segmentation",))
    if not isinstance(detections, list):
        raise InputError(f"{detections_json}: {type(detections).__name__}; expected a list")
    images = {image["id"]: image for image in file.annotations["images"]}
    category = file.annotations["categories"][0]
    category_ids = (category["id"], *category.get("merged_ids", ()))
    faults: Counter[Fault] = Counter()
    kept = []
    for index, detection in enumerate(detections):
        found = list(detection_faults(index, detection, images, category_ids))
        faults.update(found)
        if not found:
            kept.append(index)
    faults.update(detected_box_faults([detections[index] for index in kept], images))
    refuse_faults(faults, len(kept), detections_json)
    for line in fault_notices(faults, detections_json):
        report(line)
    if not kept:
        raise InputError(
            f"{detections_json}: no detection of category {category_ids[0]} on an image of "
            f"{file.path}"
        )
    boxes_xyxy = boxes.from_xywh(np.array([detections[i]["bbox"] for i in kept]))
    samples = KeypointSamples(
        schema=file.schema,
        **_image_columns(file, images_folder, [detections[i]["image_id"] for i in kept]),
        sample_ids=np.array(kept, np.int64),
        boxes_xyxy=boxes_xyxy.astype(np.float32),
        keypoints=np.zeros((len(kept), file.schema.num_keypoints, 3), np.float32),
        box_scores=np.array([detections[i]["score"] for i in kept], np.float32),
    )
    return with_readable_images(samples, orientation, file.path, report, images_folder)


def clean_boxes(boxes_xywh: np.ndarray, image_wh: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) x y w h, cut to images (N, 2) as in HRNet's official code: x1 y1 x2 y2.

    The corners are the first and the last pixel, so their distance is the width minus one. A box
    that begins left of or above the image is first moved inside, then cut. Boxes that lie outside
    come back inverted.
    """
    low = np.maximum(boxes_xywh[:, :2], 0)
    high = np.minimum(image_wh - 1, low + np.maximum(boxes_xywh[:, 2:] - 1, 0))
    return np.concatenate([low, high], axis=1)


def _has_usable_box(
    boxes_xywh: np.ndarray, cleaned_xyxy: np.ndarray, image_wh: np.ndarray
) -> np.ndarray:
    """(N,) bool: boxes that are not inverted, overlap the image and exceed one pixel."""
    low, high = boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]
    overlaps = (boxes_xywh[:, 2:] > 0) & (low < image_wh) & (high > 0)
    sides = cleaned_xyxy[:, 2:] - cleaned_xyxy[:, :2]
    return overlaps.all(axis=1) & (sides >= 0).all(axis=1) & (sides > 0).any(axis=1)


def keypoints_inside(keypoints: np.ndarray, image_wh: np.ndarray) -> np.ndarray:
    """(N, K) bool: which keypoints (N, K, 3) lie in images (N, 2), by either pixel convention.

    With pixel centres at whole numbers an image begins at -0.5; in tools that count from the
    image's edge it ends at its width.
    """
    points = keypoints[..., :2]
    return np.all((points >= -0.5) & (points <= image_wh[:, None]), axis=-1)


def _reference_lengths(persons: list[dict[str, Any]]) -> np.ndarray | None:
    """(N,) float32, NaN for persons without a reference length; None if no person has one."""
    lengths = np.array([a.get("reference_length", np.nan) for a in persons], np.float32)
    return None if np.isnan(lengths).all() else lengths


def _image_columns(
    file: AnnotationFile, images_folder: str | os.PathLike, image_ids: Sequence[int]
) -> dict[str, Any]:
    """The fields of `KeypointSamples` about images, from the image id of each person."""
    by_id = {image["id"]: image for image in file.annotations["images"]}
    used, image_index = np.unique(np.array(image_ids, np.int64), return_inverse=True)
    images = [by_id[image_id] for image_id in used.tolist()]
    folder = os.fsdecode(images_folder)
    return {
        "image_paths": tuple(os.path.join(folder, image["file_name"]) for image in images),
        "image_ids": used,
        "image_wh": np.array([(i["width"], i["height"]) for i in images], np.int32),
        "image_index": image_index,
    }
