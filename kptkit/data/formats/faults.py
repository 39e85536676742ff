"""Checks of the images, annotations and detections of COCO keypoint files.

Each check yields the faults it finds and changes nothing, so all faults of a file can be listed.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

from kptkit.reading import shown
from kptkit.wording import one_line

# No picture is larger; within these limits float32 and int32 stay finite.
LARGEST_COORDINATE = 1e6
LARGEST_SIDE = 1_000_000
# In bytes: longer names exist on no system, and longer paths in no data set.
_LONGEST_NAME, _LONGEST_PATH = 255, 1024
_LARGEST_ID = 2**63 - 1

# Assumed area of a person relative to their box, for files without areas.
AREA_OF_BOX = 0.53
# A person's area in square pixels is at least this, unless the tool that wrote it knew none.
_SMALLEST_AREA = 1.0
# How many times its box an area may be; segments reach to the middle of the border's pixels.
_LARGEST_AREA_OF_BOX = 1.5


@dataclass(frozen=True)
class Fault:
    """One fault of a file.

    Attributes:
        level: "error": the file cannot be used; "skip": the annotation or picture is left out;
            "notice": the fault is corrected.
        where: field and id, as in ``annotations[12].bbox (id 345)``; notices name only the field,
            so that equal ones are counted together.
        what: what was found, and what was expected or done.
    """

    level: Literal["error", "skip", "notice"]
    where: str
    what: str

    def __str__(self) -> str:
        return one_line(f"{self.where}: {self.what}")


def is_id(value: Any) -> bool:
    """Whether a value can be an id: a whole number from 0 to 2**63 - 1."""
    return type(value) is int and 0 <= value <= _LARGEST_ID


def is_numbers(value: Any, count: int) -> TypeGuard[list[float]]:
    """Whether a value is a list of `count` finite numbers of a size that pixels can have."""
    return (
        isinstance(value, list)
        and len(value) == count
        and all(type(n) in (int, float) and abs(n) <= LARGEST_COORDINATE for n in value)
    )


def is_size(numbers: Iterable[float]) -> bool:
    """Whether all numbers can be the width or height of a picture in pixels."""
    return all(1 <= number <= LARGEST_SIDE and number % 1 == 0 for number in numbers)


def image_faults(index: int, image: Any, known: Mapping[int, Any]) -> Iterator[Fault]:
    """The faults of ``images[index]``; `known` maps the ids of earlier images to these images."""
    where = f"images[{index}]"
    if not isinstance(image, dict):
        yield Fault("error", where, f"{type(image).__name__}; expected an object")
        return
    if not is_id(image.get("id")):
        yield Fault("error", f"{where}.id", f"{shown(image, 'id')}; expected a whole number from 0")
        return
    label = f"(id {image['id']})"
    if image["id"] in known:
        names = f"{shown(image, 'file_name')} and {shown(known[image['id']], 'file_name')}"
        yield Fault("error", f"{where}.id {label}", f"{names} have the same id; expected one each")
    for side in ("width", "height"):
        value = image.get(side)
        if not (type(value) is int and 1 <= value <= LARGEST_SIDE):
            expected = "expected the picture's size in pixels"
            yield Fault("error", f"{where}.{side} {label}", f"{shown(image, side)}; {expected}")
    if not is_file_name(image.get("file_name")):
        yield Fault(
            "error",
            f"{where}.file_name {label}",
            f"{shown(image, 'file_name')}; expected a path inside the folder of pictures",
        )


def is_file_name(name: Any) -> bool:
    """Whether a name is a relative path that stays inside its folder."""
    if not isinstance(name, str) or not name or "\0" in name or Path(name).anchor:
        return False
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    if len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME:
        return False
    return os.path.normpath(name).split(os.sep)[0] not in ("..", ".")


def category_fault(
    index: int, annotation: Any, own_ids: Collection[int], category_ids: Collection[int]
) -> Fault | None:
    """Why ``annotations[index]`` is not of the keypoint categories `own_ids`; None if it is."""
    where = f"annotations[{index}]"
    if not isinstance(annotation, dict):
        return Fault("error", where, f"{type(annotation).__name__}; expected an object")
    found = annotation.get("category_id")
    if not is_id(found) or found not in category_ids:
        label = f"(id {shown(annotation, 'id')})"
        expected = f"{shown(annotation, 'category_id')}; expected an id that categories lists"
        return Fault("error", f"{where}.category_id {label}", expected)
    if found not in own_ids:
        known = " or ".join(map(str, own_ids))
        return Fault("notice", "annotations.category_id", f"{found}, not {known}; left out")
    return None


def annotation_faults(
    index: int,
    annotation: Any,
    images: Mapping[int, dict[str, Any]],
    num_keypoints: int,
    known_ids: Collection[int],
) -> Iterator[Fault]:
    """The faults of ``annotations[index]``, an annotation of the keypoint category.

    Args:
        images: the valid images by id.
        known_ids: the ids of earlier annotations.
    """
    where = f"annotations[{index}]"
    if not is_id(annotation.get("id")):
        found = f"{shown(annotation, 'id')}; expected a whole number from 0"
        yield Fault("error", f"{where}.id", found)
        return
    label = f"(id {annotation['id']})"
    if annotation["id"] in known_ids:
        yield Fault("error", f"{where}.id {label}", "occurs twice; expected one annotation per id")
    if not is_id(annotation.get("image_id")):
        found = f"{shown(annotation, 'image_id')}; expected the id of an image"
        yield Fault("error", f"{where}.image_id {label}", found)
    elif annotation["image_id"] not in images:
        found = f"{annotation['image_id']}; images has no usable picture of that id"
        yield Fault("skip", f"{where}.image_id {label}", found)
    boxed = list(_box_faults(where, label, annotation, images))
    marked = list(_keypoint_faults(where, label, annotation, num_keypoints))
    yield from (*boxed, *marked, *_area_and_crowd_faults(where, label, annotation))
    if not any(fault.level == "error" for fault in (*boxed, *marked)):
        yield from _odd_area_faults(annotation)


def _box_faults(
    where: str, label: str, annotation: dict[str, Any], images: Mapping[int, dict[str, Any]]
) -> Iterator[Fault]:
    where = f"{where}.bbox {label}"
    if not is_numbers(annotation.get("bbox"), 4):
        found = f"{shown(annotation, 'bbox')}; expected [x, y, width, height] in pixels"
        yield Fault("error", where, found)
        return
    x, y, width, height = annotation["bbox"]
    if width <= 0 or height <= 0:
        yield Fault("skip", where, f"{annotation['bbox']}; expected a width and height above 0")
        return
    image = images.get(annotation["image_id"]) if is_id(annotation.get("image_id")) else None
    if image is None:
        return
    image_w, image_h = image["width"], image["height"]
    if x >= image_w or y >= image_h or x + width <= 0 or y + height <= 0:
        found = f"{annotation['bbox']} lies outside the picture of {image_w}x{image_h} pixels"
        yield Fault("skip", where, found)
    elif x < 0 or y < 0 or x + width > image_w + 1 or y + height > image_h + 1:
        found = "reaches beyond the picture by more than a pixel; clipped for training"
        yield Fault("notice", "annotations.bbox", found)


def _keypoint_faults(
    where: str, label: str, annotation: dict[str, Any], num_keypoints: int
) -> Iterator[Fault]:
    keypoints, stated = annotation.get("keypoints"), annotation.get("num_keypoints")
    if not keypoints and isinstance(keypoints, list | None):
        if stated:
            found = f"{shown(annotation, 'keypoints')}, but num_keypoints is "
            found += f"{shown(annotation, 'num_keypoints')}; expected {3 * num_keypoints} numbers"
            yield Fault("skip", f"{where}.keypoints {label}", found)
        else:
            found = "missing or empty; taken as a person without labelled keypoints"
            yield Fault("notice", "annotations.keypoints", found)
        return
    if not is_numbers(keypoints, 3 * num_keypoints):
        count = len(keypoints) if isinstance(keypoints, list) else None
        as_is = count in (None, 3 * num_keypoints)
        found = shown(annotation, "keypoints") if as_is else str(count)
        yield Fault(
            "error",
            f"{where}.keypoints {label}",
            f"{found}; expected {3 * num_keypoints} numbers, x, y and visibility of "
            f"{num_keypoints} keypoints",
        )
        return
    wrong = [v for v in keypoints[2::3] if v not in (0, 1, 2)]
    if wrong:
        found = f"visibility {wrong[0]}; expected 0 (unlabelled), 1 (hidden) or 2 (visible)"
        yield Fault("error", f"{where}.keypoints {label}", found)
        return
    cleaned = unlabel_origin(keypoints)
    if cleaned != keypoints:
        found = "labelled at (0, 0), the mark of an unlabelled keypoint; taken as unlabelled"
        yield Fault("notice", "annotations.keypoints", found)
    if stated is None:
        yield Fault("notice", "annotations.num_keypoints", "missing; counted from the keypoints")
    elif stated != sum(v > 0 for v in cleaned[2::3]):
        found = "disagrees with the keypoints' visibilities; counted again"
        yield Fault("notice", "annotations.num_keypoints", found)


def _odd_area_faults(annotation: dict[str, Any]) -> Iterator[Fault]:
    """Notices of areas that cannot be a person's in square pixels, beside a valid box."""
    area = annotation.get("area")
    if type(area) not in (int, float) or min(annotation["bbox"][2:]) <= 0:
        return
    if lacks_area(annotation):
        found = f"of a labelled person below 1 square pixel; {AREA_OF_BOX} of the box's is used"
        yield Fault("notice", "annotations.area", found)
    elif area > _LARGEST_AREA_OF_BOX * annotation["bbox"][2] * annotation["bbox"][3]:
        found = f"more than {_LARGEST_AREA_OF_BOX} of the box's; OKS and AP come out too high"
        yield Fault("notice", "annotations.area", found)


