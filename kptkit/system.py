"""What differs between operating systems: locks, signals, and what makes a rename durable.

On Windows there is no `fcntl`, a folder cannot be synced, and a file that somebody reads cannot be
replaced; programs such as virus scanners and search indexes read every new file for a moment.
"""

import errno
import os
import signal
import time
from importlib import import_module
from pathlib import Path

try:
    import fcntl
except ImportError:
    WINDOWS = True
else:
    WINDOWS = False

# Ctrl+C, and what a scheduler sends; Ctrl+Break is Windows'.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)

# The byte that is locked on Windows. It lies beyond the content, which others may still read.
_LOCKED_BYTE = 2**30

# Seconds to wait for the readers of a file that is replaced, in all about three.
_WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5)


def try_lock(handle: int) -> bool:
    """Locks an open file for this process, unless another process has locked it.

    The system releases the lock when the file is closed or the process ends, even if it is killed.

    Returns:
        Whether the lock was obtained.
    """
    try:
        if WINDOWS:
            msvcrt = import_module("msvcrt")
            os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk.

    Windows has no such call for folders.
    """
    if WINDOWS and path.is_dir():
        return
    # Windows syncs only what is open for writing.
    handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(old: Path, new: Path) -> Path:
    """Renames a file or folder, in one step; a file that has the new name is replaced.

    On Windows it waits for readers of either to finish.

    Raises:
        OSError: as `Path.replace`.
    """
    for seconds in _WAITS if WINDOWS else ():
        try:
            return old.replace(new)
        except PermissionError:
            time.sleep(seconds)
    return old.replace(new)
