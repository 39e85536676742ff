"""Builds a checked COCO document from the persons or faces that a reader has parsed.

The readers of formats other than COCO's only parse; ids, picture sizes and the checks that all
formats need are added here.
"""

import os
import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kptkit.data.formats.box_faults import keypoint_faults
from kptkit.data.formats.document import AnnotationFile, Part, fault_notices
from kptkit.data.formats.faults import AREA_OF_BOX, LARGEST_COORDINATE, Fault, is_file_name
from kptkit.data.picture_sizes import read_headers
from kptkit.data.skipped import none_usable
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.images import ImageHeader
from kptkit.samples import Orientation, Protocol
from kptkit.skeletons.known import DEFAULT_OKS_SIGMA, sigmas_by_name
from kptkit.skeletons.schema import KeypointSchema

Size = tuple[int, int]


@dataclass(frozen=True)
class DataSetInfo:
    """Properties of a data set, the same for all its files."""

    schema: KeypointSchema
    protocol: Protocol
    category: Literal["person", "face"] = "person"
    boxes_may_leave: bool = False
    """See `AnnotationFile`. False: boxes are cut to their pictures."""


@dataclass(frozen=True)
class PictureFolder:
    """The folder of a file's pictures (None: not given), and how their EXIF tag is treated."""

    folder: str | os.PathLike | None = None
    orientation: Literal["auto"] | Orientation = "auto"

    def path(self, file_name: str) -> str:
        """The path of a picture.

        Raises:
            InputError: the folder was not given.
        """
        if self.folder is None:
            raise InputError(
                "--data.images: not given; expected the folder that holds the images (this format "
                "does not say how large they are)"
            )
        return os.path.join(os.fsdecode(self.folder), file_name)


@dataclass(frozen=True)
class Entry:
    """One person or face of a file.

    Attributes:
        where: its place in the file, for messages.
        file_name: of its picture, relative to the folder of pictures.
        keypoints: (K, 3) x, y in pixels (the centre of the top-left pixel is (0, 0)) and COCO's
            visibility; where that is 0, x and y are ignored.
        box_xyxy: (4,) pixels; an entry with None is left out, since it cannot be cropped.
        image_wh: width and height of its picture, if the file states them.
        reference_length: in pixels; see `KeypointSamples`.
        part: whether the picture is for training or testing, if the file says so.
    """

    where: str
    file_name: str
    keypoints: np.ndarray
    box_xyxy: np.ndarray | None
    image_wh: Size | None = None
    reference_length: float | None = None
    part: Part | None = None


@dataclass
class Findings:
    """What a reader found in a file: its entries, and how often each fault occurs."""

    path: str | Path
    entries: list[Entry] = field(default_factory=list)
    faults: Counter[Fault] = field(default_factory=Counter)

    def error(self, where: str, what: str) -> None:
        """Adds a fault that makes the file unusable."""
        self.faults[Fault("error", where, what)] += 1

    def skip(self, where: str, what: str) -> None:
        """Adds the reason why an entry or picture is left out; too many make the file unusable."""
        self.faults[Fault("skip", where, what)] += 1

    def notice(self, where: str, what: str) -> None:
        """Adds a fault that is corrected; equal ones are counted."""
        self.faults[Fault("notice", where, what)] += 1


Inspected = tuple[AnnotationFile, Counter[Fault]]