def lacks_area(annotation: dict[str, Any]) -> bool:
    """Whether a labelled person has a box, but the area of nothing: the tool knew none.

    Such a person would be left out of training and be missed by every prediction. In COCO's own
    files only crowds and persons without keypoints have so small areas.
    """
    area = annotation.get("area")
    _, _, width, height = annotation["bbox"]
    if area is None:
        return True
    labelled = any(v > 0 for v in unlabel_origin(annotation.get("keypoints") or [])[2::3])
    return labelled and not annotation.get("iscrowd") and area < _SMALLEST_AREA < width * height


def unlabel_origin(keypoints: list[float]) -> list[float]:
    """A flat list of x, y, visibility, in which keypoints at exactly (0, 0) become unlabelled."""
    triples = zip(keypoints[0::3], keypoints[1::3], keypoints[2::3], strict=True)
    return [n for x, y, v in triples for n in (x, y, v if x or y else 0)]


def _area_and_crowd_faults(where: str, label: str, annotation: dict[str, Any]) -> Iterator[Fault]:
    area, crowd = annotation.get("area"), annotation.get("iscrowd")
    if area is None:
        found = f"missing; {AREA_OF_BOX} of the box's area is used"
        yield Fault("notice", "annotations.area", found)
    elif not (type(area) in (int, float) and 0 <= area <= LARGEST_COORDINATE**2):
        found = f"{shown(annotation, 'area')}; expected the person's area in square pixels"
        yield Fault("error", f"{where}.area {label}", found)
    if crowd is None:
        yield Fault("notice", "annotations.iscrowd", "missing; taken as 0, one person")
    elif crowd not in (0, 1):
        found = f"{shown(annotation, 'iscrowd')}; expected 0 (one person) or 1 (a crowd)"
        yield Fault("error", f"{where}.iscrowd {label}", found)


