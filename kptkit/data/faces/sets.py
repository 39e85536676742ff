"""Merging sets of faces, and checking them against their pictures before a long run."""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kptkit import images
from kptkit.data.links import LINK_OUT, lead_out
from kptkit.data.picture_sizes import read_headers
from kptkit.data.skipped import none_usable
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples
from kptkit.wording import counted, printable, say

# Faces of two lists with at least this IoU are the same face.
_SAME_FACE_IOU = 0.5

# Pictures that are checked; the share and the number of boxes that may be outside their pictures,
# of which the larger applies; and how far outside, relative to the box's sides, a box must be to
# count.
_NUM_CHECKED = 200
_OUTSIDE_SHARE, _OUTSIDE_COUNT = 0.2, 10
_OUTSIDE_MARGIN = 0.2


def with_landmarks(faces: FaceSamples, points: FaceSamples) -> tuple[FaceSamples, FaceSamples]:
    """Moves the landmarks of pictures that are in both sets into the first.

    Each face of `points` gives its landmarks to the face of `faces` that it overlaps most, with an
    IoU of at least 0.5; if there is none, it is added. Each picture is then in one set only, so it
    is mined once.

    Returns:
        `faces` with landmarks, and the part of `points` on other pictures.
    """
    place = {os.path.normpath(path): index for index, path in enumerate(faces.image_paths)}
    target = np.array([place.get(os.path.normpath(path), -1) for path in points.image_paths], int)
    boxes_xyxy, landmarks = faces.boxes_xyxy, faces.landmarks.copy()
    added = []
    shared = np.flatnonzero(target[points.image_index] >= 0)
    order = np.argsort(faces.image_index, kind="stable")
    sorted_index = faces.image_index[order]
    for index in shared:
        own = target[points.image_index[index]]
        members = order[slice(*np.searchsorted(sorted_index, [own, own + 1]))]
        overlap = boxes.iou(points.boxes_xyxy[index], boxes_xyxy[members])[0]
        if overlap.max(initial=0) >= _SAME_FACE_IOU:
            landmarks[members[overlap.argmax()]] = points.landmarks[index]
        else:
            added.append(index)
    new = points.select(np.array(added, np.int64))
    new = replace(new, image_index=target[new.image_index])
    merged = replace(
        faces,
        image_index=np.concatenate([faces.image_index, new.image_index]),
        boxes_xyxy=np.concatenate([faces.boxes_xyxy, new.boxes_xyxy]),
        ignored=np.concatenate([faces.ignored, new.ignored]),
        landmarks=np.concatenate([landmarks, new.landmarks]),
    )
    return merged, points.select_images(np.flatnonzero(target < 0))


def inside_folder(
    samples: FaceSamples,
    folder: str | os.PathLike,
    source: str | os.PathLike,
    report: Callable[[str], None] = say,
) -> FaceSamples:
    """The samples on pictures that do not lead out of their folder; see `kptkit.data.links`.

    Args:
        source: the list of faces, for messages.
        report: called with a line that counts the others.

    Raises:
        InputError: they all do.
    """
    out = np.array(lead_out(folder, samples.image_paths), bool)
    if not out.any():
        return samples
    first = samples.image_paths[int(np.argmax(out))]
    if out.all():
        raise none_usable(first, LINK_OUT, len(out), os.fsdecode(source))
    count = counted(int(out.sum()), "picture")
    report(f"{source}: left out: {count}, such as {first}: {LINK_OUT}")
    return samples.select_images(np.flatnonzero(~out))


def check_disjoint(faces: FaceSamples, others: FaceSamples, source: str) -> None:
    """Refuses sets that share a picture, since faces of one would be background in the other.

    Args:
        source: the two lists, for messages.

    Raises:
        InputError: both list a picture; the message names it.
    """
    names = {os.path.normpath(path) for path in others.image_paths}
    for path in faces.image_paths:
        if os.path.normpath(path) in names:
            raise InputError(
                f"{source}: both list {printable(path)}; expected all faces of a picture in "
                "one list"
            )


def check_pictures(samples: FaceSamples, source: str | os.PathLike) -> None:
    """Checks the boxes on up to 200 pictures, to find a wrong folder or format before a long run.

    Args:
        source: the list of faces, for messages.

    Raises:
        InputError: none of them can be opened, or too many boxes extend beyond them.
    """
    count = len(samples.image_paths)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _NUM_CHECKED)).astype(int))
    samples = samples.select_images(chosen)
    headers = read_headers(samples.image_paths)
    if all(isinstance(header, images.ImageError) for header in headers):
        raise InputError(
            f"{headers[0]}; no other picture of {source} was found either; is this the right "
            "folder of images?"
        )
    unknown = (np.nan, np.nan)
    size_wh = np.array(
        [h.size_wh if isinstance(h, images.ImageHeader) else unknown for h in headers]
    )
    size_wh = size_wh[samples.image_index]
    low, high = samples.boxes_xyxy[:, :2], samples.boxes_xyxy[:, 2:]
    margin = _OUTSIDE_MARGIN * (high - low)
    outside = ((low < -margin) | (high > size_wh + margin)).any(axis=1)
    if outside.sum() > max(_OUTSIDE_COUNT, _OUTSIDE_SHARE * len(samples)):
        first = int(np.argmax(outside))
        box, (width, height) = samples.boxes_xyxy[first].tolist(), size_wh[first]
        raise InputError(
            f"{source}: {outside.sum()} of {len(samples)} boxes leave their pictures, such as "
            f"{box} (x1 y1 x2 y2) one of {width:g}x{height:g} pixels; is it the right list, and "
            "are its numbers in the order of its format?"
        )
