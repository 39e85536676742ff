"""MPII Human Pose: the official MATLAB file, or the json files of the official HRNet code.

- ``mpii_human_pose_v1_u12_1.mat`` (Andriluka et al. 2014): the struct ``RELEASE``, in which
  ``annolist(i).annorect(r)`` has joints (``annopoints.point`` with x, y, id, is_visible), a rough
  position (``objpos``), a ``scale`` (the person's height in units of 200 px), and the head's box
  (x1 y1 x2 y2). Test images have no joints. Persons without joints or position are left out. The
  fields are read as its README describes them; this reader has not been tested on the file itself.
- json: a list of {"image", "center", "scale", "joints": 16 times [x, y], "joints_vis": 16 times
  0 or 1}; 0 marks an unlabelled joint. The json has no head boxes; they are taken from a file
  ``gt_valid.mat`` next to ``valid.json`` (any other name likewise), if it has the same joints.

Coordinates count from 1 in both. A person's box is the square of side 200 * scale, centred 15 *
scale below the position; the usual padding makes it 250 * scale, as in the official crops. Boxes
may extend beyond the picture and are not cut.
"""

import os
import reprlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kptkit.data.formats.build_document import (
    DataSetInfo,
    Entry,
    Findings,
    Inspected,
    PictureFolder,
    build_annotation_file,
)
from kptkit.data.formats.faults import is_numbers
from kptkit.data.formats.mat_array import Struct
from kptkit.data.formats.mat_file import read_numbers, read_structs
from kptkit.errors import InputError
from kptkit.reading import read_json, shown
from kptkit.skeletons.known import MPII_16
from kptkit.wording import name_of

MPII = DataSetInfo(MPII_16, "pckh", boxes_may_leave=True)

# Side of the box of a person of scale 1, and how far its centre is below the position, in pixels.
_PIXELS_PER_SCALE = 200.0
_SHIFT_DOWN = 15.0
# Head size of PCKh relative to the diagonal of the head's box.
HEAD_SHARE = 0.6

# Largest difference of a joint's coordinate in json and .mat, in pixels; the json's are rounded.
_SAME_PIXEL = 1.5

_JOINTS = MPII_16.num_keypoints


def inspect_mpii(path: str | Path, pictures: PictureFolder) -> Inspected:
    """The valid persons of a file of MPII, and how often each fault occurs.

    Without any head box the protocol is PCK in torso sizes instead of PCKh.

    Raises:
        InputError: it is not such a file.
    """
    findings = Findings(path)
    if Path(path).suffix.lower() == ".json":
        _read_json(findings)
    else:
        _read_mat(findings)
    if all(entry.reference_length is None for entry in findings.entries):
        findings.notice("head boxes", "none; judged by PCK in torsos instead of PCKh")
        return build_annotation_file(findings, replace(MPII, protocol="pck_torso"), pictures)
    return build_annotation_file(findings, MPII, pictures)


def person_window(position_xy: np.ndarray, scale: float) -> np.ndarray:
    """The square box (4,) x1 y1 x2 y2 of a person, in pixels from 0.

    Args:
        position_xy: (2,) ``objpos`` or ``center``, in pixels from 1.
        scale: ``scale``, in units of 200 px.
    """
    x, y = position_xy
    centre = np.array([x - 1, y + _SHIFT_DOWN * scale - 1], np.float64)
    reach = _PIXELS_PER_SCALE * scale / 2
    return np.concatenate([centre - reach, centre + reach])


def head_sizes(corners: np.ndarray) -> np.ndarray:
    """PCKh's reference lengths (...,) in pixels, from the corners (..., 2, 2) of head boxes."""
    return HEAD_SHARE * np.linalg.norm(corners[..., 1, :] - corners[..., 0, :], axis=-1)


def _read_json(findings: Findings) -> None:
    persons = read_json(findings.path)
    if not isinstance(persons, list):
        raise InputError(
            f"{findings.path}: a {type(persons).__name__} at the top level; expected a list of "
            "objects with image, center, scale, joints and joints_vis"
        )
    heads = _heads_beside(findings, persons)
    for index, person in enumerate(persons):
        entry = _json_entry(index, person, findings, heads)
        if entry is not None:
            findings.entries.append(entry)


def _json_entry(
    index: int, person: Any, findings: Findings, heads: np.ndarray | None
) -> Entry | None:
    where = f"[{index}]"
    if not isinstance(person, dict) or not isinstance(person.get("image"), str):
        found = reprlib.repr(person)
        findings.error(where, f"{found}; expected an object with image, center, scale, joints")
        return None
    where = f"{where} ({name_of(person['image'])})"
    faults = list(_json_faults(person))
    for field, found in faults:
        findings.error(f"{where}.{field}", found)
    if faults:
        return None
    labelled = np.array(person["joints_vis"], np.float64)[:, None] > 0
    keypoints = np.hstack([np.array(person["joints"], np.float64) - 1, 2.0 * labelled])
    return Entry(
        where,
        person["image"],
        keypoints,
        person_window(person["center"], person["scale"]),
        reference_length=None if heads is None else float(heads[index]),
    )