def detection_faults(
    index: int, detection: Any, image_ids: Collection[int], category_ids: Collection[int]
) -> Iterator[Fault]:
    """The faults of element `index` of a list of COCO detection results."""
    where = f"[{index}]"
    if not isinstance(detection, dict):
        yield Fault("error", where, f"{type(detection).__name__}; expected an object")
        return
    for field in ("image_id", "category_id"):
        if not is_id(detection.get(field)):
            expected = f"{shown(detection, field)}; expected a whole number from 0"
            yield Fault("error", f"{where}.{field}", expected)
            return
    if detection["category_id"] not in category_ids:
        known = " or ".join(map(str, category_ids))
        yield Fault("notice", "category_id", f"not {known}, the keypoint category; left out")
    if detection["image_id"] not in image_ids:
        yield Fault("notice", "image_id", "no image of the annotation file; left out")
    if not is_numbers([detection.get("score")], 1):
        yield Fault("error", f"{where}.score", f"{shown(detection, 'score')}; expected a number")
    if not is_numbers(detection.get("bbox"), 4):
        found = f"{shown(detection, 'bbox')}; expected [x, y, width, height] in pixels"
        yield Fault("error", f"{where}.bbox", found)
    elif min(detection["bbox"][2:]) <= 0:
        found = f"{detection['bbox']}; expected a width and height above 0"
        yield Fault("skip", f"{where}.bbox", found)
