"""An annotation file of any format, as everything after its reader sees it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kptkit.data.formats.faults import Fault
from kptkit.data.skipped import ALWAYS_TOLERATED, TOLERATED_SHARE
from kptkit.errors import InputError
from kptkit.samples import Protocol
from kptkit.skeletons.schema import KeypointSchema

# What a data set's own file means an image for, where it holds both.
Part = Literal["train", "test"]


@dataclass(frozen=True)
class AnnotationFile:
    """A checked file of keypoints.

    Attributes:
        path: where it was read, for messages.
        annotations: a COCO keypoints document, as pycocotools reads it: every image, the one
            keypoint category and its annotations, crowds and persons without keypoints too.
            ``area``, ``iscrowd`` and ``num_keypoints`` are always there, segmentations never. Ids
            count from 0 on; `kptkit.metrics.oks` renumbers them, since pycocotools takes 0 for "no
            match". Beyond COCO an annotation may have a ``reference_length`` (see
            `KeypointSamples`) and an image a ``part``.
        schema: its keypoints.
        notices: what was assumed or left out, one line per kind.
        protocol: how the field judges the data set.
        boxes_may_leave: boxes may reach beyond their pictures and stay as they are; otherwise they
            are cleaned by COCO's rules.
    """

    path: str
    annotations: dict[str, Any]
    schema: KeypointSchema
    notices: tuple[str, ...] = ()
    protocol: Protocol = "oks"
    boxes_may_leave: bool = False


def fault_notices(faults: Counter[Fault], path: str | Path) -> list[str]:
    """One line for each kind of notice, and one for all that is left out."""
    lines = [
        f"{path}: {fault}" + (f" ({count} times)" if count > 1 else "")
        for fault, count in faults.items()
        if fault.level == "notice"
    ]
    skips = [fault for fault in faults if fault.level == "skip"]
    if skips:
        lines.append(f"{path}: left out of training: {skips[0]}{_and_more(len(skips) - 1)}")
    return lines


def stop_at(faults: Counter[Fault], num_sound: int, path: str | Path) -> None:
    """Stops at an error, or where more is left out than a data set may lose.

    Raises:
        InputError: the first fault, and how many more there are.
    """
    errors = [fault for fault in faults if fault.level == "error"]
    if errors:
        raise InputError(f"{path}: {errors[0]}{_and_more(len(errors) - 1)}")
    skips = [fault for fault in faults if fault.level == "skip"]
    if len(skips) > max(ALWAYS_TOLERATED, TOLERATED_SHARE * num_sound):
        raise InputError(
            f"{path}: {skips[0]}{_and_more(len(skips) - 1)}; more than {ALWAYS_TOLERATED} "
            f"and than {TOLERATED_SHARE:.0%} cannot be used"
        )


def _and_more(count: int) -> str:
    return f"; and {count} more" if count else ""


def own_part(file: AnnotationFile, part: Part) -> AnnotationFile:
    """What a file means for training or for testing; a file without such parts serves for both.

    Raises:
        InputError: the file has parts, but nothing in this one.
    """
    parts = {image["id"]: image.get("part", part) for image in file.annotations["images"]}
    chosen = with_images(file, lambda image_id: parts[image_id] == part)
    if not chosen.annotations["annotations"]:
        purpose = {"train": "to learn from", "test": "to be judged by"}[part]
        raise InputError(
            f"{file.path}: holds nobody {purpose}, only the other part of its data set; expected "
            "another file, or for --data.val a share such as 0.1"
        )
    return chosen


def split_by_image(
    file: AnnotationFile, fraction: float, seed: int
) -> tuple[AnnotationFile, AnnotationFile]:
    """Parts a file into training and validation, every image whole on one side.

    The same ids, fraction and seed give the same parts, in whatever order the file lists them.
    Images that show nobody with keypoints stay with the training part.

    Args:
        fraction: the share of images for validation, between 0 and 1.

    Raises:
        InputError: a part would be empty.
    """
    shown_ids = sorted({a["image_id"] for a in file.annotations["annotations"] if is_labelled(a)})
    count = round(fraction * len(shown_ids)) if 0 < fraction < 1 else 0
    if not 0 < count < len(shown_ids):
        raise InputError(
            f"{file.path}: a share of {fraction} of {len(shown_ids)} images with persons leaves a "
            "part empty; expected a share between 0 and 1 that leaves images on both sides"
        )
    order = np.random.default_rng(seed).permutation(len(shown_ids))
    held_out = {shown_ids[index] for index in order[:count]}
    train = with_images(file, lambda image_id: image_id not in held_out)
    return train, with_images(file, lambda image_id: image_id in held_out)


def with_images(file: AnnotationFile, keep: Callable[[int], bool]) -> AnnotationFile:
    """The file with the images whose ids are kept, and their annotations."""
    document = file.annotations
    images = [image for image in document["images"] if keep(image["id"])]
    persons = [a for a in document["annotations"] if keep(a["image_id"])]
    return replace(file, annotations=document | {"images": images, "annotations": persons})


def is_labelled(annotation: dict[str, Any]) -> bool:
    """Whether an annotation is one person with a labelled keypoint."""
    return annotation["num_keypoints"] > 0 and not annotation["iscrowd"]


def picture_sizes(file: AnnotationFile, annotations: list[dict[str, Any]]) -> np.ndarray:
    """Width and height (N, 2) of the picture of each annotation."""
    sizes = {image["id"]: (image["width"], image["height"]) for image in file.annotations["images"]}
    return np.array([sizes[a["image_id"]] for a in annotations]).reshape(-1, 2)
