"""COCO keypoint files (https://cocodataset.org/#format-data), checked and completed.

Labelling tools omit some of the fields; those that can be derived are, with one notice per kind.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from kptkit.data.formats.document import AnnotationFile, fault_notices, refuse_faults
from kptkit.data.formats.faults import (
    AREA_OF_BOX,
    Fault,
    annotation_faults,
    category_fault,
    corner_box_faults,
    image_faults,
    is_id,
    unlabel_origin,
)
from kptkit.errors import InputError
from kptkit.reading import read_json, shown
from kptkit.skeletons.from_category import schema_from_category
from kptkit.skeletons.schema import KeypointSchema


def load_coco(path: str | Path, category: str | None = None) -> AnnotationFile:
    """Reads a COCO keypoints file.

    Args:
        category: name of the category to read, if several have keypoints.

    Raises:
        InputError: the file cannot be used; the message names the first fault and counts the rest.
    """
    coco, faults = inspect_coco(path, category)
    hint = f"kptkit data check {path} lists every fault"
    refuse_faults(faults, len(coco.annotations["annotations"]), path, hint)
    return coco


def inspect_coco(
    path: str | Path, category: str | None = None, schema: KeypointSchema | None = None
) -> tuple[AnnotationFile, Counter[Fault]]:
    """The valid part of a COCO keypoints file, and how often each fault occurs in it.

    Args:
        category: name of the category to read, if several have keypoints.
        schema: the keypoints, if the file does not name them.

    Raises:
        InputError: it is not a COCO keypoints file at all.
    """
    image_list, annotation_list, categories = _read_lists(path)
    notices: list[str] = []
    if schema is not None:
        categories = [c | {"keypoints": list(schema.names), "skeleton": []} for c in categories]
    chosen = _keypoint_category(categories, category, path)
    if schema is None:
        source = f"{path}: category {shown(chosen, 'name')}"
        schema, notices = schema_from_category(chosen, source)
    faults: Counter[Fault] = Counter()
    images = _valid_images(image_list, faults)
    annotations = _valid_annotations(annotation_list, images, chosen, categories, faults)
    faults.update(corner_box_faults(annotations, images))
    if not annotations:
        faults[Fault("error", "annotations", "no valid one; expected at least one person")] += 1
    document = {
        "info": {},
        "images": list(images.values()),
        "annotations": annotations,
        "categories": [chosen],
    }
    notices += fault_notices(faults, path)
    return AnnotationFile(str(path), document, schema, tuple(notices)), faults


def _read_lists(path: str | Path) -> tuple[list[Any], list[Any], list[dict[str, Any]]]:
    """The images, annotations and categories of a file; only the categories are checked."""
    document = read_json(path, without=("segmentation",))
    if not isinstance(document, dict):
        found = f"{path}: a {type(document).__name__} at the top level"
        raise InputError(f"{found}; expected a COCO object with images, annotations and categories")
    lists = []
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise InputError(f"{path}: {key}: {shown(document, key)}; expected a list")
        lists.append(document[key])
    seen: set[int] = set()
    for index, category in enumerate(lists[2]):
        if not isinstance(category, dict) or not is_id(category.get("id")):
            raise InputError(
                f"{path}: categories[{index}]: expected an object with a whole number as id"
            )
        if category["id"] in seen:
            raise InputError(f"{path}: categories[{index}].id: {category['id']} occurs twice")
        seen.add(category["id"])
    return lists[0], lists[1], lists[2]


def _keypoint_category(
    categories: list[dict[str, Any]], wanted: str | None, path: str | Path
) -> dict[str, Any]:
    """The only category that has keypoints, or the one named `wanted`."""
    with_keypoints = [category for category in categories if category.get("keypoints")]
    names = ", ".join(shown(category, "name") for category in with_keypoints)
    if not with_keypoints:
        raise InputError(
            f"{path}: categories: none has keypoints; expected a list of their names, as in "
            '{"id": 1, "name": "person", "keypoints": ["nose", "left_eye"]}'
        )
    if wanted is None and len(with_keypoints) > 1:
        raise InputError(
            f"{path}: categories: {names} have keypoints; choose one with --data.category NAME"
        )
    chosen = [c for c in with_keypoints if wanted is None or c.get("name") == wanted]
    if len(chosen) != 1:
        raise InputError(f"{path}: --data.category {wanted}: expected one of {names}")
    return chosen[0]


def _valid_images(images: list[Any], faults: Counter[Fault]) -> dict[int, dict[str, Any]]:
    """The images without faults, by id; the faults of the others are added to `faults`."""
    valid: dict[int, dict[str, Any]] = {}
    for index, image in enumerate(images):
        found = list(image_faults(index, image, valid))
        faults.update(found)
        if not found:
            valid[image["id"]] = image
    return valid


def _valid_annotations(
    annotations: list[Any],
    images: dict[int, dict[str, Any]],
    category: dict[str, Any],
    categories: list[dict[str, Any]],
    faults: Counter[Fault],
) -> list[dict[str, Any]]:
    """The annotations of `category` without errors, completed; faults are added to `faults`."""
    category_ids = {item["id"] for item in categories}
    num_keypoints = len(category["keypoints"])
    valid: dict[int, dict[str, Any]] = {}
    for index, annotation in enumerate(annotations):
        fault = category_fault(index, annotation, category["id"], category_ids)
        if fault is not None:
            faults[fault] += 1
            continue
        found = list(annotation_faults(index, annotation, images, num_keypoints, valid))
        faults.update(found)
        has_error = any(fault.level == "error" for fault in found)
        if not has_error and annotation["image_id"] in images:
            valid[annotation["id"]] = _completed(annotation)
    return list(valid.values())


def _completed(annotation: dict[str, Any]) -> dict[str, Any]:
    """A valid annotation with the fields that labelling tools omit."""
    keypoints = unlabel_origin(annotation["keypoints"])
    _, _, width, height = annotation["bbox"]
    area = annotation.get("area")
    return annotation | {
        "keypoints": keypoints,
        "num_keypoints": sum(v > 0 for v in keypoints[2::3]),
        "area": max(AREA_OF_BOX * width * height, 0.0) if area is None else area,
        "iscrowd": int(annotation.get("iscrowd") or 0),
    }
