"""Checks the paths that flags name before any work begins."""

import os
from pathlib import Path

from kptkit.errors import InputError
from kptkit.fields import Existing
from kptkit.options.flag import Flag
from kptkit.options.parse import Parsed


def check_paths(parsed: Parsed) -> None:
    """Checks that what is read is there, and that what is written can be.

    Raises:
        InputError: a path cannot be used; the message names its flag.
    """
    for flag in parsed.flags:
        value = parsed.value(flag)
        if flag.on_disk is None or not value or (flag not in parsed.given and _read(flag)):
            continue
        for path in value if isinstance(value, tuple) else (value,):
            said = f"{flag.name} {path}" if not flag.positional else str(path)
            _check(said, Path(path), flag)


def _read(flag: Flag) -> bool:
    return isinstance(flag.on_disk, Existing)


def _check(said: str, path: Path, flag: Flag) -> None:
    kind = flag.on_disk.kind if flag.on_disk else ""
    if _read(flag):
        if not path.exists():
            raise InputError(f"{said}: no such {kind}")
        if (kind == "file" and path.is_dir()) or (kind == "folder" and not path.is_dir()):
            raise InputError(
                f"{said}: a {'folder' if path.is_dir() else 'file'}; expected a {kind}"
            )
        return
    if path.exists() and path.is_dir() != (kind == "folder"):
        found = "folder" if path.is_dir() else "file"
        raise InputError(f"{said}: a {found} is there; expected the name of a {kind} to write")
    nearest = path if path.is_dir() else path.parent
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise InputError(f"{said}: {nearest} is a file; expected a folder there")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{said}: {nearest} cannot be written to; give another place")
