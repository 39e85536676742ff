"""Files that are whole or absent: atomic publication, locks and checksums.

Every finished file or folder appears under its final name by one rename, after its bytes have
reached the disk, so that a process killed at any moment leaves the old version or the new one.
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

# Names under which unfinished work stands; readers skip them, a rerun removes them.
UNFINISHED_PREFIX = ".unfinished-"


@contextmanager
def publish_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a path to write to; on success its content appears at `path` by one rename."""
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
    """Yields an empty folder to fill; on success it appears at `path` by one rename.

    Raises:
        InputError: `path` exists already (a finished folder is never overwritten).
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
    """Holds `folder` (made if need be) for this process; the system lets go when the process dies.

    Raises:
        InputError: another process holds it; the message names its pid.
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
    """The hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Publishes `content` as JSON at `path`; NaN and infinity are refused."""
    with publish_file(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    """Asks the disk to hold what was written to a file, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
