"""JSON and text files from strangers: read whole, or refused by one line that names the place."""

import json
import math
import reprlib
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kptkit.errors import InputError


def read_json(path: str | Path, without: Collection[str] = ()) -> Any:
    """The content of a JSON file in UTF-8, with or without a byte-order mark.

    Args:
        without: keys whose values are dropped while the file is parsed, to save memory.

    Raises:
        InputError: the file is missing, no regular file, empty, not UTF-8, cut off, nested too
            deeply, or holds NaN or Infinity, which are no JSON.
    """
    text = read_text(path, "a JSON file")
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
    except ValueError as error:
        raise InputError(f"{path}: {error}; expected JSON") from None
    place = _first_nan(document) if constants else None
    if place is not None:
        raise InputError(f"{path}: {place}: {constants[0]}; expected a finite number")
    return document


def read_content(path: str | Path, expected: str) -> bytes:
    """The bytes of a file.

    Args:
        expected: what the file should be, for messages.

    Raises:
        InputError: the file is missing, no regular file, or empty.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: no regular file; expected {expected}")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected {expected}") from None
    if not content.strip():
        raise InputError(f"{path}: empty; expected {expected}")
    return content


def read_text(path: str | Path, expected: str) -> str:
    """The content of a text file in UTF-8, with or without a byte-order mark.

    Args:
        expected: what the file should be, for messages.

    Raises:
        InputError: the file is missing, no regular file, empty or not UTF-8.
    """
    content = read_content(path, expected)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} ({content[error.start]:#04x}) is not UTF-8; "
            "save the file as UTF-8"
        ) from None


def _first_nan(document: Any) -> str | None:
    """Where the first NaN of a document stands, as in ``annotations[12].bbox[0]``."""
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
    """A key's value, short enough for a message; "missing" where there is none."""
    return reprlib.repr(content[key]) if key in content else "missing"


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """The values in which two JSON documents differ, as ``a.b was 1, is now 2``."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{name} was {old}, is now {new}"]
