"""Parts of a work shared out among processes; results come as they are ready.

It imports nothing heavy, since every process imports it anew.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
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
    waiting = iter(parts.items())
    crew: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(min(workers, len(parts))):
            connection, process = _start_worker(make)
            crew[connection] = process
            with _deaths_told():
                connection.send(next(waiting))
        while crew:
            for connection in wait(list(crew)):
                yield _result(connection, waiting, crew)
    finally:
        for process in crew.values():
            process.kill()
        for process in crew.values():
            process.join()


def _start_worker(make: Callable[[Part], Iterable[Result]]) -> tuple[Connection, BaseProcess]:
    # Not forked: a copy of a process that runs threads, as TensorFlow does, may hang.
    context = multiprocessing.get_context("spawn")
    # A pipe for each, whose other end nobody else holds: of a worker that dies while it sends, the
    # end of the pipe is seen. A pool's one queue would be waited on for ever.
    connection, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, make), daemon=True)
    process.start()
    theirs.close()
    return connection, process


def _result(
    connection: Connection,
    waiting: Iterator[tuple[int, Part]],
    crew: dict[Connection, BaseProcess],
) -> tuple[int, list[Result]]:
    """A worker's result, after it was given the next part or, without one, was let go."""
    with _deaths_told():
        outcome = connection.recv()
        part = next(waiting, None)
        if part is not None:
            connection.send(part)
    if part is None:
        connection.close()
        crew.pop(connection).join()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@contextmanager
def _deaths_told() -> Iterator[None]:
    """Turns what a pipe says whose other end is gone into what happened."""
    try:
        yield
    except (EOFError, OSError):
        raise InputError(
            "a worker process was killed, perhaps for want of memory; run the command again, it "
            "goes on where it stopped; fewer --workers need less memory"
        ) from None


def _work(connection: Connection, make: Callable[[Part], Iterable[Result]]) -> None:
    """What a worker does: parts in, results or the error out, until there are no more."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            number, part = connection.recv()
        except (EOFError, OSError):
            return
        try:
            outcome = number, list(make(part))
        except Exception as error:
            error.add_note(f"In a worker process:\n{traceback.format_exc()}")
            outcome = error
        connection.send(outcome)
        del outcome, part  # which may be large, while the next part is waited for


def _end_with_parent() -> None:
    """Ends this process when its parent dies, even of a kill."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
