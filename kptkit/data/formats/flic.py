"""FLIC, Frames Labeled In Cinema: ``examples.mat``, or the same as json.

- ``examples.mat`` (Sapp and Taskar 2013; https://bensapp.github.io/flic-dataset.html): the struct
  array ``examples`` with ``filepath`` (the picture's name), ``coords`` (2 x 29: x and y of 29
  points, counted from 1, of which 11 are annotated; NaN for a missing one), ``torsobox``
  (x1 y1 x2 y2), ``imgdims`` (height, width, channels), ``istrain`` and ``istest``. Pictures with
  neither flag, as in FLIC-full, are for training. This reader has not been tested on the file
  itself; the names and the order of the fields are those that TensorFlow Datasets reads.
- json, as ``kptkit data flic`` writes it from the `flic` of TensorFlow Datasets: a
  list of objects with the same fields; null for a missing point.

Coordinates count from 1. Labels are person-centric: the left wrist is the person's own. The paper
evaluates observer-centric labels: left and right are exchanged for persons seen from behind, whose
left shoulder is left in the picture (format "flic-observer").

There are no boxes. Persons are shown from the waist up and fill the picture's height, so the box is
a square of 440 px in pictures of height 480, centred at half the height and at the torso's x; the
usual padding makes it 550 px. Boxes may extend beyond the picture and are not cut.
"""

import functools
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
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
from kptkit.data.formats.faults import is_size
from kptkit.data.formats.mat_array import LARGEST_NUMBER, Struct
from kptkit.data.formats.mat_file import read_structs
from kptkit.errors import InputError
from kptkit.reading import read_json, shown
from kptkit.skeletons.known import FLIC_11

FLIC = DataSetInfo(FLIC_11, "pck_torso", boxes_may_leave=True)

# Columns, from 0, of the 11 joints among the 29 points of coords: left arm, right arm, hips, eyes,
# nose.
PLACES = (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16)
_ALL_PLACES = 29

# Side of a person's box relative to the picture's height; see above.
_WINDOW_SHARE = 440 / 480

_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP = (
    FLIC_11.names.index(name) for name in ("left_shoulder", "right_shoulder", "left_hip")
)


def inspect_flic(path: str | Path, pictures: PictureFolder, observer: bool = False) -> Inspected:
    """The valid persons of a file of FLIC, and how often each fault occurs.

    Args:
        observer: whether to make the labels observer-centric; see above.

    Raises:
        InputError: it is not such a file.
    """
    findings = Findings(path)
    read = _json_examples if Path(path).suffix.lower() == ".json" else _mat_examples
    for where, example in read(findings):
        try:
            findings.entries.append(_entry(where, example, observer))
        except InputError as error:
            findings.error(where, str(error))
    return build_annotation_file(findings, FLIC, pictures)


inspect_flic_observer = functools.partial(inspect_flic, observer=True)


def person_window(torso_x: float, image_height: float) -> np.ndarray:
    """The square box (4,) x1 y1 x2 y2 of a person, in pixels from 0."""
    reach = _WINDOW_SHARE * image_height / 2
    centre = np.array([torso_x, image_height / 2])
    return np.concatenate([centre - reach, centre + reach])


def torso_length(keypoints: np.ndarray) -> float:
    """PCK's reference length in pixels, from person-centric keypoints (11, 3); NaN if unknown.

    The distance from the right shoulder to the left hip, as in the annotations that the hourglass
    was published with (`normalize`); LSP uses the left shoulder and the right hip.
    """
    return float(np.linalg.norm(keypoints[_RIGHT_SHOULDER, :2] - keypoints[_LEFT_HIP, :2]))


