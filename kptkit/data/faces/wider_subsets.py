"""The easy, medium and hard faces of WIDER FACE's validation set, from its evaluation's lists.

They are `wider_easy_val.mat`, `wider_medium_val.mat` and `wider_hard_val.mat` of the evaluation
tools of http://shuoyang1213.me/WIDERFACE. Each holds all faces of all pictures (`face_bbx_list`),
and for each picture the numbers, from 1, of those that belong to the subset (`gt_list`).
"""

import os
import zlib
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples

SUBSETS = ("easy", "medium", "hard")

# What a file that is none of the lists, or a broken one, raises on its way through SciPy.
_BROKEN = (
    *(MatReadError, zlib.error, OSError, NotImplementedError),
    *(ValueError, KeyError, IndexError, TypeError, AttributeError),
)

# A picture as event/name without its suffix, and the boxes x y w h of its faces in the subset.
_Listed = dict[str, set[tuple[int, ...]]]


def read_wider_subsets(folder: str | os.PathLike, samples: FaceSamples) -> dict[str, np.ndarray]:
    """Which faces each subset leaves out.

    Args:
        folder: of the three lists.
        samples: the validation set as `kptkit.data.faces.wider` reads it, whole or in part.

    Returns:
        For each of `SUBSETS` (N,) bool, True for the faces outside it.

    Raises:
        InputError: a list is missing or unusable, or a picture stands in none.
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
                    f"{path}: file_list: {picture} is missing; expected every picture of the "
                    "annotations; only WIDER FACE's own validation set has these subsets"
                )
        ignored[subset] = np.array(
            [
                tuple(corner) not in listed[pictures[image]]
                for corner, image in zip(corners, samples.image_index, strict=True)
            ],
            dtype=bool,
        )
    return ignored


def _read_list(path: Path) -> _Listed:
    try:
        with open(path, "rb") as file:
            content = loadmat(file)
        cells = [content[name] for name in ("event_list", "file_list", "face_bbx_list", "gt_list")]
        listed: _Listed = {}
        for event, names, faces, numbers in zip(*(cell[:, 0] for cell in cells), strict=True):
            for name, own, kept in zip(names[:, 0], faces[:, 0], numbers[:, 0], strict=True):
                # MATLAB counts from 1; a picture with nothing in the subset has numbers of uint8.
                rows = own[kept.ravel().astype(int) - 1].tolist()
                listed[f"{event[0]}/{name[0]}"] = {tuple(row) for row in rows}
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; expected the lists of WIDER FACE's tools"
        ) from None
    except _BROKEN as error:
        raise InputError(f"{path}: not a list of WIDER FACE's tools ({error!r})") from None
    return listed
