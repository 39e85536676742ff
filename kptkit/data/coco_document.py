"""The outer form of a COCO keypoints file: its three lists and the category that has keypoints."""

from pathlib import Path
from typing import Any

from kptkit.data.coco_faults import is_id
from kptkit.data.json_files import read_json, shown
from kptkit.errors import InputError


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
