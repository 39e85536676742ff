"""COCO keypoint files (https://cocodataset.org/#format-data), checked and completed.

Labelling tools omit some of the fields; those that can be derived are, with one notice per kind.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from kptkit.data.formats.box_faults import form_faults
from kptkit.data.formats.document import AnnotationFile, fault_notices, refuse_faults
from kptkit.data.formats.faults import (
    AREA_OF_BOX,
    Fault,
    annotation_faults,
    category_fault,
    image_faults,
    is_id,
    lacks_area,
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
    same = _keypoint_categories(categories, category, path)
    chosen = same[0]
    if schema is None:
        source = f"{path}: category {shown(chosen, 'name')}"
        schema, notices = schema_from_category(chosen, source)
    if len(same) > 1:
        chosen = chosen | {"merged_ids": [c["id"] for c in same[1:]]}
        notices.append(
            f"{path}: categories: {_names(same)} have the same keypoints and are read as one; "
            "--data.category (kptkit data check: --category) chooses one"
        )
    faults: Counter[Fault] = Counter()
    images = _valid_images(image_list, faults)
    annotations = _valid_annotations(annotation_list, images, chosen, categories, faults)
    faults.update(form_faults(annotations, images))
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


def _keypoint_categories(
    categories: list[dict[str, Any]], wanted: str | None, path: str | Path
) -> list[dict[str, Any]]:
    """The categories that have keypoints, the same ones in the same order; or those named `wanted`.

    Kinds of persons or animals often share their keypoints, as AP-10K's 54 do.
    """
    with_keypoints = [category for category in categories if category.get("keypoints")]
    names = _names(with_keypoints)
    if not with_keypoints:
        raise InputError(
            f"{path}: categories: none has keypoints; expected a list of their names, as in "
            '{"id": 1, "name": "person", "keypoints": ["nose", "left_eye"]}'
        )
    chosen = [c for c in with_keypoints if wanted is None or c.get("name") == wanted]
    if not chosen:
        raise InputError(f"{path}: --data.category {wanted}: expected one of {names}")
    if any(c["keypoints"] != chosen[0]["keypoints"] for c in chosen):
        advice = "choose one with --data.category NAME (kptkit data check: --category NAME)"
        if wanted is not None:
            advice = "expected one category of that name, or the same keypoints in all"
        raise InputError(f"{path}: categories: {names} have keypoints, not the same; {advice}")
    return chosen


def _names(categories: list[dict[str, Any]]) -> str:
    """The names of some categories, at most of 20, for messages."""
    names = ", ".join(shown(category, "name") for category in categories[:20])
    more = len(categories) - 20
    return f"{names} and {more} more" if more > 0 else names


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
    own_ids = (category["id"], *category.get("merged_ids", ()))
    num_keypoints = len(category["keypoints"])
    valid: dict[int, dict[str, Any]] = {}
    for index, annotation in enumerate(annotations):
        fault = category_fault(index, annotation, own_ids, category_ids)
        if fault is not None:
            faults[fault] += 1
            continue
        found = list(annotation_faults(index, annotation, images, num_keypoints, valid))
        faults.update(found)
        has_error = any(fault.level == "error" for fault in found)
        if not has_error and annotation["image_id"] in images:
            valid[annotation["id"]] = _completed(annotation, category)
    return list(valid.values())


def _completed(annotation: dict[str, Any], category: dict[str, Any]) -> dict[str, Any]:
    """A valid annotation with the fields that labelling tools omit."""
    unlabelled = [0.0] * 3 * len(category["keypoints"])
    keypoints = unlabel_origin(annotation.get("keypoints") or unlabelled)
    _, _, width, height = annotation["bbox"]
    area = AREA_OF_BOX * width * height if lacks_area(annotation) else annotation["area"]
    return annotation | {
        "category_id": category["id"],
        "keypoints": keypoints,
        "num_keypoints": sum(v > 0 for v in keypoints[2::3]),
        "area": max(area, 0.0),
        "iscrowd": int(annotation.get("iscrowd") or 0),
    }
