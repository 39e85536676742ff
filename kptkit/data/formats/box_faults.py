"""Files whose boxes or keypoints are of another form than COCO's: told by comparing the two.

A box that a tool wrote as centre and size, as corners, as shares of its picture or with exchanged
axes is a valid box of another place. It shows in a whole file: most persons' keypoints lie beside
their boxes, most boxes leave their pictures, or everything lies within the first pixel.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from kptkit.data.formats.faults import Fault

# If a larger share of the boxes makes sense only as corners, the file's boxes are corners.
_CORNER_SHARE = 0.2
# If a larger share of the persons is odd, the file is. Up to the second is usual (COCO: 0.01).
_ODD_SHARE, _TOLD_SHARE = 0.5, 0.05
# The share of persons that another reading must explain to be suggested.
_EXPLAINED_SHARE = 0.9
# How far keypoints may lie outside their box, as a share of its sides.
_MARGIN = 0.1
# A person with fewer labelled keypoints says little about the box.
_FEWEST_KEYPOINTS = 2

_EXPECTED = "expected [x, y, width, height] in pixels, from the left and upper edge"


class _Person(NamedTuple):
    box: np.ndarray  # (4,), as written
    points: np.ndarray  # (K, 2), the labelled ones
    image_wh: np.ndarray  # (2,)


# What else four numbers may be: each as left, upper, right and lower edge.
_READINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the centre's x and y, width, height": lambda b: np.concatenate(
        [b[:2] - b[2:] / 2, b[:2] + b[2:] / 2]
    ),
    "x and y less half the size, as made from a centre that was the corner": lambda b: (
        np.concatenate([b[:2] + b[2:] / 2, b[:2] + b[2:] * 1.5])
    ),
    "x1, y1, x2, y2": lambda b: b,
    "y, x, height, width": lambda b: np.concatenate([b[1::-1], (b[:2] + b[2:])[::-1]]),
    "y1, x1, y2, x2": lambda b: b[[1, 0, 3, 2]],
}


def form_faults(
    annotations: Collection[dict[str, Any]], images: Mapping[int, dict[str, Any]]
) -> Iterator[Fault]:
    """An error if the boxes or keypoints of valid annotations are most likely of another form."""
    where = "annotations.bbox"
    found = list(_share_faults(annotations, where)) or list(keypoint_faults(annotations, images))
    yield from found
    if not any(fault.level == "error" for fault in found):
        yield from _corner_faults(annotations, images, where)


def detected_box_faults(
    detections: Collection[dict[str, Any]], images: Mapping[int, dict[str, Any]]
) -> Iterator[Fault]:
    """An error if the boxes of valid detections are most likely corners or shares of pictures."""
    yield from _share_faults(detections, "bbox")
    yield from _corner_faults(detections, images, "bbox")


def keypoint_faults(
    annotations: Collection[dict[str, Any]],
    images: Mapping[int, dict[str, Any]],
    stated_boxes: bool = True,
) -> Iterator[Fault]:
    """An error if the keypoints of most persons are shares of the picture or beside their boxes.

    Args:
        stated_boxes: whether the boxes are those of the file, not made from other numbers of it.
    """
    persons = list(_persons(annotations, images))
    if not persons:
        return
    in_shares = sum((p.points <= 1).all() and (p.points >= 0).all() for p in persons)
    if in_shares > _ODD_SHARE * len(persons):
        found = f"those of {in_shares} of {len(persons)} persons lie within 0 to 1"
        yield Fault("error", "annotations.keypoints", f"{found}; expected x and y in pixels")
        return
    beside = [p for p in persons if not _holds_most(p, _as_written(p))]
    found = f"{len(beside)} of {len(persons)} have most of their person's keypoints outside"
    if len(beside) > _ODD_SHARE * len(persons):
        better = _explaining(persons) if stated_boxes else ""
        hint = f"; they fit as {better}" if better else ""
        expected = _EXPECTED if stated_boxes else "expected positions and keypoints in pixels"
        yield Fault("error", "annotations.bbox", f"{found}{hint}; {expected}")
    elif len(beside) > _TOLD_SHARE * len(persons):
        yield Fault("notice", "annotations.bbox", f"{found}; crops are cut by the boxes")


def _share_faults(boxes: Collection[dict[str, Any]], where: str) -> Iterator[Fault]:
    """An error if most boxes of annotations or detections lie within their first pixel."""
    shares = sum(min(b["bbox"][:2]) >= 0 and max(b["bbox"]) <= 1 for b in boxes)
    if shares > _ODD_SHARE * len(boxes):
        found = f"{shares} of {len(boxes)} lie within 0 to 1, as shares of the picture do"
        yield Fault("error", where, f"{found}; {_EXPECTED}")


def _corner_faults(
    boxes: Collection[dict[str, Any]], images: Mapping[int, dict[str, Any]], where: str
) -> Iterator[Fault]:
    """An error if boxes of annotations or detections leave their pictures, unless as corners."""
    corners = 0
    for entry in boxes:
        (x, y, width, height), image = entry["bbox"], images[entry["image_id"]]
        leaves = x + width > image["width"] + 1 or y + height > image["height"] + 1
        fits = x < width <= image["width"] + 1 and y < height <= image["height"] + 1
        if leaves and fits:
            persons = _persons([entry], images) if "keypoints" in entry else ()
            corners += all(_holds_most(p, p.box) for p in persons)
    if corners > _CORNER_SHARE * len(boxes):
        found = f"{corners} of {len(boxes)} leave their pictures but fit as x1, y1, x2, y2"
        yield Fault("error", where, f"{found}; {_EXPECTED}")


def _persons(
    annotations: Collection[dict[str, Any]], images: Mapping[int, dict[str, Any]]
) -> Iterator[_Person]:
    """The single persons with enough labelled keypoints to judge their boxes by."""
    for annotation in annotations:
        keypoints = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
        points = keypoints[keypoints[:, 2] > 0, :2]
        if len(points) < _FEWEST_KEYPOINTS or annotation["iscrowd"]:
            continue
        image = images[annotation["image_id"]]
        size, box = np.array([image["width"], image["height"]]), np.array(annotation["bbox"])
        # Boxes without area or outside their picture are reported one by one.
        if (box[2:] > 0).all() and (box[:2] < size).all() and (box[:2] + box[2:] > 0).all():
            yield _Person(box, points, size)


def _as_written(person: _Person) -> np.ndarray:
    return np.concatenate([person.box[:2], person.box[:2] + person.box[2:]])


def _holds_most(person: _Person, box_xyxy: np.ndarray) -> bool:
    """Whether at least half of a person's keypoints lie in a box, with a margin."""
    low, high = box_xyxy[:2], box_xyxy[2:]
    margin = _MARGIN * (high - low)
    inside = (person.points >= low - margin) & (person.points <= high + margin)
    return bool(inside.all(axis=1).mean() >= 0.5)


def _fits(person: _Person, box_xyxy: np.ndarray) -> bool:
    """Whether a box holds a person's keypoints and is not much larger than the picture."""
    sides = box_xyxy[2:] - box_xyxy[:2]
    believable = (sides > 0).all() and sides.prod() <= 2 * person.image_wh.prod()
    return bool(believable) and _holds_most(person, box_xyxy)


def _explaining(persons: list[_Person]) -> str:
    """The other reading of the boxes that holds nearly everyone's keypoints; "" if none does.

    Of several, the one with the smallest boxes.
    """
    explaining = {}
    for name, read in _READINGS.items():
        boxes = [read(p.box) for p in persons]
        fits = sum(_fits(p, box) for p, box in zip(persons, boxes, strict=True))
        if fits >= _EXPLAINED_SHARE * len(persons):
            explaining[name] = sum(float(np.prod(box[2:] - box[:2])) for box in boxes)
    return min(explaining, key=lambda name: explaining[name], default="")
