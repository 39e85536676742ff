"""Parts of a work shared out among processes; results come as they are ready.

It imports nothing heavy, since every process imports it anew.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait
from typing import TypeVar

import cv2

from kptkit.errors import InputError

Part = TypeVar("Part")
Result = TypeVar("Result")


def work_on(
    parts: dict[int, Part], make: Callable[[Part], Iterable[Result]], workers: int
) -> Iterator[tuple[int, Iterable[Result]]]:
    """Makes the results of numbered parts; yields each part's number with its results.

    Close it when leaving it early: that ends the workers.

    Args:
        make: with workers, a function of a module, or a partial of one, that leaves them nothing
            heavy to import.
        workers: processes. Without any, the parts are worked on here, in order, and each part's
            results may be consumed while they are made.

    Raises:
        InputError: a worker was killed.
    """
    if workers == 0:
        for number, part in parts.items():
            yield number, make(part)
        return
    # Not forked: a copy of a process that runs threads, as TensorFlow does, may hang.
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (reader,))
    try:
        # Made in the call, so that nothing holds results that were consumed.
        for done in as_completed([pool.submit(_make, n, make, part) for n, part in parts.items()]):
            yield done.result()
        pool.shutdown()
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed, perhaps for want of memory; run the command again, it "
            "goes on where it stopped; fewer --workers need less memory"
        ) from None
    finally:
        writer.close()
        pool.shutdown(cancel_futures=True)
        reader.close()


def _make(
    number: int, make: Callable[[Part], Iterable[Result]], part: Part
) -> tuple[int, list[Result]]:
    return number, list(make(part))


def _start_worker(reader: Connection) -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and ends its workers
    threading.Thread(target=_end_with_parent, args=(reader,), daemon=True).start()


def _end_with_parent(reader: Connection) -> None:
    """Ends this process when its parent stops or dies, even of a kill: the pipe closes then."""
    wait([reader])
    os._exit(1)
