"""Leeds Sports Pose and LSP extended: ``joints.mat``, or the same as json.

Each picture shows one person with 14 joints. The formats are:

- LSP (Johnson and Everingham 2010): ``joints`` of shape 3 x 14 x 2000, pictures im0001.jpg and so
  on; the first 1000 are for training, the others for testing. The third row is 1 for hidden joints,
  although the README calls it visibility; all joints are labelled.
- LSP extended (2011): ``joints`` of shape 14 x 3 x 10000, pictures im00001.jpg; all for training.
  The third column is 1 for visible joints; the others are unlabelled, their coordinates arbitrary.
- json: a list of {"image": name, "joints": 14 times [x, y, visible]}, flags as in LSP extended.

The meaning of the flag in a .mat file follows from its mean, since most joints are visible (93 % in
LSP, 88 % in the extension). Coordinates count from 0: the smallest of visible joints are 0.0.
"""

import os
import reprlib
from pathlib import Path

import numpy as np

from kptkit.data.formats.build_document import (
    DataSetInfo,
    Entry,
    Findings,
    Inspected,
    PictureFolder,
    build_annotation_file,
    keypoint_extent,
)
from kptkit.data.formats.document import Part
from kptkit.data.formats.faults import is_numbers
from kptkit.data.formats.mat_file import read_numbers
from kptkit.errors import InputError
from kptkit.reading import read_json, shown
from kptkit.skeletons.known import LSP_14
from kptkit.wording import name_of

LSP = DataSetInfo(LSP_14, "pck_torso")
# Margin of a person's box around the joints, relative to the longer side of the joints' extent.
MARGIN = 0.1

_JOINTS = LSP_14.num_keypoints
# LSP without the extension is recognised by its size; only LSP has test pictures.
_LSP_PERSONS, _LSP_TRAIN = 2000, 1000
_NAMES = ("im{:04d}.jpg", "im{:05d}.jpg", "im{:05d}.png")


def inspect_lsp(path: str | Path, pictures: PictureFolder) -> Inspected:
    """The valid persons of a file of LSP or LSP extended, and how often each fault occurs.

    Raises:
        InputError: it is not such a file.
    """
    findings = Findings(path)
    if Path(path).suffix.lower() == ".json":
        _read_json(findings)
    else:
        _read_mat(findings, pictures)
    return build_annotation_file(findings, LSP, pictures)


def person_box(keypoints: np.ndarray) -> np.ndarray | None:
    """A box (4,) for a person: the extent of the labelled keypoints of (K, 3) plus a margin.

    The data sets have no boxes, and a person is larger than the extent of their joints. None if
    the keypoints have no extent.
    """
    box = keypoint_extent(keypoints)
    if box is None:
        return None
    margin = MARGIN * (box[2:] - box[:2]).max()
    return np.concatenate([box[:2] - margin, box[2:] + margin])


def _read_json(findings: Findings) -> None:
    persons = read_json(findings.path)
    if not isinstance(persons, list):
        found = type(persons).__name__
        raise InputError(
            f"{findings.path}: a {found} at the top level; expected a list of objects with image "
            "and joints"
        )
    for index, person in enumerate(persons):
        where = f"[{index}]"
        if not isinstance(person, dict) or not isinstance(person.get("image"), str):
            findings.error(where, f"{reprlib.repr(person)}; expected an object with image, joints")
            continue
        where, joints = f"{where} ({name_of(person['image'])})", person.get("joints")
        if not (isinstance(joints, list) and len(joints) == _JOINTS):
            found = str(len(joints)) if isinstance(joints, list) else shown(person, "joints")
            findings.error(f"{where}.joints", f"{found}; expected {_JOINTS} times x, y, visible")
            continue
        wrong = [n for n, j in enumerate(joints) if not (is_numbers(j, 3) and j[2] in (0, 1))]
        if wrong:
            found = reprlib.repr(joints[wrong[0]])
            expected = "expected x, y and 0 (not visible) or 1 (visible)"
            findings.error(f"{where}.joints[{wrong[0]}]", f"{found}; {expected}")
            continue
        keypoints = np.array(joints, np.float64) * [1, 1, 2]
        findings.entries.append(Entry(where, person["image"], keypoints, person_box(keypoints)))


def _read_mat(findings: Findings, pictures: PictureFolder) -> None:
    joints = _joints(findings.path)
    flags = joints[..., 2]
    if not np.isin(flags, (0, 1)).all():
        raise InputError(
            f"{findings.path}: joints: {flags[~np.isin(flags, (0, 1))][0]:g} as the third number "
            "of a joint; expected 0 or 1"
        )
    mostly_set = flags.mean() > 0.5
    visibility = 2 * flags if mostly_set else 2 - flags
    meaning = "visible, the others unlabelled" if mostly_set else "hidden, the others visible"
    findings.notice("joints", f"{flags.mean():.0%} carry a flag, taken as: {meaning}")
    name = _picture_names(findings.path, len(joints), pictures)
    for index, keypoints in enumerate(np.dstack([joints[..., :2], visibility])):
        part: Part | None = None
        if len(joints) == _LSP_PERSONS:
            part = "train" if index < _LSP_TRAIN else "test"
        where = f"joints of person {index + 1}"
        box = person_box(keypoints)
        findings.entries.append(Entry(where, name.format(index + 1), keypoints, box, part=part))


def _joints(path: str | Path) -> np.ndarray:
    """The joints (N, 14, 3) of a ``joints.mat`` of either layout."""
    expected = "joints.mat of LSP (3 x 14 x N) or LSP extended (14 x 3 x N)"
    joints = read_numbers(path, "joints", expected)
    shape = " x ".join(map(str, joints.shape))
    if joints.ndim == 2:  # of one person
        joints = joints[..., None]
    if joints.shape[:2] == (3, _JOINTS):
        return joints.transpose(2, 1, 0)
    if joints.shape[:2] == (_JOINTS, 3):
        return joints.transpose(2, 0, 1)
    raise InputError(f"{path}: joints: {shape} numbers; expected {expected}")


def _picture_names(path: str | Path, count: int, pictures: PictureFolder) -> str:
    """The pattern of the `count` pictures' names: that of most files in the folder.

    Raises:
        InputError: no picture has a name of any pattern.
    """
    found = {
        name: sum(os.path.exists(pictures.path(name.format(n))) for n in range(1, count + 1))
        for name in _NAMES
    }
    # The patterns agree on names from 10,000 on, so the one with the most pictures is taken.
    best = max(found, key=lambda name: found[name])
    if found[best]:
        return best
    looked = ", ".join(name.format(1) for name in _NAMES)
    raise InputError(
        f"{pictures.folder}: none of {looked}; expected the folder of pictures of {path}"
    )
