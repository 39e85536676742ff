"""Runs ranges of seeds in child processes and notes their answers."""

import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from campaign.ledger import Ledger
from campaign.parts import FOLDER, Part

TESTS = Path(__file__).parents[1]
# How long a child may take before its first answer.
_START_S = 300.0


def run_part(part: Part, ranges: Iterable[tuple[int, int]], ledger: Ledger, jobs: int) -> None:
    """Makes all attempts of `ranges`, `jobs` child processes at once."""
    pieces: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    for first, stop in ranges:
        for start in range(first, stop, part.at_once):
            pieces.put((start, min(start + part.at_once, stop)))
    total = pieces.qsize()
    if not total:
        return
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        folder = Path(name, part.name)
        folder.mkdir()
        environment = os.environ | {
            FOLDER: str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(TESTS), os.getenv("PYTHONPATH")])),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        module = part.module or f"campaign.{part.name}"
        command = [sys.executable, "-m", "campaign.child", module]
        subprocess.run([*command, "prepare"], env=environment, check=True)

        def work() -> None:
            while True:
                try:
                    piece = pieces.get_nowait()
                except queue.Empty:
                    return
                record = _run_piece(part, *piece, command, environment, folder)
                with lock:
                    ledger.add(record)
                    done = total - pieces.qsize()
                    print(f"{part.name}: {done} of {total}", record["wrong"] or "", flush=True)

        threads = [threading.Thread(target=work) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _run_piece(
    part: Part, first: int, stop: int, command: list[str], environment: dict, folder: Path
) -> dict:
    """The record of seeds `first` to `stop`; a child that dies is followed by another."""
    start, wrong, peak_mb, seed = time.monotonic(), {}, 0, first
    complaints = folder.with_name(f"errors-{first}.txt")
    while seed < stop:
        with open(complaints, "wb") as errors:
            child = subprocess.Popen(
                [*command, str(seed), str(stop)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        for line in _answers(child, part.limit_s):
            head, _, text = line.partition(" ")
            if head == "peak":
                peak_mb = max(peak_mb, int(text))
            else:
                seed = int(head) + 1
                if text:
                    wrong[head] = text
        code = child.wait()
        if seed < stop:  # it died, or was stopped
            last = complaints.read_bytes()[-500:].decode(errors="replace").strip().split("\n")
            wrong[str(seed)] = f"the process ended with {code}: {' | '.join(last[-3:])}"
            seed += 1
    return {
        "part": part.name,
        "first": first,
        "stop": stop,
        "wrong": wrong,
        "seconds": round(time.monotonic() - start, 1),
        "peak_mb": peak_mb,
        "commit": _commit(),
    }


def _answers(child: subprocess.Popen, limit_s: float) -> Iterator[str]:
    """The lines that a child writes; it is killed, with its children, when none comes in time."""
    pipe = child.stdout.fileno()
    waiting, wait_s = b"", _START_S
    with child.stdout:
        while select.select([pipe], [], [], wait_s)[0]:
            part = os.read(pipe, 1 << 16)
            if not part:
                return
            *lines, waiting = (waiting + part).split(b"\n")
            yield from (line.decode() for line in lines)
            if lines:
                wait_s = limit_s
    os.killpg(child.pid, signal.SIGKILL)


def _commit() -> str:
    """The commit of the code; with a plus sign if files were changed since."""
    run = ["git", "-C", str(TESTS), "describe", "--always", "--exclude=*", "--dirty=+"]
    return subprocess.run(run, capture_output=True, text=True).stdout.strip() or "unknown"
