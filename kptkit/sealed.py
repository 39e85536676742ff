"""Our own JSON documents: sealed when they are written, checked in full when they are read.

A document is a JSON object whose entry `seal` is the SHA-256 of all others, so that any damage is
found. A seal keeps nobody from writing other values on purpose. So what is read is also converted
to dataclasses, without guessing at types; these check their values themselves, and flags and
documents share those checks.
"""

import hashlib
import json
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kptkit.errors import InputError
from kptkit.files import write_text
from kptkit.reading import read_json
from kptkit.wording import printable

SEAL = "seal"
# Ten times the largest ones: the losses of each step of an epoch of 100,000 steps.
MAX_BYTES = 1 << 26

Document = TypeVar("Document")


def write_sealed(path: str | os.PathLike, content: dict[str, Any]) -> None:
    """Writes a document of our own, see `kptkit.files.publish_file`.

    Raises:
        ValueError: it contains NaN or infinity.
    """
    write_text(path, sealed_text(content, indent=2))


def sealed_text(content: dict[str, Any], indent: int | None = None) -> str:
    """The text of a document of our own, with its seal.

    Raises:
        ValueError: it contains NaN or infinity.
    """
    content = as_read(content)
    return json.dumps(content | {SEAL: _seal(content)}, indent=indent, allow_nan=False) + "\n"


def as_read(content: dict[str, Any]) -> dict[str, Any]:
    """Content as it is read back: tuples become lists, keys become texts."""
    return json.loads(json.dumps(content))


def read_sealed(path: str | os.PathLike, advice: str) -> dict[str, Any]:
    """A document of our own without its seal; its values are to be checked by `convert`.

    Args:
        advice: what to do if it cannot be used, for messages.

    Raises:
        InputError: the file is missing, no regular file or too large, is not JSON, has no seal, or
            another one than its content.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: more than {MAX_BYTES:,} bytes; {advice}")
    content = read_json(path)
    seal = content.pop(SEAL, None) if isinstance(content, dict) else None
    if seal is None:
        raise InputError(
            f"{path}: no {SEAL}: written by another program or an earlier version of kptkit; "
            f"{advice}"
        )
    try:
        expected = _seal(content)
    except (RecursionError, ValueError):  # nested too deeply, or a number beyond all floats
        expected = None
    if seal != expected:
        raise InputError(f"{path}: altered since it was written; {advice}")
    return content


def convert(content: Any, kind: type[Document], place: str, advice: str) -> Document:
    """Content of a document as a dataclass, which has checked its values.

    Args:
        kind: the dataclass; its fields are those of the content, and defaults may be missing.
        place: the file, for messages.
        advice: what to do if it cannot be used, for messages.

    Raises:
        InputError: a value is missing, of another type, unknown or refused by its dataclass.
    """
    try:
        document = msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{place}: {_fault(error)}; {advice}") from None
    unknown = _unknown(content, document)
    if unknown:
        raise InputError(f"{place}: {_shown(unknown)}: unknown; {advice}")
    return document


def _seal(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _fault(error: msgspec.ValidationError) -> str:
    """What is wrong, after the place in the document, as in ``recipe.decoder: ...``."""
    text, _, end = str(error).rpartition(" - at `")
    text, place = (text, end[:-1]) if text else (end, "$")
    place = place.removeprefix("$").removeprefix(".")
    if isinstance(error.__cause__, InputError):  # its message begins with the name of a field
        message = str(error.__cause__).removeprefix(f"{place.rpartition('.')[2]}: ")
        return f"{place}.{_shown(message)}".removeprefix(".")
    text = text.replace("`", "").replace("enum value", "value")
    return _shown(f"{place}: {text[:1].lower()}{text[1:]}".removeprefix(": "))


def _unknown(content: Any, document: Any, place: str = "") -> str | None:
    """The place of the first entry that no dataclass has."""
    if is_dataclass(document):
        names = {field.name for field in fields(document)}
        for key in content:
            if key not in names:
                return f"{place}.{key}".removeprefix(".")
        pairs = [(f"{place}.{key}", content[key], getattr(document, key)) for key in content]
    elif isinstance(document, dict):
        pairs = [(f"{place}.{key}", content[key], value) for key, value in document.items()]
    elif isinstance(document, (list, tuple)):
        pairs = [(f"{place}[{n}]", content[n], value) for n, value in enumerate(document)]
    else:
        return None
    found = (_unknown(inner, value, where.removeprefix(".")) for where, inner, value in pairs)
    return next(filter(None, found), None)


def _shown(text: str) -> str:
    """Text out of a document, in one line of bounded length that no terminal interprets."""
    line = printable(text)
    return line if len(line) <= 300 else f"{line[:300]}..."
