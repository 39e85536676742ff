"""The parts of a COCO keypoints document: its lists, its keypoint category, and what is sound."""

from collections import Counter
from pathlib import Path
from typing import Any

from kptkit.data.formats.faults import (
    AREA_OF_BOX,
    Fault,
    annotation_faults,
    category_fault,
    image_faults,
    is_id,
    unlabel_origin,
)
from kptkit.errors import InputError
from kptkit.reading import read_json, shown


def read_lists(path: str | Path) -> tuple[list[Any], list[Any], list[dict[str, Any]]]:
    """The images, annotations and categories of a file; the categories are checked."""
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
            raise InputError(f"{path}: categories[{index}].id: {category['id']} stands twice")
        seen.add(category["id"])
    return lists[0], lists[1], lists[2]


def keypoint_category(
    categories: list[dict[str, Any]], wanted: str | None, path: str | Path
) -> dict[str, Any]:
    """The one category that has keypoints, or the one of the name `wanted`."""
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


def sound_images(images: list[Any], faults: Counter[Fault]) -> dict[int, dict[str, Any]]:
    """The faultless images by id; the faults of the others are added to `faults`."""
    sound: dict[int, dict[str, Any]] = {}
    for index, image in enumerate(images):
        found = list(image_faults(index, image, sound))
        faults.update(found)
        if not found:
            sound[image["id"]] = image
    return sound


def sound_annotations(
    annotations: list[Any],
    images: dict[int, dict[str, Any]],
    category: dict[str, Any],
    categories: list[dict[str, Any]],
    faults: Counter[Fault],
) -> list[dict[str, Any]]:
    """The annotations of `category` without errors, completed; faults are added to `faults`."""
    category_ids = {item["id"] for item in categories}
    num_keypoints = len(category["keypoints"])
    sound = {}
    for index, annotation in enumerate(annotations):
        fault = category_fault(index, annotation, category["id"], category_ids)
        if fault is not None:
            faults[fault] += 1
            continue
        found = list(annotation_faults(index, annotation, images, num_keypoints, sound))
        faults.update(found)
        is_sound = all(fault.level != "error" for fault in found)
        if is_sound and annotation["image_id"] in images:
            sound[annotation["id"]] = _completed(annotation)
    return list(sound.values())


def _completed(annotation: dict[str, Any]) -> dict[str, Any]:
    """A sound annotation with what labelling tools leave out."""
    keypoints = unlabel_origin(annotation["keypoints"])
    _, _, width, height = annotation["bbox"]
    area = annotation.get("area")
    return annotation | {
        "keypoints": keypoints,
        "num_keypoints": sum(v > 0 for v in keypoints[2::3]),
        "area": max(AREA_OF_BOX * width * height, 0.0) if area is None else area,
        "iscrowd": int(annotation.get("iscrowd") or 0),
    }
