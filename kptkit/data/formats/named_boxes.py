"""Boxes of persons by their picture, from JSON: COCO files, COCO results, or lists with names."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kptkit.data.formats.faults import is_numbers
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.reading import read_json, shown
from kptkit.wording import counted

_EXPECTED = (
    "expected a COCO file, COCO results, or a list of objects with file_name and bbox "
    "[x, y, width, height]"
)
# The category of persons in COCO results, which name no categories.
_PERSON = 1


class NamedBoxes:
    """The boxes of persons in a file, which are asked for by the names of pictures.

    COCO results know pictures by their id only: it is the number at the end of a picture's name, as
    in COCO's own, such as 000000000139.jpg. Crowds and other categories than persons are left out.

    Args:
        least_score: boxes with a lower score are left out; those without one are not.

    Raises:
        InputError: the file is of no known form; the message names the place.
    """

    def __init__(self, path: str | Path, least_score: float = 0.0):
        self.path = path
        self.left_out: Counter[str] = Counter()
        """How many boxes are not used, by reason."""
        self._rows: dict[str | int, list[list[float]]] = {}
        for place, key, person in self._persons(read_json(path)):
            if not (is_numbers(person.get("bbox"), 4) and min(person["bbox"][2:]) > 0):
                raise InputError(
                    f"{path}: {place}.bbox: {shown(person, 'bbox')}; expected "
                    "[x, y, width, height] in pixels, the last two above 0"
                )
            score = person.get("score", 1)
            if not is_numbers([score], 1):
                raise InputError(f"{path}: {place}.score: {score!r}; expected a number")
            if score < least_score:
                self.left_out[f"below a score of {least_score:g}"] += 1
            elif person.get("iscrowd"):
                self.left_out["crowds"] += 1
            else:
                self._rows.setdefault(key, []).append(person["bbox"])

    def of(self, picture: str) -> np.ndarray:
        """The boxes (N, 4) float64, x1 y1 x2 y2, of a picture, by its name or the id in it."""
        name = os.path.basename(picture)
        digits = re.search(r"(\d+)$", os.path.splitext(name)[0])
        rows = self._rows.get(name, [])
        if not rows and digits:
            rows = self._rows.get(int(digits[1]), [])
        return boxes.from_xywh(np.array(rows).reshape(-1, 4))

    def check_pictures(self, pictures: Iterable[str]) -> None:
        """Checks that there are boxes for at least one of some pictures.

        Raises:
            InputError: there are none; the message says for which there are.
        """
        pictures = list(pictures)
        if any(len(self.of(picture)) for picture in pictures):
            return
        left = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        known = [ascii(key) for key in self._rows][:3]
        there = f"boxes are there for {', '.join(known)} and so on" if known else "it has no boxes"
        raise InputError(
            f"{self.path}: no box for {os.path.basename(pictures[0])!a}"
            + (f", nor for {counted(len(pictures) - 1, 'other picture')}" if pictures[1:] else "")
            + f"; {there}"
            + (f" (left out: {left})" if left else "")
        )

    def _persons(self, content: Any) -> Iterable[tuple[str, str | int, dict[str, Any]]]:
        """Each person with its place in the file, and the name or id of its picture."""
        if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
            yield from self._of_document(content)
            return
        if not isinstance(content, list):
            raise InputError(f"{self.path}: {type(content).__name__}; {_EXPECTED}")
        for index, person in enumerate(content):
            place = f"[{index}]"
            if not isinstance(person, dict):
                raise InputError(f"{self.path}: {place}: {type(person).__name__}; {_EXPECTED}")
            if isinstance(person.get("file_name"), str):
                yield place, os.path.basename(person["file_name"]), person
            elif "file_name" in person or not isinstance(person.get("image_id"), int):
                found = f"file_name {shown(person, 'file_name')}"
                raise InputError(
                    f"{self.path}: {place}: {found}, image_id {shown(person, 'image_id')}; "
                    f"{_EXPECTED}"
                )
            elif person.get("category_id", _PERSON) != _PERSON:
                self.left_out["of other categories"] += 1
            else:
                yield place, person["image_id"], person

    def _of_document(
        self, content: dict[str, Any]
    ) -> Iterable[tuple[str, str | int, dict[str, Any]]]:
        names, wanted = {}, self._categories(content)
        for index, image in enumerate(_objects(self.path, content, "images")):
            if not isinstance(image.get("id"), int | str) or not isinstance(
                image.get("file_name"), str
            ):
                raise InputError(
                    f"{self.path}: images[{index}]: id {shown(image, 'id')}, file_name "
                    f"{shown(image, 'file_name')}; expected both"
                )
            names[image["id"]] = os.path.basename(image["file_name"])
        for index, person in enumerate(_objects(self.path, content, "annotations")):
            place, image_id = f"annotations[{index}]", person.get("image_id")
            if not isinstance(image_id, int | str) or image_id not in names:
                raise InputError(
                    f"{self.path}: {place}.image_id: {shown(person, 'image_id')}; expected an id "
                    "that images lists"
                )
            if wanted is None or person.get("category_id") in wanted:
                yield place, names[image_id], person
            else:
                self.left_out["of other categories"] += 1

    def _categories(self, content: dict[str, Any]) -> list[Any] | None:
        """The ids of the categories of persons; None: all, there is only one or they are unnamed.

        Raises:
            InputError: of several categories none is called person or has keypoints.
        """
        if "categories" not in content:
            return None
        categories = _objects(self.path, content, "categories")
        if len(categories) < 2:
            return None
        for is_person in (
            lambda category: str(category.get("name")).lower() == "person",
            lambda category: bool(category.get("keypoints")),
        ):
            if found := [category.get("id") for category in categories if is_person(category)]:
                return found
        names = ", ".join(shown(category, "name") for category in categories[:5])
        raise InputError(
            f"{self.path}: categories: {names}; expected one of several to be called person, or to "
            "have keypoints"
        )


def _objects(path: str | Path, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects under a key of a document."""
    found = content[key]
    if not isinstance(found, list):
        raise InputError(f"{path}: {key}: {type(found).__name__}; expected a list")
    for index, one in enumerate(found):
        if not isinstance(one, dict):
            raise InputError(f"{path}: {key}[{index}]: {type(one).__name__}; expected an object")
    return found
