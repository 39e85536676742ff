"""Locks, syncs and renames, on this system and with what Windows lacks taken away."""

import ast
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kptkit import files, system
from kptkit.errors import InputError

ROOT = Path(__file__).parents[1]
BLOCKED = "from support.no_fcntl import block_fcntl; block_fcntl()\n"


def python(code, *arguments, blocked, **settings):
    """The command line and environment of a process that runs some code."""
    code = (BLOCKED if blocked else "") + code
    paths = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    return {"args": [sys.executable, "-c", code, *map(str, arguments)], "env": environment}


@pytest.fixture(params=[False, True], ids=["own", "without fcntl"])
def blocked(request):
    if request.param and os.name == "nt":
        pytest.skip("this is Windows")
    return request.param


HOLD = """
import os, sys, time
from kptkit import files, system
assert system.WINDOWS == ("support.no_fcntl" in sys.modules or os.name == "nt")
with files.locked(sys.argv[1]):
    print(os.getpid(), flush=True)
    time.sleep(60)
"""
TRY = """
import sys
from kptkit import files
from kptkit.errors import InputError
try:
    with files.locked(sys.argv[1]):
        print("obtained")
except InputError as error:
    print(error)
"""


def test_a_lock_excludes_other_processes_and_ends_with_its_own(tmp_path, blocked):
    def attempt():
        command = python(TRY, tmp_path, blocked=blocked)
        return subprocess.run(**command, capture_output=True, text=True, check=True).stdout.strip()

    assert attempt() == "obtained"
    command = python(HOLD, tmp_path, blocked=blocked)
    with subprocess.Popen(**command, stdout=subprocess.PIPE, text=True) as holder:
        pid = holder.stdout.readline().strip()
        refused = f"{tmp_path}: in use by process {pid}; wait for it or choose another folder"
        assert attempt().startswith(refused)
        holder.kill()
    assert attempt() == "obtained"
    assert os.listdir(tmp_path) == [".lock"]


def test_a_lock_excludes_this_process_too(tmp_path):
    refused = pytest.raises(InputError, match=f"in use by process {os.getpid()}")
    with files.locked(tmp_path), refused, files.locked(tmp_path):
        pass


PUBLISH = """
import sys
from pathlib import Path
from kptkit import files
folder = Path(sys.argv[1])
for text in ("first", "second, µ\\n"):
    files.write_text(folder / "a.txt", text)
with files.publish_folder(folder / "1") as unfinished:
    (unfinished / "inner").mkdir()
    (unfinished / "inner/b.txt").write_bytes(b"b")
"""


def test_files_and_folders_are_published(tmp_path, blocked):
    subprocess.run(**python(PUBLISH, tmp_path, blocked=blocked), check=True)
    assert (tmp_path / "a.txt").read_bytes() == "second, µ\n".encode()
    assert (tmp_path / "1/inner/b.txt").read_bytes() == b"b"
    assert sorted(os.listdir(tmp_path)) == ["1", "a.txt"]


def test_a_command_does_its_work(tmp_path, blocked):
    code = (
        "import sys\nfrom kptkit import cli\n"
        "cli.start('data demo', ['--out', sys.argv[1], '--train-images', '2', '--val-images', '1'])"
    )
    command = python(code, tmp_path / "demo", blocked=blocked)
    done = subprocess.run(**command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo/preview.jpg").is_file()


def test_a_rename_waits_for_a_reader(tmp_path, monkeypatch):
    """Windows refuses to replace a file that is open."""
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(system, "_WAITS", (0.001, 0.001, 0.001))
    replace, refusals = Path.replace, [PermissionError(13, "in use")] * 3

    def refusing(path, target):
        if refusals:
            raise refusals.pop()
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refusing)
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    assert system.rename(tmp_path / "new", tmp_path / "old") == tmp_path / "old"
    assert (os.listdir(tmp_path), (tmp_path / "old").read_text()) == (["old"], "new")
    refusals[:] = [PermissionError(13, "in use")] * 9
    with pytest.raises(PermissionError):
        system.rename(tmp_path / "old", tmp_path / "new")
    assert len(refusals) == 5


def test_a_file_is_replaced_although_somebody_reads_it(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    opened = threading.Event()

    def read():
        with open(path) as file:
            opened.set()
            time.sleep(0.3)
            seen.append(file.read())

    seen = []
    reader = threading.Thread(target=read)
    reader.start()
    opened.wait()
    files.write_text(path, "new")
    reader.join()
    assert (seen, path.read_text()) == (["old"], "new")


def test_a_missing_file_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(time, "sleep", None)
    with pytest.raises(FileNotFoundError):
        system.rename(tmp_path / "none", tmp_path / "some")


@pytest.mark.parametrize("windows", [False, True])
def test_threads_read_each_its_own_place(tmp_path, monkeypatch, windows):
    monkeypatch.setattr(system, "WINDOWS", windows)
    path = tmp_path / "a.bin"
    content = bytes(range(256)) * 400 + b"\r\n\x1a"
    path.write_bytes(content)
    handle = system.open_to_read(path)
    offsets = np.random.default_rng(0).integers(0, len(content), 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda offset: system.read_at(handle, 300, offset), offsets))
    os.close(handle)
    assert parts == [content[offset : offset + 300] for offset in offsets]


@pytest.mark.parametrize("kind", ["missing", "file", "folder"])
def test_what_is_removed_is_gone(tmp_path, monkeypatch, kind):
    """Windows refuses while somebody reads."""
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(system, "_WAITS", (0.001, 0.001))
    path = tmp_path / "a"
    if kind == "file":
        path.touch()
    elif kind == "folder":
        (path / "inner").mkdir(parents=True)
    unlink, rmtree, refusals = Path.unlink, shutil.rmtree, [PermissionError(13, "in use")] * 2

    def refusing(function):
        def work(*arguments, **settings):
            if refusals:
                raise refusals.pop()
            return function(*arguments, **settings)

        return work

    monkeypatch.setattr(Path, "unlink", refusing(unlink))
    monkeypatch.setattr(shutil, "rmtree", refusing(rmtree))
    system.remove(path)
    assert not path.exists()
    assert not refusals


# Of `os`, what exists on every system.
EVERYWHERE = {
    *("PathLike", "path", "environ", "name", "sep", "devnull", "fspath", "fsencode", "fsdecode"),
    *("open", "close", "read", "write", "lseek", "dup", "dup2", "ftruncate", "stat", "walk"),
    *("O_RDONLY", "O_WRONLY", "O_RDWR", "O_CREAT", "SEEK_SET", "SEEK_CUR"),
    *("getpid", "getcwd", "cpu_count", "_exit", "access", "W_OK", "X_OK", "lstat", "fstat"),
    *("curdir", "strerror", "SEEK_END"),
}


def test_only_one_module_knows_the_system():
    """What exists on some systems only is imported and called nowhere else."""
    special = {"fcntl", "msvcrt", "pwd", "grp", "resource", "termios", "winreg", "posix"}
    for path in (ROOT / "kptkit").rglob("*.py"):
        if path.name == "system.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert not special & set(names), path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                place = f"{path}: {node.value.id}.{node.attr}"
                assert node.value.id != "os" or node.attr in EVERYWHERE, place
                if node.value.id == "signal":
                    assert node.attr in {"signal", "SIGINT", "SIG_IGN"}, place
