import os
import signal
import subprocess
import sys
import time
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from support.worker_tasks import die, fail, give_up, megabytes, squares

from kptkit.data.mining.workers import work_on
from kptkit.errors import InputError


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("parts", [{}, {4: range(3)}, {0: [], 7: [2], 5: [3, 4]}])
def test_results_come_with_their_numbers(parts, workers):
    found = {number: list(results) for number, results in work_on(parts, squares, workers)}
    assert found == {number: [n**2 for n in part] for number, part in parts.items()}


def test_in_one_process_results_can_be_consumed_while_they_are_made():
    def endless(part):
        while True:
            yield part

    _, results = next(work_on({0: 5}, endless, 0))
    assert next(iter(results)) == 5


@pytest.mark.parametrize(("make", "error"), [(give_up, InputError), (fail, PermissionError)])
def test_errors_of_workers_are_raised(make, error):
    with pytest.raises(error, match="part 1") as caught:
        list(work_on({0: 1, 1: 2}, make, 1))
    assert make.__name__ in caught.value.__notes__[0]


def test_a_killed_worker_is_an_error():
    with pytest.raises(InputError, match=r"worker process was killed.*goes on"):
        list(work_on({n: n for n in range(5)}, die, 2))


def test_leaving_early_ends_the_workers():
    work = work_on({0: range(3)} | {n: range(3) for n in range(1, 4)}, squares, 1)
    next(work)
    work.close()


@pytest.fixture
def sending():
    """Work whose only worker is blocked while it sends a result, and the worker's process id."""
    before = set(children(os.getpid()))
    work = work_on({0: "", 1: ""}, megabytes, 1)
    next(work)
    (worker,) = set(children(os.getpid())) - before - {str(resource_tracker._resource_tracker._pid)}
    time.sleep(1)
    yield work, int(worker)
    work.close()


def test_leaving_while_a_worker_sends(sending):
    work, worker = sending
    work.close()
    assert not is_alive(worker)


def test_a_worker_killed_while_it_sends_is_an_error(sending):
    work, worker = sending
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(InputError, match="worker process was killed"):
        next(work)


ORPHANS = """
import signal, sys
sys.path.insert(0, {folder!r})
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from support.worker_tasks import start_and_sleep
from kptkit.data.mining.workers import work_on
if __name__ == "__main__":
    list(work_on({{number: {started!r} + str(number) for number in (0, 1)}}, start_and_sleep, 2))
"""


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, how):
    script = tmp_path / "orphans.py"
    started = tmp_path / "started"
    script.write_text(ORPHANS.format(folder=str(Path(__file__).parents[2]), started=str(started)))
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL)
    while not all(Path(f"{started}{number}").exists() for number in (0, 1)):
        assert process.poll() is None
        time.sleep(0.05)
    workers = children(process.pid)
    assert len(workers) == 3  # two workers and multiprocessing's resource tracker
    process.send_signal(how)
    assert process.wait(20) != 0
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_load_nothing_heavy():
    code = (
        "import sys\n"
        "from kptkit.data.mining import crops, pnet, workers\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
