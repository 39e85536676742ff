"""The project's own files: written atomically, with locks and checksums.

A file or folder gets its final name by one rename, after its bytes have reached the disk. So a
process that is killed at any moment leaves either the old version or the new one.
"""

import errno
import fcntl
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
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


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
                _sync(Path(folder, name))
            _sync(Path(folder))
        unfinished.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Removes what killed writers left in `folder`; call it only while holding its lock."""
    for leftover in Path(folder).glob(UNFINISHED_PREFIX + "*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def locked(folder: str | os.PathLike) -> Iterator[Path]:
    """Locks `folder` for this process; makes the folder if it is missing.

    The operating system releases the lock when the process ends, even if it is killed.

    Raises:
        InputError: another process holds the lock; the message gives its process id.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise InputError(
                f"{folder}: in use by process {pid}; wait for it or choose another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield folder


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes `content` as JSON, see `publish_file`.

    Raises:
        ValueError: it contains NaN or infinity.
    """
    with publish_file(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
