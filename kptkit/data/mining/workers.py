"""A pool of worker processes that fails cleanly when a worker is killed.

`work_on` gives numbered parts to worker processes and yields their results as they are ready.
Unlike a `multiprocessing.Pool`, it raises an error if a worker is killed at any moment, even while
it sends a result, and no worker outlives the parent.

Every worker process imports this module, so it imports nothing heavy.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
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
) -> Generator[tuple[int, Iterable[Result]], None, None]:
    """Computes the results of numbered parts; yields each part's number with its results.

    If you stop iterating early, close the generator: that ends the workers.

    Args:
        parts: by number.
        make: computes the results of a part. With workers it must be picklable: a module-level
            function or a partial of one; its module should import quickly.
        workers: number of processes. With 0, the parts are computed in this process, in order, and
            the results of a part can be consumed while they are computed.

    Raises:
        InputError: a worker was killed.
        Exception: what `make` raised in a worker, with the worker's traceback as a note.
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
            with _killed_worker_error():
                connection.send(next(waiting))
        while crew:
            ready = wait(list(crew))
            for connection in [connection for connection in crew if connection in ready]:
                yield _receive_result(connection, waiting, crew)
    finally:
        for process in crew.values():
            process.kill()
        for process in crew.values():
            process.join()


def _start_worker(make: Callable[[Part], Iterable[Result]]) -> tuple[Connection, BaseProcess]:
    # Not forked: a fork of a process with threads, such as TensorFlow's, may hang.
    context = multiprocessing.get_context("spawn")
    # Each worker has a pipe of its own, and no other process holds the worker's end. So if a worker
    # dies while it sends, the parent sees the end of the pipe. With the one queue of a pool the
    # parent would wait forever.
    connection, theirs = context.Pipe()
    process = context.Process(target=_run_worker, args=(theirs, make), daemon=True)
    process.start()
    theirs.close()
    return connection, process


def _receive_result(
    connection: Connection,
    waiting: Iterator[tuple[int, Part]],
    crew: dict[Connection, BaseProcess],
) -> tuple[int, list[Result]]:
    """Receives a worker's result and sends it the next part; without one, ends the worker."""
    with _killed_worker_error():
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
def _killed_worker_error() -> Iterator[None]:
    """Raises an InputError that says what happened if the worker's end of a pipe is gone."""
    try:
        yield
    except (EOFError, OSError):
        raise InputError(
            "a worker process was killed, possibly because memory ran out; run the command again, "
            "it goes on where it stopped; fewer --workers need less memory"
        ) from None


def _run_worker(connection: Connection, make: Callable[[Part], Iterable[Result]]) -> None:
    """The worker's loop: receives parts, sends results or the error, until the pipe is closed."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl+C the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            number, part = connection.recv()
        except (EOFError, OSError):
            return
        outcome: tuple[int, list[Result]] | Exception
        try:
            outcome = number, list(make(part))
        except Exception as error:
            error.add_note(f"In a worker process:\n{traceback.format_exc()}")
            outcome = error
        connection.send(outcome)
        del outcome, part  # free the memory while waiting for the next part


def _end_with_parent() -> None:
    """Ends this process when its parent dies, even by SIGKILL."""
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
    os._exit(1)