def _json_faults(person: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of one object of the json, each as field and message."""
    if not is_numbers(person.get("center"), 2):
        yield "center", f"{shown(person, 'center')}; expected x and y in pixels"
    scale = [person.get("scale")]
    if not (is_numbers(scale, 1) and scale[0] > 0):
        yield "scale", f"{shown(person, 'scale')}; expected the person's height in units of 200 px"
    joints, flags = person.get("joints"), person.get("joints_vis")
    if joints is None and flags is None:
        yield "joints", f"missing; expected {_JOINTS} times x and y (those of test.json are secret)"
        return
    if not (isinstance(joints, list) and len(joints) == _JOINTS):
        found = len(joints) if isinstance(joints, list) else shown(person, "joints")
        yield "joints", f"{found}; expected {_JOINTS} times x and y"
    else:
        wrong = [n for n, joint in enumerate(joints) if not is_numbers(joint, 2)]
        if wrong:
            yield f"joints[{wrong[0]}]", f"{reprlib.repr(joints[wrong[0]])}; expected x and y"
    if not (is_numbers(flags, _JOINTS) and all(flag in (0, 1) for flag in flags)):
        yield "joints_vis", f"{shown(person, 'joints_vis')}; expected {_JOINTS} times 0 or 1"


def _heads_beside(findings: Findings, persons: list[Any]) -> np.ndarray | None:
    """Head sizes (N,) from ``gt_NAME.mat`` next to ``NAME.json``; None if there is no such file.

    Raises:
        InputError: its joints are not those of `persons`.
    """
    path = Path(findings.path)
    beside = path.with_name(f"gt_{path.stem}.mat")
    if not os.path.exists(beside):
        return None
    corners = _truth_beside(beside, "headboxes_src", (2, 2, len(persons)))
    points = _truth_beside(beside, "pos_gt_src", (_JOINTS, 2, len(persons)))
    for index, person in enumerate(persons):
        if not isinstance(person, dict) or any(_json_faults(person)):
            continue  # reported by _json_entry
        labelled = np.array(person["joints_vis"]) > 0
        away = np.abs(np.array(person["joints"]) - points[..., index])[labelled]
        if (away > _SAME_PIXEL).any():
            raise InputError(
                f"{beside}: pos_gt_src: person {index + 1} has other joints than [{index}] of "
                f"{path.name}; expected the ground truth of the same persons in the same order"
            )
    return head_sizes(corners.transpose(2, 0, 1))


def _truth_beside(path: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A variable of ``gt_NAME.mat``.

    Raises:
        InputError: it is not of `shape`.
    """
    values = read_numbers(path, name, "the ground truth of a json's persons")
    if values.shape != shape:
        found, expected = (" x ".join(map(str, s)) for s in (values.shape, shape))
        raise InputError(f"{path}: {name}: {found} numbers; expected {expected}, as the json has")
    return values


def _read_mat(findings: Findings) -> None:
    expected = "the struct RELEASE of mpii_human_pose_v1_u12_1.mat"
    release = read_structs(findings.path, "RELEASE", expected)
    if len(release) != 1:
        raise InputError(f"{findings.path}: RELEASE: {len(release)} structs; expected one")
    try:
        frames = release[0].structs("annolist")
    except InputError as error:
        raise InputError(f"{findings.path}: {error}") from None
    if not frames:
        raise InputError(f"{findings.path}: RELEASE.annolist: missing; expected {expected}")
    for frame in frames:
        try:
            # In frames without persons the field is missing, empty, or an empty array of numbers.
            persons = frame.structs("annorect")
            images = frame.structs("image") if persons else []
            name = images[0].text("name") if images else ""
        except InputError as error:
            findings.error(*_parts_of(error))
            continue
        for person in persons:
            try:
                entry = _mat_entry(person, name, findings)
            except InputError as error:
                findings.error(*_parts_of(error))
                continue
            if entry is not None:
                findings.entries.append(entry)


def _mat_entry(person: Struct, file_name: str, findings: Findings) -> Entry | None:
    """One person of the official file; None if it has no joints, position or scale."""
    annopoints = person.structs("annopoints")
    points = annopoints[0].structs("point") if annopoints else []
    if not points:
        findings.notice("annorect", "has no joints (the test part, or a bystander); left out")
        return None
    position = person.structs("objpos")
    if not position or person.field("scale") is None:
        findings.notice("annorect", "has no position or no scale; left out")
        return None
    keypoints = np.zeros((_JOINTS, 3))
    for point in points:
        joint = point.number("id")
        if joint not in range(_JOINTS):
            raise InputError(f"{point.where}.id: {joint:g}; expected 0 to {_JOINTS - 1}")
        keypoints[int(joint)] = (point.number("x") - 1, point.number("y") - 1, _visibility(point))
    position_xy = np.array([position[0].number("x"), position[0].number("y")])
    head = None
    if person.field("x1") is not None:
        corners = np.array([person.number(side) for side in ("x1", "y1", "x2", "y2")])
        head = float(head_sizes(corners.reshape(2, 2)))
    window = person_window(position_xy, person.number("scale"))
    return Entry(person.where, file_name, keypoints, window, reference_length=head)


def _visibility(point: Struct) -> int:
    """COCO's visibility of a joint: 1 if it is flagged as hidden, else 2.

    The flag is a number or a text of one digit; some joints, such as those of the head, have none.
    """
    flag = point.field("is_visible")
    if flag is None:
        return 2
    hidden = flag.text().strip() == "0" if flag.kind == "a text" else not flag.numbers(1).any()
    return 1 if hidden else 2


def _parts_of(error: InputError) -> tuple[str, str]:
    """Splits the message of an error raised by `Struct` into place and text."""
    where, _, what = str(error).partition(": ")
    return where, what