def observer_centric(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints (11, 3), with left and right exchanged if the person is seen from behind."""
    left, right = keypoints[_LEFT_SHOULDER], keypoints[_RIGHT_SHOULDER]
    if left[2] > 0 and right[2] > 0 and left[0] < right[0]:
        return keypoints[list(FLIC_11.flip_permutation)]
    return keypoints


@dataclass(frozen=True)
class _Example:
    """One element of ``examples``; only the types of its fields have been checked."""

    filepath: str
    coords: np.ndarray
    torsobox: np.ndarray
    imgdims: np.ndarray
    istrain: bool
    istest: bool


def _mat_examples(findings: Findings) -> Iterator[tuple[str, _Example]]:
    expected = "the struct array examples of FLIC's examples.mat"
    for example in read_structs(findings.path, "examples", expected):
        try:
            fields = _Example(
                coords=example.numbers("coords"),
                torsobox=example.numbers("torsobox"),
                imgdims=example.numbers("imgdims"),
                istrain=_flag(example, "istrain"),
                istest=_flag(example, "istest"),
                filepath=example.text("filepath"),
            )
            yield example.where, fields
        except InputError as error:
            where, _, what = str(error).partition(": ")
            findings.error(where, what)


def _flag(example: Struct, name: str) -> bool:
    """A field that is 0 or 1.

    Raises:
        InputError: it is anything else.
    """
    number = example.number(name)
    if number not in (0, 1):
        raise InputError(f"{example.where}.{name}: {number:g}; expected 0 or 1")
    return bool(number)


def _json_examples(findings: Findings) -> Iterator[tuple[str, _Example]]:
    examples = read_json(findings.path)
    if not isinstance(examples, list):
        raise InputError(
            f"{findings.path}: a {type(examples).__name__} at the top level; expected a list of "
            "objects with filepath, coords, torsobox, imgdims, istrain and istest"
        )
    for index, example in enumerate(examples):
        where = f"[{index}]"
        if not isinstance(example, dict):
            findings.error(where, f"{reprlib.repr(example)}; expected an object")
        elif not isinstance(example.get("filepath"), str):
            findings.error(f"{where}.filepath", f"{shown(example, 'filepath')}; expected a name")
        elif wrong := [n for n in ("istrain", "istest") if example.get(n) not in (0, 1)]:
            found = shown(example, wrong[0])
            findings.error(f"{where}.{wrong[0]}", f"{found}; expected true or false")
        else:
            fields = _Example(
                filepath=example["filepath"],
                coords=_array(example.get("coords")),
                torsobox=_array(example.get("torsobox")),
                imgdims=_array(example.get("imgdims")),
                istrain=bool(example["istrain"]),
                istest=bool(example["istest"]),
            )
            yield where, fields


def _array(value: Any) -> np.ndarray:
    """Nested lists of numbers and nulls as float64; an empty array if they are anything else."""
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)
    return np.zeros(0) if (np.abs(found) > LARGEST_NUMBER).any() else found


def _entry(where: str, example: _Example, observer: bool) -> Entry:
    """Checks an example and makes it an entry.

    Raises:
        InputError: a field is wrong; the message begins with its name.
    """
    if example.coords.shape != (2, _ALL_PLACES):
        shape = " x ".join(map(str, example.coords.shape))
        raise InputError(f"coords: {shape} numbers; expected 2 x {_ALL_PLACES}")
    if example.torsobox.size != 4 or not np.isfinite(example.torsobox).all():
        raise InputError("torsobox: expected four numbers, x1 y1 x2 y2")
    if example.imgdims.size < 2 or not is_size(example.imgdims.flat[:2]):
        raise InputError("imgdims: expected the picture's height and width in pixels")
    points = example.coords[:, PLACES].T - 1
    labelled = np.isfinite(points).all(axis=1)
    keypoints = np.hstack([points, 2.0 * labelled[:, None]])
    torso = torso_length(keypoints)
    if observer:
        keypoints = observer_centric(keypoints)
    height, width = (int(side) for side in example.imgdims.flat[:2])
    torso_x = example.torsobox.flat[[0, 2]].mean() - 1
    return Entry(
        f"{where} ({example.filepath})",
        example.filepath,
        keypoints,
        person_window(torso_x, height),
        image_wh=(width, height),
        reference_length=torso if torso > 0 else None,
        part="test" if example.istest else "train",
    )
