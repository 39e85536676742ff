"""The project's own files: written atomically, with locks and checksums.

A file or folder gets its final name by one rename, after its bytes have reached the disk. So a
process that is killed at any moment leaves either the old version or the new one.
"""

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kptkit.errors import InputError
from kptkit.system import read_at, remove, rename, runs, sync, try_lock, unlock

# Prefix of unfinished files and folders, which readers skip. Behind it stand the machine and the
# process: what a killed one left is removed by the next that writes there.
UNFINISHED_PREFIX = ".unfinished-"
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]

# The folders in which this process has looked for what others left.
_swept: set[tuple[int, str]] = set()
_sweeping = threading.Lock()


# What the system's errors mean to whoever wants to write a file; others are said as it says them.
_REASONS = {
    errno.ENOSPC: "the disk is full; make room and run it again",
    errno.EDQUOT: "your share of the disk is full; make room and run it again",
    errno.EROFS: "its disk is read-only; name another folder",
    errno.EACCES: "you may not write there; name another folder",
    errno.EPERM: "you may not write there; name another folder",
    errno.ENOTDIR: "a file is where a folder should be; name another folder or remove it",
    errno.EEXIST: "a file is where a folder should be; name another folder or remove it",
    errno.EISDIR: "a folder of that name is in the way; name another file or remove it",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's errors into a sentence, if they are about writing `path`.

    Raises:
        InputError: the system could not write.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or not _concerns(error, path):  # without a number: a fault of ours
            raise
        reason = _REASONS.get(error.errno, f"{os.strerror(error.errno)}; name another folder")
        raise InputError(f"{path}: cannot be written: {reason}") from error


def _concerns(error: OSError, path: Path) -> bool:
    """Whether an error is about `path`, what is beside it or the folders around it."""
    if not path.is_absolute() and os.stat(os.curdir).st_nlink == 0:
        return False  # the current folder was removed, which has its own message
    if not isinstance(error.filename, str) or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    found = Path(error.filename)
    return found in (path, *path.parents) or path.parent in found.parents


@contextmanager
def publish_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path to write to; on success it is renamed to `path`.

    Missing parent folders are made. On an error nothing is left.

    Raises:
        InputError: the system could not write, for example because the disk is full.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=_own_prefix(path.parent), suffix=path.suffix, dir=path.parent
        )
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
        InputError: `path` exists already; a finished folder is never overwritten. Or the system
            could not write, for example because the disk is full.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise InputError(f"{path}: exists already; name another folder or remove it")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_own_prefix(path.parent), dir=path.parent))
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


def _own_prefix(folder: Path) -> str:
    """The prefix of this process; removes what killed ones left, when it first writes there."""
    process = os.getpid()
    with _sweeping:
        place = process, os.path.abspath(folder)
        if place not in _swept:
            _swept.add(place)
            for leftover in folder.glob(f"{UNFINISHED_PREFIX}{_MACHINE}-*"):
                owner = leftover.name.removeprefix(f"{UNFINISHED_PREFIX}{_MACHINE}-").split("-")[0]
                # Of an earlier process of our number, since we have written nothing here yet.
                dead = owner == str(process) or (owner.isdecimal() and not runs(int(owner)))
                if dead:
                    with contextlib.suppress(OSError):
                        remove(leftover)
    return f"{UNFINISHED_PREFIX}{_MACHINE}-{process}-"


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Removes what killed writers left in `folder`; call it only while holding its lock."""
    for leftover in Path(folder).glob(UNFINISHED_PREFIX + "*"):
        remove(leftover)


@contextmanager
def locked(folder: str | os.PathLike) -> Iterator[Path]:
    """Locks `folder` for this process; makes the folder if it is missing.

    The operating system releases the lock when the process ends, even if it is killed.

    Raises:
        InputError: another process holds the lock (the message gives its process id), or the folder
            cannot be written.
    """
    folder = Path(folder)
    lock = folder / ".lock"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o644)
    try:
        with writing(folder):
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise InputError(f"{lock}: not a regular file; remove it")
            if not try_lock(handle):
                holder = read_at(handle, 20, 0).decode(errors="replace")
                who = f"process {holder}" if holder.isdecimal() else "another process"
                raise InputError(f"{folder}: in use by {who}; wait for it or choose another folder")
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
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        InputError: it is a folder, or not a regular file, reading which may never end.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError(f"{os.fspath(path)}: not a regular file")
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
