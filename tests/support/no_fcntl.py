"""Makes this process take the branches for Windows: `fcntl` cannot be imported, `msvcrt` can.

`msvcrt.locking` is stood in for by POSIX record locks, which exclude other processes in the same
way: one byte at the current place of the file.
"""

import os
import sys
from types import ModuleType

_NO_WAIT, _RELEASE = 2, 0


def _locking(handle: int, mode: int, count: int) -> None:
    # On Windows nobody else can read what is locked, and others read the number of the process.
    assert os.lseek(handle, 0, os.SEEK_CUR) > os.fstat(handle).st_size
    os.lockf(handle, {_NO_WAIT: os.F_TLOCK, _RELEASE: os.F_ULOCK}[mode], count)


def block_fcntl() -> None:
    """Call before `kptkit` is imported."""
    import multiprocessing.popen_spawn_posix  # noqa: F401  (they too look for msvcrt)
    import subprocess  # noqa: F401

    assert not any(name.startswith("kptkit.") for name in sys.modules)
    sys.modules["fcntl"] = None
    msvcrt = ModuleType("msvcrt")
    msvcrt.LK_NBLCK, msvcrt.LK_UNLCK, msvcrt.locking = _NO_WAIT, _RELEASE, _locking
    sys.modules["msvcrt"] = msvcrt
