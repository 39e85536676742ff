"""An annotation file of any format, after its reader has checked it and made it a COCO document."""

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
from kptkit.wording import printable

# The split of an image, in files that contain both.
Part = Literal["train", "test"]


@dataclass(frozen=True)
class AnnotationFile:
    """A checked file of keypoint annotations.

    Attributes:
        path: where it was read from, for messages.
        annotations: a COCO keypoints document that pycocotools can read: every image, the one
            keypoint category and its annotations, including crowds and persons without keypoints.
            ``area``, ``iscrowd`` and ``num_keypoints`` are always present, segmentations never. Ids
            may be 0; `kptkit.metrics.oks` renumbers them, since pycocotools uses 0 for "no match".
            In addition to COCO's keys an annotation may have a ``reference_length`` (see
            `KeypointSamples`) and an image a ``part``.
        schema: its keypoints.
        notices: what was assumed or left out, one line per kind.
        protocol: the metric that is customary for the data set.
        boxes_may_leave: True: boxes may extend beyond their images and are used as they are;
            False: they are cleaned by COCO's rules.
    """

    path: str
    annotations: dict[str, Any]
    schema: KeypointSchema
    notices: tuple[str, ...] = ()
    protocol: Protocol = "oks"
    boxes_may_leave: bool = False

    def __post_init__(self) -> None:
        # They are printed, and may quote the file.
        object.__setattr__(self, "notices", tuple(printable(notice) for notice in self.notices))


def fault_notices(faults: Counter[Fault], path: str | Path) -> list[str]:
    """One line for each kind of notice, and one for everything that is left out."""
    lines = [
        f"{path}: {fault}" + (f" ({count} times)" if count > 1 else "")
        for fault, count in faults.items()
        if fault.level == "notice"
    ]
    skips = [fault for fault in faults if fault.level == "skip"]
    if skips:
        lines.append(f"{path}: left out of training: {skips[0]}{_and_more(len(skips) - 1)}")
    return lines


def refuse_faults(
    faults: Counter[Fault], num_valid: int, path: str | Path, hint: str | None = None
) -> None:
    """Refuses a file that has errors, or from which too many annotations are left out.

    Args:
        num_valid: how many annotations remain; up to 1 % of them, and always 10, may be left out.
        hint: advice to add to the message.

    Raises:
        InputError: the first fault, and how many more there are.
    """
    errors = [fault for fault in faults if fault.level == "error"]
    skips = [fault for fault in faults if fault.level == "skip"]
    if errors:
        message = f"{path}: {errors[0]}{_and_more(len(errors) - 1)}"
    elif len(skips) > max(ALWAYS_TOLERATED, TOLERATED_SHARE * num_valid):
        message = (
            f"{path}: {skips[0]}{_and_more(len(skips) - 1)}; more than {ALWAYS_TOLERATED} "
            f"and than {TOLERATED_SHARE:.0%} cannot be used"
        )
    else:
        return
    raise InputError(f"{message}; {hint}" if hint else message)


def _and_more(count: int) -> str:
    return f"; and {count} more" if count else ""


def own_part(file: AnnotationFile, part: Part) -> AnnotationFile:
    """The training or the test images of a file; a file without such parts is returned whole.

    Raises:
        InputError: the file has parts, but no annotations in this one.
    """
    parts = {image["id"]: image.get("part", part) for image in file.annotations["images"]}
    chosen = _with_images(file, lambda image_id: parts[image_id] == part)
    if not chosen.annotations["annotations"]:
        purpose = {"train": "to train on", "test": "to evaluate on"}[part]
        raise InputError(
            f"{file.path}: no persons {purpose}, only the other part of its data set; expected "
            "another file, or for --data.val a share such as 0.1"
        )
    return chosen


def split_by_image(
    file: AnnotationFile, fraction: float, seed: int
) -> tuple[AnnotationFile, AnnotationFile]:
    """Splits a file by image into training and validation.

    The same ids, fraction and seed give the same split, whichever order the file lists them in.
    Images without labelled persons go into the training part.

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
    train = _with_images(file, lambda image_id: image_id not in held_out)
    return train, _with_images(file, lambda image_id: image_id in held_out)


def _with_images(file: AnnotationFile, keep: Callable[[int], bool]) -> AnnotationFile:
    """The file with those images for whose ids `keep` is true, and their annotations."""
    document = file.annotations
    images = [image for image in document["images"] if keep(image["id"])]
    persons = [a for a in document["annotations"] if keep(a["image_id"])]
    return replace(file, annotations=document | {"images": images, "annotations": persons})


def is_labelled(annotation: dict[str, Any]) -> bool:
    """Whether an annotation is a single person with at least one labelled keypoint."""
    return annotation["num_keypoints"] > 0 and not annotation["iscrowd"]


def image_wh_of(file: AnnotationFile, annotations: list[dict[str, Any]]) -> np.ndarray:
    """(N, 2) int width and height in pixels of the image of each annotation."""
    sizes = {image["id"]: (image["width"], image["height"]) for image in file.annotations["images"]}
    return np.array([sizes[a["image_id"]] for a in annotations]).reshape(-1, 2)
