"""Labels faces in unlabelled pictures, as WIDER FACE's list and CNN_FacePoint's."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kptkit.data.formats.text_lists import picture_path, read_lines
from kptkit.data.links import LINK_OUT, folder_of, lead_out
from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector, FacePrediction
from kptkit.files import write_text
from kptkit.images.codec import ImageError
from kptkit.wording import counted, say

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def label_pictures(
    detector: FaceDetector, folder: Path, names: Sequence[str], out: Path, sure_score: float
) -> tuple[int, int]:
    """Writes wider_face_bbx_gt.txt and landmarks.txt into `out`; counts sure and unsure faces.

    Args:
        names: the pictures, relative to `folder`; those that cannot be read are left out.
        sure_score: minimum score for a candidate to be labelled as a face.
    """
    records: list[str] = []
    points: list[str] = []
    sure_faces, unsure_faces = 0, 0
    bar = tqdm(names, "labelling", unit="picture", dynamic_ncols=True)
    for name in bar:
        try:
            faces = detector.detect(folder / name)
        except ImageError as error:
            bar.write(f"left out: {error}")
            continue
        sure = faces.scores >= sure_score
        records += wider_record(name, faces, sure)
        points += landmark_lines(name, faces, sure)
        sure_faces += int(sure.sum())
        unsure_faces += int((~sure).sum())
        bar.set_postfix(faces=sure_faces, unsure=unsure_faces, refresh=False)
    for file, lines in (("wider_face_bbx_gt.txt", records), ("landmarks.txt", points)):
        write_text(out / file, "".join(f"{line}\n" for line in lines))
    return sure_faces, unsure_faces


def picture_names(
    folder: Path,
    pictures: Path | None,
    follow_links: bool = False,
    report: Callable[[str], None] = say,
) -> list[str]:
    """The pictures to label, relative to the folder, sorted.

    Args:
        pictures: text file with one name a line; None: all pictures of the folder.
        follow_links: whether pictures that lead out of the folder are among them.
        report: called with a line that counts pictures left out: those, and names that cannot be
            written in a list.

    Raises:
        InputError: there are none, or a name of the list leads out of the folder.
    """
    if pictures:
        lines = read_lines(pictures, "a list of pictures")
        for number, line in lines:
            picture_path(line, folder, f"{pictures}: line {number}")
        names = [line for _, line in lines]
    else:
        found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        names = [path.relative_to(folder).as_posix() for path in found]
    names = sorted(set(names))
    out = lead_out(folder_of(folder, follow_links), [os.path.join(folder, n) for n in names])
    reasons = {
        LINK_OUT: {name for name, leads_out in zip(names, out, strict=True) if leads_out},
        "a name that no list can hold": {n for n in names if n != n.strip() or "\n" in n},
    }
    for reason, left_out in reasons.items():
        if left_out:
            count = counted(len(left_out), "picture")
            report(f"{folder}: left out: {count}, such as {min(left_out)}: {reason}")
    names = [name for name in names if not any(name in left_out for left_out in reasons.values())]
    if not names:
        raise InputError(f"{pictures or folder}: no pictures, expected some to label")
    return names


def wider_record(name: str, faces: FacePrediction, sure: np.ndarray) -> Iterator[str]:
    """The lines of a picture in WIDER FACE's list; the fourth flag is invalid."""
    yield name
    yield str(len(sure))
    for (left, top, right, bottom), certain in zip(faces.boxes_xyxy, sure, strict=True):
        numbers = f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"
        yield f"{numbers} 0 0 0 {int(not certain)} 0 0"
    if len(sure) == 0:
        yield "0 0 0 0 0 0 0 0 0 0"


def landmark_lines(name: str, faces: FacePrediction, sure: np.ndarray) -> Iterator[str]:
    """One line per sure face: picture name, left right top bottom, x y of five points."""
    for index in range(len(sure)):
        if sure[index]:
            left, top, right, bottom = faces.boxes_xyxy[index]
            numbers = [left, right, top, bottom, *faces.landmarks[index].ravel()]
            yield " ".join([name, *(f"{number:.2f}" for number in numbers)])