def build_annotation_file(
    findings: Findings, data_set: DataSetInfo, pictures: PictureFolder
) -> Inspected:
    """The valid entries as a COCO document, and all faults.

    An entry's annotation id is its position in the file, from 1; entries that are left out count.

    Raises:
        InputError: the sizes of the pictures are needed, but no picture can be read.
    """
    usable = []
    for number, entry in enumerate(findings.entries, start=1):
        faults = list(_entry_faults(entry))
        findings.faults.update(faults)
        if not faults:
            usable.append((number, entry))
    image_ids: dict[str, int] = {}
    for _, entry in usable:
        image_ids.setdefault(entry.file_name, len(image_ids) + 1)
    sizes = _picture_sizes([entry for _, entry in usable], pictures, findings)
    category = {
        "id": 1,
        "name": data_set.category,
        "keypoints": list(data_set.schema.names),
        "skeleton": [[a + 1, b + 1] for a, b in data_set.schema.edges],
    }
    found_images: dict[int, dict[str, Any]] = {}
    annotations = []
    for number, entry in usable:
        if entry.file_name not in sizes:
            continue  # reported by _picture_sizes
        size_wh = sizes[entry.file_name]
        box_xywh = _box_inside(entry, size_wh, data_set, findings)
        if box_xywh is None:
            continue
        image_id = image_ids[entry.file_name]
        found_images.setdefault(image_id, _image(image_id, entry, size_wh))
        annotations.append(_annotation(number, image_id, entry, box_xywh, findings))
    findings.faults.update(keypoint_faults(annotations, found_images, stated_boxes=False))
    if not annotations:
        findings.error("annotations", f"no valid one; expected at least one {data_set.category}")
    document = {
        "info": {},
        "images": list(found_images.values()),
        "annotations": annotations,
        "categories": [category],
    }
    notices = [*fault_notices(findings.faults, findings.path), _oks_notice(findings, data_set)]
    file = AnnotationFile(
        str(findings.path),
        document,
        data_set.schema,
        tuple(notices),
        data_set.protocol,
        data_set.boxes_may_leave,
    )
    return file, findings.faults


def keypoint_extent(keypoints: np.ndarray) -> np.ndarray | None:
    """The smallest box (4,) x1 y1 x2 y2 around the labelled keypoints of (K, 3).

    None if fewer than two are labelled, or all coincide.
    """
    points = keypoints[keypoints[:, 2] > 0, :2]
    if len(points) < 2 or not np.isfinite(points).all():
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    return np.concatenate([low, high]) if (high > low).any() else None


def landmark_box(keypoints: np.ndarray) -> np.ndarray | None:
    """The box (4,) of a face: the extent of its landmarks (K, 3), rounded out to whole pixels.

    With the usual padding by 1.25 it gives the crops of HRNet for faces (Sun et al. 2019) and of
    the COCO-like files of these data sets. Those files also state boxes 1.2 times as large, which
    their authors' code does not crop by.
    """
    box = keypoint_extent(keypoints)
    return None if box is None else np.concatenate([np.floor(box[:2]), np.ceil(box[2:])])


def _entry_faults(entry: Entry) -> Iterator[Fault]:
    """Why an entry cannot be used."""
    where = entry.where
    if not is_file_name(entry.file_name):
        found = reprlib.repr(entry.file_name)
        expected = "expected the path of a picture inside the folder of pictures"
        yield Fault("error", where, f"picture {found}; {expected}")
    points = entry.keypoints[entry.keypoints[:, 2] > 0, :2]
    if not (np.abs(points) <= LARGEST_COORDINATE).all():
        found = "a labelled keypoint without finite coordinates"
        yield Fault("error", where, f"{found}; expected x and y in pixels")
    elif entry.box_xyxy is None:
        found = "too few are labelled to make a box; left out"
        yield Fault("notice", "keypoints", found)
    elif not (np.abs(entry.box_xyxy) <= LARGEST_COORDINATE).all():
        box = ", ".join(f"{value:g}" for value in entry.box_xyxy)
        yield Fault("error", where, f"box {box}; expected finite pixels")
    elif not (entry.box_xyxy[2:] > entry.box_xyxy[:2]).all():
        yield Fault("skip", where, "a box without area")
    length = entry.reference_length
    if length is not None and not 0 < length <= LARGEST_COORDINATE:
        yield Fault("error", where, f"reference length {length:g}; expected pixels above 0")


