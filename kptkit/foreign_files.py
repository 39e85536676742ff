"""What other programs' weights files are, told by their first bytes: kptkit opens none of them.

Most of these formats can run code, or name other files, when they are loaded.
"""

import os
import zipfile
from pathlib import Path

from kptkit.errors import InputError

_CONVERT = "scripts/convert_weights.py reads those of HRNet, mmpose and the hourglass safely"
_OWN = "kptkit reads its own .npz files, run folders and known names"

# How files begin, what they are then and what to do.
_KINDS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (.h5 of Keras)", _OWN),
    (b"\x93NUMPY", "a single array or Python object (.npy)", _OWN),
    (b"\x04\x22\x4d\x18", "an LZ4 file (of joblib or OpenPose)", _OWN),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"PAR1", "a Parquet file", _OWN),
)


def refuse_foreign(path: str | os.PathLike) -> None:
    """Does nothing for a file that may be an `.npz` of arrays.

    Raises:
        InputError: it is something else that has a name, such as a Keras model or a pickle.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(512)
    kind = next(((what, do) for start, what, do in _KINDS if head.startswith(start)), None)
    # A pickle's protocol 2 to 5, and the text protocols by which only names tell.
    is_binary = len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
    if head.startswith(b"PK"):
        kind = _zip_kind(path)
    elif is_binary or path.suffix.lower() in (".pkl", ".pickle", ".joblib"):
        kind = "a pickle (of Python, joblib or old PyTorch), which is a program", _CONVERT
    elif head[257:262] == b"ustar":
        kind = "a tar archive", "unpack it first"
    if kind is not None:
        what, do = kind
        raise InputError(f"{path}: not an .npz weights file but {what}; {do}")


def _zip_kind(path: Path) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None  # damaged: whoever reads it says how
    if "config.json" in names and "metadata.json" in names:
        return "a Keras model (.keras), which may be a program", _OWN
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch checkpoint, a pickle inside", _CONVERT
    return None
