"""Folders of numbered versions, as TF Serving watches them.

A version is filled, synced, and then published under its number by one rename. TF Serving loads
any folder whose name is a number at once, so unfinished ones have other names.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kptkit.errors import InputError
from kptkit.files import UNFINISHED_PREFIX, locked, publish_folder, remove_unfinished
from kptkit.system import remove, rename

# The file that marks a version as written by kptkit; other versions are never removed.
MANIFEST = Path("assets.extra", "export.json")

MAX_VERSION = 2**63 - 1

_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)


def versions(folder: str | os.PathLike) -> dict[int, Path]:
    """The version folders in `folder` by number, oldest first; empty if `folder` is missing."""
    if not Path(folder).is_dir():
        return {}
    numbers = {
        int(path.name): path for path in Path(folder).iterdir() if _NUMBER.fullmatch(path.name)
    }
    return {n: numbers[n] for n in sorted(numbers) if -MAX_VERSION <= n <= MAX_VERSION}


@contextmanager
def new_version(
    folder: str | os.PathLike, version: int | None = None, keep: int | None = None
) -> Iterator[tuple[Path, Path]]:
    """Yields a version's final path, and an empty folder that is renamed to it once filled.

    Args:
        version: default: one more than the highest there.
        keep: how many of the newest versions stay; default: all.

    Raises:
        InputError: the version exists, a number is out of range, or another process is exporting to
            `folder`.
    """
    if version is not None and not 1 <= version <= MAX_VERSION:
        raise InputError(f"version: {version}, expected a whole number from 1")
    if keep is not None and keep < 1:
        raise InputError(f"keep: {keep}, expected at least 1")
    with locked(folder) as folder:
        remove_unfinished(folder)
        there = versions(folder)
        if version is None:
            version = max(1, 1 + max(there, default=0))
        if version in there:
            raise InputError(f"{there[version]}: exists already; name another version or remove it")
        path = folder / str(version)
        with publish_folder(path) as unfinished:
            yield path, unfinished
        if keep is not None:
            _prune(folder, keep)


def _prune(folder: Path, keep: int) -> None:
    for number in list(versions(folder))[:-keep]:
        path = versions(folder)[number]
        if (path / MANIFEST).is_file():
            # Removed by one rename too: TF Serving must never see half a version.
            doomed = rename(path, folder / f"{UNFINISHED_PREFIX}{path.name}")
            remove(doomed)
