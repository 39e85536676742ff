"""The project's own files: written atomically, with locks and checksums.

A file or folder gets its final name by one rename, after its bytes have reached the disk. So a
process that is killed at any moment leaves either the old version or the new one.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kptkit.errors import InputError
from kptkit.system import remove, rename, sync, try_lock, unlock

# Prefix of unfinished files and folders; readers skip them, and a rerun removes them.
UNFINISHED_PREFIX = ".unfinished-"


@contextmanager
def publish_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path to write to; on success it is renamed to `path`.

    Missing parent folders are made. On an error nothing is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=UNFINISHED_PREFIX, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.chmod(0o644)
        sync(unfinished)
        rename(unfinished, path)
        sync(path.parent)
    finally:
        remove(unfinished)


@contextmanager
def publish_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary empty folder to fill; on success it is renamed to `path`.

    Missing parent folders are made. On an error nothing is left.

    Raises:
        InputError: `path` exists already; a finished folder is never overwritten.
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path}: exists already; name another folder or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED_PREFIX, dir=path.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        for folder, _, names in os.walk(unfinished):
            for name in names:
                sync(Path(folder, name))
            sync(Path(folder))
        rename(unfinished, path)
        sync(path.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Removes what killed writers left in `folder`; call it only while holding its lock."""
    for leftover in Path(folder).glob(UNFINISHED_PREFIX + "*"):
        remove(leftover)


@contextmanager
def locked(folder: str | os.PathLike) -> Iterator[Path]:
    """Locks `folder` for this process; makes the folder if it is missing.

    The operating system releases the lock when the process ends, even if it is killed.

    Raises:
        InputError: another process holds the lock; the message gives its process id.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(handle):
            holder = (folder / ".lock").read_text(encoding="utf-8", errors="replace").strip()
            raise InputError(
                f"{folder}: in use by process {holder or 'unknown'}; wait for it or choose another "
                "folder"
            )
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, str(os.getpid()).encode())
        try:
            yield folder
        finally:
            unlock(handle)
    finally:
        os.close(handle)


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes `content` as JSON, see `publish_file`.

    Raises:
        ValueError: it contains NaN or infinity.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: str | os.PathLike, content: str) -> None:
    """Writes text in UTF-8, the same bytes on every system, see `publish_file`."""
    with publish_file(path) as unfinished:
        unfinished.write_bytes(content.encode())
