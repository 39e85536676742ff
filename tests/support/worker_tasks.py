"""What tests give to worker processes, which must be able to import it."""

import os
import signal
import time
from pathlib import Path

from kptkit.errors import InputError


def squares(part):
    for number in part:
        yield number**2


def give_up(part):
    raise InputError(f"part {part}")


def die(part):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(part):
    raise PermissionError(f"part {part}")


def megabytes(part):
    return [bytes(50_000_000)]


def start_and_sleep(mark):
    Path(mark).touch()
    time.sleep(60)
    return []
