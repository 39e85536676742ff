"""Faces with five landmarks from a COCO keypoints file."""

import os
from collections.abc import Callable

import numpy as np

from kptkit.data.formats.coco import load_coco
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples
from kptkit.wording import say

# Words by which the names of eyes, nose and mouth corners are recognised.
_PARTS = (("eye",), ("nose",), ("mouth", "lip"))


def read_coco_faces(
    path: str | os.PathLike,
    images_folder: str | os.PathLike,
    report: Callable[[str], None] = say,
) -> FaceSamples:
    """Reads faces from a COCO file whose category has five keypoints.

    The keypoints are identified by their names as eyes, nose and mouth corners. Since left may be
    the person's or the image's, the order of a pair is taken from their positions in most faces:
    image left first. Faces without all five labelled have no landmarks; crowds are ignored.

    Args:
        images_folder: the file names of images are relative to it.
        report: called with each notice about the file.

    Raises:
        InputError: the file cannot be used, or its keypoints are not these five.
    """
    coco = load_coco(os.fspath(path))
    for notice in coco.notices:
        report(notice)
    annotations = [a for a in coco.annotations["annotations"] if min(a["bbox"][2:]) > 0]
    keypoints = np.array([a["keypoints"] for a in annotations], np.float32)
    keypoints = keypoints.reshape(len(annotations), -1, 3)
    labelled = np.all(keypoints[..., 2] > 0, axis=1)
    if not labelled.any():
        raise InputError(f"{path}: annotations: no face with all keypoints; expected some")
    order = _order(coco.schema.names, keypoints[labelled, :, :2], path)
    landmarks = np.where(labelled[:, None, None], keypoints[:, order, :2], np.nan)
    boxes_xywh = np.array([a["bbox"] for a in annotations], np.float64)
    images = coco.annotations["images"]
    place = {image["id"]: index for index, image in enumerate(images)}
    folder = os.fsdecode(images_folder)
    return FaceSamples(
        image_paths=tuple(os.path.join(folder, image["file_name"]) for image in images),
        image_index=np.array([place[a["image_id"]] for a in annotations], np.int64),
        boxes_xyxy=boxes.from_xywh(boxes_xywh).astype(np.float32),
        ignored=np.array([bool(a["iscrowd"]) for a in annotations]),
        landmarks=landmarks.astype(np.float32),
        complete=False,
    )


def _order(names: tuple[str, ...], points: np.ndarray, path: str | os.PathLike) -> list[int]:
    """The indices of eye, eye, nose, mouth corner, mouth corner, image left first.

    Args:
        points: (N, K, 2) keypoints of the faces with all K labelled.
    """
    found = [
        [index for index, name in enumerate(names) if any(word in name.lower() for word in words)]
        for words in _PARTS
    ]
    if len(names) != 5 or [len(indices) for indices in found] != [2, 1, 2]:
        raise InputError(
            f"{path}: categories: keypoints {', '.join(names)}; expected five, named as two eyes, "
            "a nose and two corners of the mouth"
        )
    eyes, nose, mouth = (_left_first(indices, points) for indices in found)
    return [*eyes, *nose, *mouth]


def _left_first(indices: list[int], points: np.ndarray) -> list[int]:
    """Keypoint indices from left to right, by their median position in the faces (N, K, 2)."""
    across = np.median(points[..., 0] - points[..., 0].mean(axis=1, keepdims=True), axis=0)
    return sorted(indices, key=lambda index: across[index])
