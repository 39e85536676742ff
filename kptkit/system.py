"""What differs between operating systems: locks, signals, forks, reading, syncing, renaming.

On Windows there is no `fcntl`, a folder cannot be synced, and a file that somebody reads can be
neither replaced nor removed; programs such as virus scanners and search indexes read every new file
for a moment.
"""

import errno
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from kptkit.errors import InputError

try:
    import fcntl
except ImportError:
    WINDOWS = True
else:
    WINDOWS = False

Result = TypeVar("Result")

# Ctrl+C, and what a scheduler sends; Ctrl+Break is Windows'.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)

# The byte that is locked on Windows. It lies beyond the content, which others may still read.
_LOCKED_BYTE = 2**30

# Seconds to wait for the readers of a file, in all about three.
_WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5)

_reading = threading.Lock()


class _Process:
    """What a forked process inherits, and what it must make anew."""

    def __init__(self, forked_too_late: bool = False):
        self.forked_too_late = forked_too_late
        # A thread of the parent may have held the lock, and there is no such thread in the child.
        self.building = threading.RLock()


_process = _Process()


def _tensorflow_runs() -> bool:
    """Whether TensorFlow has started its threads, which importing it alone does not."""
    module = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(module, "_context", None)
    return getattr(context, "_context_handle", None) is not None


def _after_fork() -> None:
    global _process
    _process = _Process(_tensorflow_runs())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def refuse_late_fork() -> None:
    """To be called before TensorFlow is used; a child forked too late would wait for ever.

    Raises:
        InputError: this process was forked from one in which TensorFlow had started.
    """
    if _process.forked_too_late:
        raise InputError(
            "this process was forked after TensorFlow had started, which does not survive that; "
            "fork before anything is predicted or loaded (constructing a FaceDetector, or a "
            "PoseEstimator by its name, is allowed before), or start processes by spawn"
        )


def building() -> AbstractContextManager:
    """The lock under which threads build at first use what they share."""
    return _process.building


def runs(process: int) -> bool:
    """Whether a process of this machine is running; always on Windows, where asking may end it."""
    if WINDOWS:
        return True
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def try_lock(handle: int) -> bool:
    """Locks an open file for this process, unless another holder has locked it.

    The system releases the lock when the process ends, even if it is killed.

    Returns:
        Whether the lock was obtained.
    """
    try:
        if WINDOWS:
            _lock_byte(handle, "LK_NBLCK")
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def unlock(handle: int) -> None:
    """Releases the lock of `try_lock` at once; Windows may take its time when a file is closed."""
    if WINDOWS:
        _lock_byte(handle, "LK_UNLCK")
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _lock_byte(handle: int, mode: str) -> None:
    msvcrt = import_module("msvcrt")
    os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
    msvcrt.locking(handle, getattr(msvcrt, mode), 1)


def open_to_read(path: Path) -> int:
    """Opens a file for `read_at`; to be closed with `os.close`."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))


def read_at(handle: int, count: int, offset: int) -> bytes:
    """Reads bytes at a place of a file that several threads may read."""
    if not WINDOWS:
        return os.pread(handle, count, offset)
    with _reading:
        os.lseek(handle, offset, os.SEEK_SET)
        return os.read(handle, count)


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk.

    Windows has no such call for folders.
    """
    if WINDOWS and path.is_dir():
        return
    # Windows syncs only what is open for writing.
    handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        if sys.platform == "darwin":
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)  # fsync stops at the disk's own memory
        else:
            os.fsync(handle)
    finally:
        os.close(handle)


def rename(old: Path, new: Path) -> Path:
    """Renames a file or folder, in one step; a file that has the new name is replaced.

    On Windows it waits for readers of either to finish, as `remove` does.

    Raises:
        OSError: as `Path.replace`.
    """
    return _after_readers(lambda: old.replace(new))


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it; nothing happens if it is missing."""
    if path.is_dir() and not path.is_symlink():
        _after_readers(lambda: shutil.rmtree(path))
    else:
        _after_readers(lambda: path.unlink(missing_ok=True))


def _after_readers(work: Callable[[], Result]) -> Result:
    for seconds in _WAITS if WINDOWS else ():
        try:
            return work()
        except PermissionError:
            time.sleep(seconds)
    return work()
