"""Files that kptkit did not write: JSON and text, checked while read; foreign weight files.

Any fault of a file is reported as one line that names the file and the place in it.
"""

import json
import math
import os
import reprlib
import stat
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kptkit.errors import InputError
from kptkit.wording import printable


def read_json(path: str | Path, without: Collection[str] = ()) -> Any:
    """The content of a JSON file in UTF-8, with or without a byte-order mark.

    Args:
        without: keys whose values are dropped during parsing, to save memory.

    Raises:
        InputError: the file is missing, not a regular file, empty, not UTF-8, cut off, nested too
            deeply, or contains NaN or Infinity, which JSON does not allow.
    """
    return parse_json(read_text(path, "a JSON file"), path, without)


def parse_json(text: str, path: str | Path, without: Collection[str] = ()) -> Any:
    """The content of a JSON text; see `read_json`.

    Args:
        path: of the file that holds it, for messages.
    """
    constants = []

    def note_constant(literal: str) -> float:
        constants.append(literal)
        return math.nan

    def drop_keys(content: dict[str, Any]) -> dict[str, Any]:
        for key in without:
            content.pop(key, None)
        return content

    hook = drop_keys if without else None
    try:
        document = json.loads(text, parse_constant=note_constant, object_hook=hook)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno} column {error.colno}: {error.msg}; expected JSON, "
            "is the file cut off?"
        ) from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; expected lists of flat objects") from None
    except ValueError:  # Python's limit, beyond which conversion takes too long
        raise InputError(f"{path}: a number of more than 4,300 digits; expected JSON") from None
    # A constant under a dropped key does no harm.
    place = _first_nan(document) if constants else None
    if place is not None:
        raise InputError(f"{path}: {place}: {constants[0]}; expected a finite number")
    return document


def read_text(path: str | Path, expected: str) -> str:
    """The content of a text file in UTF-8, with or without a byte-order mark.

    Args:
        expected: what the file should be, for error messages.

    Raises:
        InputError: the file is missing, not a regular file, empty or not UTF-8.
    """
    content = read_content(path, expected)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} ({content[error.start]:#04x}) is not UTF-8; "
            "save the file as UTF-8"
        ) from None


def read_content(path: str | Path, expected: str) -> bytes:
    """The bytes of a file.

    Args:
        expected: what the file should be, for error messages.

    Raises:
        InputError: the file is missing, not a regular file, or empty.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: not a regular file; expected {expected}")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected {expected}") from None
    if not content.strip():
        raise InputError(f"{path}: empty; expected {expected}")
    return content


def _first_nan(document: Any) -> str | None:
    """Where the first NaN of a document is, for example ``annotations[12].bbox[0]``."""
    waiting = [("", document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, float) and math.isnan(value):
            return place or "top level"
        if isinstance(value, dict):
            inner = [(f"{place}.{key}".lstrip("."), item) for key, item in value.items()]
        elif isinstance(value, list):
            inner = [(f"{place}[{index}]", item) for index, item in enumerate(value)]
        else:
            continue
        waiting.extend(reversed(inner))
    return None


def shown(content: Any, key: str) -> str:
    """A key's value, shortened for an error message; "missing" if the key is absent."""
    return reprlib.repr(content[key]) if key in content else "missing"


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """The values in which two JSON documents differ, each as ``a.b was 1, is now 2``."""
    if old == new:
        return []
    old_items, new_items = _items(old), _items(new)
    if old_items or new_items:
        return [
            line
            for key in sorted(old_items.keys() | new_items.keys())
            for line in differences(
                old_items.get(key), new_items.get(key), f"{name}{key}"[not name :]
            )
        ]
    if name.endswith("sha256"):
        return [f"{_brief(name)} is of other content"]
    return [f"{_brief(name)} was {_in_words(old)}, is now {_in_words(new)}"]


def _items(value: Any) -> dict[str, Any]:
    """The parts of an object, or of a list of objects, by what leads to them."""
    if isinstance(value, dict):
        return {f".{key}": item for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return {f"[{index}]": item for index, item in enumerate(value)}
    return {}


def _in_words(value: Any) -> str:
    return "not given" if value is None or value == [] or value == "" else _brief(value)


def _brief(value: Any) -> str:
    """A value for a message: short, and of letters that no terminal interprets."""
    line = printable(str(value)[:100])
    return line if len(str(value)) <= 100 else f"{line}..."


_CONVERT = "kptkit convert reads those of HRNet, mmpose and the hourglass safely"
_OWN = "kptkit reads its own .npz files, run folders and known names"

# First bytes of a foreign file; what it is; what to do with it.
_FOREIGN = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (.h5 of Keras)", _OWN),
    (b"\x93NUMPY", "a single array or Python object (.npy)", _OWN),
    (b"\x04\x22\x4d\x18", "an LZ4 file (of joblib or OpenPose)", _OWN),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"PAR1", "a Parquet file", _OWN),
)


def refuse_foreign(path: str | os.PathLike) -> None:
    """Refuses other frameworks' weight files, recognised by their first bytes and suffix.

    Most of these formats can run code or open other files when they are loaded, so only the first
    512 bytes (for a zip archive, its list of names) are read. A file that may be an `.npz` of
    arrays passes.

    Raises:
        InputError: the file is in a known foreign format, such as a Keras model or a pickle.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(512)
    kind = next(((what, do) for start, what, do in _FOREIGN if head.startswith(start)), None)
    # Pickle protocols 2 to 5 have a binary header; 0 and 1 are recognised by the suffix only.
    is_binary = len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
    if head.startswith(b"PK"):
        kind = _zip_kind(path)
    elif is_binary or path.suffix.lower() in (".pkl", ".pickle", ".joblib"):
        kind = "a pickle (of Python, joblib or old PyTorch), which can run code", _CONVERT
    elif head[257:262] == b"ustar":
        kind = "a tar archive", "unpack it first"
    if kind is not None:
        what, do = kind
        raise InputError(f"{path}: not an .npz weights file but {what}; {do}")


def _zip_kind(path: Path) -> tuple[str, str] | None:
    """What a zip archive is and what to do with it; None if it may be an `.npz`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None  # damaged, no known kind: the reader of arrays opens it next and reports how
    if "config.json" in names and "metadata.json" in names:
        return "a Keras model (.keras), which can run code", _OWN
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch checkpoint, a pickle inside", _CONVERT
    return None
