"""FLIC, Frames Labeled In Cinema: ``examples.mat``, or the same as json.

- ``examples.mat`` (Sapp and Taskar 2013; https://bensapp.github.io/flic-dataset.html): the struct
  array ``examples`` with ``filepath`` (the picture's name), ``coords`` (2 x 29, x and y of 29
  places from 1, of which 11 are annotated; NaN where one is not), ``torsobox`` (x1 y1 x2 y2),
  ``imgdims`` (height, width, channels), ``istrain`` and ``istest``. Neither flag, as in FLIC-full:
  the picture is for training. This reader was never run on the file itself; field names and
  order are those that TensorFlow Datasets reads it by.
- json, as ``data_prep/extract_tfds_flic.py`` writes it from the `flic` of TensorFlow Datasets: a
  list of objects with the same fields; null where a joint is not annotated.

Coordinates count from 1. Labels are person-centric: a left wrist is the person's own. The paper
judges observer-centric labels: of persons seen from behind, whose left shoulder is left in the
picture, the sides are exchanged (format "flic-observer").

There are no boxes. Persons are shown from the waist up, as high as the picture, so the window in
use is a square of 440 px in pictures of 480 px, at the height of their middle and at the torso's x;
padding makes it 550. Windows reach beyond pictures and are not clipped.
"""

import functools
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kptkit.data.formats.build_document import (
    DataSet,
    Entry,
    Findings,
    Inspected,
    Pictures,
    annotation_file,
)
from kptkit.data.formats.mat_file import read_structs
from kptkit.errors import InputError
from kptkit.reading import read_json, shown
from kptkit.skeletons.known import FLIC_11

FLIC = DataSet(FLIC_11, "pck_torso", boxes_may_leave=True)

# Where the 11 joints stand among the 29 places of coords, from 0: the left arm, the right one, the
# hips, the eyes, the nose.
PLACES = (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16)
_ALL_PLACES = 29

# The window's side as a share of the picture's height; see above.
_WINDOW_SHARE = 440 / 480

_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP = (
    FLIC_11.names.index(name) for name in ("left_shoulder", "right_shoulder", "left_hip")
)


def inspect_flic(path: str | Path, pictures: Pictures, observer: bool = False) -> Inspected:
    """What is sound in a file of FLIC's, and how often each fault occurs.

    Args:
        observer: whether left and right are the observer's; see above.

    Raises:
        InputError: it is no such file.
    """
    findings = Findings(path)
    read = _json_examples if Path(path).suffix.lower() == ".json" else _mat_examples
    for where, example in read(findings):
        try:
            findings.entries.append(_entry(where, example, observer))
        except InputError as error:
            findings.error(where, str(error))
    return annotation_file(findings, FLIC, pictures)


inspect_flic_observer = functools.partial(inspect_flic, observer=True)


def person_window(torso_x: float, image_height: float) -> np.ndarray:
    """The square (4,) that stands for a person's box."""
    reach = _WINDOW_SHARE * image_height / 2
    centre = np.array([torso_x, image_height / 2])
    return np.concatenate([centre - reach, centre + reach])


def torso_length(keypoints: np.ndarray) -> float:
    """PCK's unit in pixels, from person-centric keypoints (11, 3); NaN where it is unknown.

    From the right shoulder to the left hip, where LSP takes the left and the right one: so do the
    annotations that the hourglass was published with (`normalize`).
    """
    return float(np.linalg.norm(keypoints[_RIGHT_SHOULDER, :2] - keypoints[_LEFT_HIP, :2]))


def observer_centric(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints (11, 3) with the sides exchanged where the person is seen from behind."""
    left, right = keypoints[_LEFT_SHOULDER], keypoints[_RIGHT_SHOULDER]
    if left[2] > 0 and right[2] > 0 and left[0] < right[0]:
        return keypoints[list(FLIC_11.flip_permutation)]
    return keypoints


@dataclass(frozen=True)
class _Example:
    """One element of ``examples``, unchecked but for the kinds of its fields."""

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
            numbers = [example.numbers(name) for name in ("coords", "torsobox", "imgdims")]
            flags = [bool(example.number(name)) for name in ("istrain", "istest")]
            yield example.where, _Example(example.text("filepath"), *numbers, *flags)
        except InputError as error:
            where, _, what = str(error).partition(": ")
            findings.error(where, what)


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
            numbers = [_array(example.get(name)) for name in ("coords", "torsobox", "imgdims")]
            flags = [bool(example[name]) for name in ("istrain", "istest")]
            yield where, _Example(example["filepath"], *numbers, *flags)


def _array(value: Any) -> np.ndarray:
    """Nested lists of numbers and nulls; empty where they are anything else."""
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def _entry(where: str, example: _Example, observer: bool) -> Entry:
    """A checked person.

    Raises:
        InputError: field, what was found and what was expected.
    """
    if example.coords.shape != (2, _ALL_PLACES):
        shape = " x ".join(map(str, example.coords.shape))
        raise InputError(f"coords: {shape} numbers; expected 2 x {_ALL_PLACES}")
    if example.torsobox.size != 4 or not np.isfinite(example.torsobox).all():
        raise InputError("torsobox: expected four numbers, x1 y1 x2 y2")
    if example.imgdims.size < 2 or not (example.imgdims.flat[:2] >= 1).all():
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
