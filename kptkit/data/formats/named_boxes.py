"""Boxes of persons by the file name of their picture, from JSON."""

import os
from pathlib import Path

import numpy as np

from kptkit.data.formats.faults import is_numbers
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.reading import read_json


def boxes_by_name(path: Path) -> dict[str, np.ndarray]:
    """The boxes (N, 4), x1 y1 x2 y2, of every file name in a JSON file.

    Raises:
        InputError: the file is neither a COCO file nor a list of boxes with file names.
    """
    content = read_json(path)
    try:
        if isinstance(content, dict):
            names = {image["id"]: image["file_name"] for image in content["images"]}
            content = [a | {"file_name": names[a["image_id"]]} for a in content["annotations"]]
        persons = [(person["file_name"], person["bbox"]) for person in content]
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{path}: {error!r}; expected a COCO file, or a list of objects with file_name and bbox"
        ) from None
    found: dict[str, list] = {}
    for index, (name, bbox) in enumerate(persons):
        if not (isinstance(name, str) and is_numbers(bbox, 4) and min(bbox[2:]) > 0):
            raise InputError(
                f"{path}: [{index}]: file_name {name!r}, bbox {bbox!r}; expected a name and "
                "[x, y, width, height], the last two above 0"
            )
        found.setdefault(os.path.basename(name), []).append(bbox)
    return {name: boxes.from_xywh(np.array(rows)) for name, rows in found.items()}
