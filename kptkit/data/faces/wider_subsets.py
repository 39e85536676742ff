"""The easy, medium and hard subsets of WIDER FACE's validation set, from its evaluation tools.

The files are `wider_easy_val.mat`, `wider_medium_val.mat` and `wider_hard_val.mat` of
http://shuoyang1213.me/WIDERFACE. Each lists all faces of all pictures (`face_bbx_list`), and for
each picture the numbers, from 1, of the faces in the subset (`gt_list`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kptkit.data.formats.mat_array import Array
from kptkit.data.formats.mat_file import read_mat
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples
from kptkit.wording import name_of

SUBSETS = ("easy", "medium", "hard")

# Cell arrays with an element per event; those of all but the first are cell arrays of pictures.
_VARIABLES = ("event_list", "file_list", "face_bbx_list", "gt_list")

# The boxes x y w h of the faces in the subset, of one picture.
_Boxes = set[tuple[float, ...]]


def read_wider_subsets(folder: str | os.PathLike, samples: FaceSamples) -> dict[str, np.ndarray]:
    """Which faces are outside each subset.

    Args:
        folder: contains the three files.
        samples: the N faces of the validation set as `kptkit.data.faces.wider` reads it, whole or
            in part.

    Returns:
        For each of `SUBSETS` (N,) bool, True for the faces outside it.

    Raises:
        InputError: a file is missing or unusable, or does not list a picture of `samples`.
    """
    pictures = ["/".join(Path(path).with_suffix("").parts[-2:]) for path in samples.image_paths]
    corners = np.rint(boxes.to_xywh(samples.boxes_xyxy)).astype(int).tolist()
    ignored = {}
    for subset in SUBSETS:
        path = Path(folder, f"wider_{subset}_val.mat")
        listed = _read_list(path)
        for picture in pictures:
            if picture not in listed:
                raise InputError(
                    f"{path}: file_list: {name_of(picture)} is missing; expected every picture of "
                    "the annotations; only WIDER FACE's own validation set has these subsets"
                )
        ignored[subset] = np.array(
            [
                tuple(corner) not in listed[pictures[image]]
                for corner, image in zip(corners, samples.image_index, strict=True)
            ],
            dtype=bool,
        )
    return ignored


def _read_list(path: Path) -> dict[str, _Boxes]:
    """The faces in the subset for each picture, named event/name without suffix."""
    variables = [read_mat(path, name, "a list of WIDER FACE's tools") for name in _VARIABLES]
    try:
        return {
            f"{event.text()}/{name.text()}": _subset(faces, numbers)
            for event, *cells in _parallel(variables)
            for name, faces, numbers in _parallel(cells)
        }
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _parallel(arrays: list[Array]) -> Iterator[tuple[Array, ...]]:
    """The elements of cell arrays of the same length, side by side."""
    columns = [array.cells() for array in arrays]
    for array, column in zip(arrays, columns, strict=True):
        if len(column) != len(columns[0]):
            raise InputError(
                f"{array.where}: {len(column)} cells; expected {len(columns[0])}, as in "
                f"{arrays[0].where}"
            )
    return zip(*columns, strict=True)


def _subset(faces: Array, numbers: Array) -> _Boxes:
    """The rows of `faces` (F, 4) with these numbers, which count from 1."""
    if numbers.is_empty:
        return set()
    rows, chosen = faces.numbers(), numbers.numbers().ravel()
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise InputError(f"{faces.where}: expected faces of four numbers, x y w h")
    if not np.isin(chosen, np.arange(1, len(rows) + 1)).all():
        raise InputError(f"{numbers.where}: expected numbers of faces, from 1 to {len(rows)}")
    return {tuple(row) for row in rows[chosen.astype(int) - 1].tolist()}