def _picture_sizes(
    entries: Sequence[Entry], pictures: PictureFolder, findings: Findings
) -> dict[str, Size]:
    """Width and height of each picture: as the file states them, else from the picture's header."""
    sizes = {e.file_name: e.image_wh for e in entries if e.image_wh is not None}
    first_use = {e.file_name: e.where for e in reversed(entries) if e.file_name not in sizes}
    names = list(first_use)[::-1]
    headers = read_headers([pictures.path(name) for name in names], pictures.folder)
    reasons = []
    turned = 0
    for name, header in zip(names, headers, strict=True):
        if isinstance(header, ImageHeader):
            turned += header.orientation != 1
            way = "upright_wh" if pictures.orientation == "exif" else "size_wh"
            sizes[name] = getattr(header, way)
        else:
            reasons.append(header.reason)
            findings.skip(first_use[name], f"picture {reprlib.repr(name)}: {header.reason}")
    if names and not sizes:
        first = os.fsdecode(pictures.path(names[0]))
        raise none_usable(first, reasons[0], len(names), str(findings.path))
    if turned and pictures.orientation == "auto":
        findings.notice(
            "pictures",
            f"{turned} carry an EXIF rotation, which this format does not mention; read as stored; "
            "--data.orientation exif reads them as displayed",
        )
    return sizes


def _box_inside(
    entry: Entry, size_wh: Size, data_set: DataSetInfo, findings: Findings
) -> list[float] | None:
    """The entry's box as x y w h, cut to the picture unless boxes may leave.

    None if there is no box, or it lies outside.
    """
    if entry.box_xyxy is None:
        return None
    inside = boxes.clip(entry.box_xyxy, size_wh)
    if boxes.area(inside) <= 0:
        findings.skip(entry.where, f"lies outside the picture of {size_wh[0]}x{size_wh[1]} pixels")
        return None
    box_xyxy = entry.box_xyxy if data_set.boxes_may_leave else inside
    return boxes.to_xywh(box_xyxy)[0].tolist()


def _image(image_id: int, entry: Entry, size_wh: Size) -> dict[str, Any]:
    width, height = size_wh
    image = {"id": image_id, "file_name": entry.file_name, "width": width, "height": height}
    return image | ({"part": entry.part} if entry.part else {})


def _annotation(
    number: int, image_id: int, entry: Entry, box_xywh: list[float], findings: Findings
) -> dict[str, Any]:
    labelled = entry.keypoints[:, 2:] > 0
    keypoints = np.where(labelled, entry.keypoints, 0.0)
    at_origin = labelled[:, 0] & (keypoints[:, :2] == 0).all(axis=1)
    if at_origin.any():
        found = "labelled at (0, 0), the mark of an unlabelled keypoint; taken as unlabelled"
        findings.notice("keypoints", found)
        keypoints[at_origin] = 0
    annotation = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": box_xywh,
        "area": AREA_OF_BOX * box_xywh[2] * box_xywh[3],
        "iscrowd": 0,
        "keypoints": keypoints.ravel().tolist(),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
    }
    if entry.reference_length is not None:
        annotation["reference_length"] = float(entry.reference_length)
    return annotation


def _oks_notice(findings: Findings, data_set: DataSetInfo) -> str:
    """Which areas and sigmas OKS is computed with, since these data sets define neither."""
    schema = data_set.schema
    _, unknown = sigmas_by_name(schema.names)
    guessed = [n for n in unknown if schema.oks_sigmas[schema.names.index(n)] == DEFAULT_OKS_SIGMA]
    sigmas = f" and {DEFAULT_OKS_SIGMA} as sigma of {', '.join(guessed[:4])}" if guessed else ""
    more = f" and {len(guessed) - 4} more" if len(guessed) > 4 else ""
    return (
        f"{findings.path}: judged by {data_set.protocol}; OKS takes {AREA_OF_BOX} of each box's "
        f"area{sigmas}{more}, so AP compares runs on this data only"
    )
