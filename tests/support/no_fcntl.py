"""Makes this process take the branches for Windows: `fcntl` cannot be imported, `msvcrt` can.

`msvcrt.locking` is stood in for by POSIX record locks, which exclude other processes in the same
way: one byte at the current place of the file.
"""

import os
import sys
from types import ModuleType


def _locking(handle: int, mode: int, count: int) -> None:
    assert mode == sys.modules["msvcrt"].LK_NBLCK
    os.lockf(handle, os.F_TLOCK, count)


def block_fcntl() -> None:
    """Call before `kptkit` is imported."""
    import multiprocessing.popen_spawn_posix  # noqa: F401  (they too look for msvcrt)
    import subprocess  # noqa: F401

    assert not any(name.startswith("kptkit.") for name in sys.modules)
    sys.modules["fcntl"] = None
    msvcrt = ModuleType("msvcrt")
    msvcrt.LK_NBLCK, msvcrt.locking = 2, _locking
    sys.modules["msvcrt"] = msvcrt
