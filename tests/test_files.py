"""Atomic writes, kills, locks and leftovers."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kptkit import files
from kptkit.errors import InputError


def test_publish_file_appears_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with files.publish_file(path) as unfinished:
        unfinished.write_text("half")
        assert not path.exists()
        unfinished.write_text("whole")
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_failed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with files.publish_file(path) as unfinished:
            unfinished.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_publish_folder_refuses_to_overwrite(tmp_path):
    with files.publish_folder(tmp_path / "1") as unfinished:
        (unfinished / "a").write_text("a")
    assert (tmp_path / "1" / "a").read_text() == "a"
    with pytest.raises(InputError, match="exists already"), files.publish_folder(tmp_path / "1"):
        pass


def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path):
    program = (
        "import sys, time; from kptkit import files\n"
        "with files.publish_folder(sys.argv[1] + '/final') as f:\n"
        "    (f / 'a').write_text('a'); print('half', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
    with child:
        child.stdout.readline()
        child.kill()
    (leftover,) = os.listdir(tmp_path)
    assert leftover.startswith(files.UNFINISHED_PREFIX)
    files.remove_unfinished(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("publish", ["publish_file", "publish_folder"])
def test_what_killed_writers_left_goes_when_another_process_writes_there(tmp_path, publish):
    """Not what a living process is writing, nor that of another machine, nor of later writers."""
    program = (
        "import sys, time; from kptkit import files\n"
        "with getattr(files, sys.argv[2])(sys.argv[1]) as f:\n"
        "    print(f.name, flush=True)\n"
        "    if sys.argv[3:]: time.sleep(60)\n"
        "    f.is_dir() or f.write_text('a')\n"
    )

    def write(name, *waits):
        command = [sys.executable, "-c", program, tmp_path / name, publish, *waits]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return child, child.stdout.readline().strip()

    elsewhere = tmp_path / f"{files.UNFINISHED_PREFIX}0123abcd-1-x"
    elsewhere.touch()
    killed, left = write("a", "waits")
    killed.kill()
    killed.communicate()
    living, kept = write("b", "waits")
    assert sorted(os.listdir(tmp_path)) == sorted([elsewhere.name, kept])
    assert left != kept
    other, _ = write("c")
    other.communicate()
    assert sorted(os.listdir(tmp_path)) == sorted([elsewhere.name, kept, "c"])
    living.kill()
    living.communicate()
    for _ in range(2):
        other, _ = write("d" if not (tmp_path / "d").exists() else "e")
        other.communicate()
    assert sorted(os.listdir(tmp_path)) == sorted([elsewhere.name, "c", "d", "e"])


def test_a_second_process_is_refused_and_a_dead_one_lets_go(tmp_path):
    program = (
        "import sys, time; from kptkit import files\n"
        "with files.locked(sys.argv[1]):\n    print('held', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
    with child:
        child.stdout.readline()
        with pytest.raises(InputError, match=f"process {child.pid}"), files.locked(tmp_path):
            pass
        child.kill()
    deadline = time.monotonic() + 10
    while True:
        try:
            with files.locked(tmp_path):
                break
        except InputError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_json_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": 1.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1.5}
    with pytest.raises(ValueError, match="Out of range"):
        files.write_json(tmp_path / "b.json", {"a": float("nan")})
    assert os.listdir(tmp_path) == ["a.json"]


def a_file(folder):
    (folder / "a").write_text("")
    return folder / "a" / "b.txt"


def a_folder(folder):
    (folder / "a.txt" / "full").mkdir(parents=True)
    return folder / "a.txt"


def nowhere(folder):
    (folder / "a").symlink_to(folder / "missing" / "too")
    return folder / "a" / "b.txt"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (a_file, "a file is where a folder should be"),
        (a_folder, "a folder of that name is in the way"),
        (nowhere, "name another folder"),
        (lambda folder: folder / ("x" * 300) / "b.txt", "the name is too long"),
        (lambda folder: folder / f"b.{'x' * 300}", "the name is too long"),
        (lambda folder: Path("/proc/self/new/b.txt"), "name another folder"),
    ],
)
@pytest.mark.parametrize("publish", [files.publish_file, files.publish_folder, files.locked])
def test_what_cannot_be_written_is_a_sentence(tmp_path, prepare, message, publish):
    path = prepare(tmp_path)
    if publish is files.publish_folder and prepare is a_folder:
        message = "exists already"
    if publish is files.locked:
        path = path.parent
        if prepare is a_folder or "xxx" in path.name or path == tmp_path:
            pytest.skip("can be locked")
    with pytest.raises(InputError) as refused, publish(path):
        pass
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert message in said
    assert files.UNFINISHED_PREFIX not in said
    assert "Errno" not in said
    assert ".lock" not in said


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "your share of the disk is full"),
        (errno.EROFS, "its disk is read-only"),
        (errno.EACCES, "you may not write there"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
@pytest.mark.parametrize("publish", [files.publish_file, files.publish_folder])
def test_a_failed_write_is_a_sentence_and_leaves_nothing(tmp_path, publish, number, message):
    def write():
        with publish(tmp_path / "a") as unfinished:
            raise OSError(number, "as the system says it", str(unfinished / "inner"))

    with pytest.raises(InputError, match=f"^{tmp_path / 'a'}: cannot be written: {message}"):
        write()
    assert os.listdir(tmp_path) == []


def test_errors_of_other_files_pass(tmp_path):
    def read():
        with files.publish_file(tmp_path / "a/b"):
            (tmp_path / "other").read_text()

    with pytest.raises(FileNotFoundError):
        read()


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write")
def test_a_folder_that_may_not_be_written_is_a_sentence(tmp_path):
    """As another user: the superuser may write anywhere."""
    (tmp_path / "sealed").mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "sealed").chmod(0o555)
    program = (
        "import sys; from kptkit import files; from kptkit.errors import InputError\n"
        "try:\n    files.locked(sys.argv[1]).__enter__()\n"
        "except InputError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "sealed")]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "65534", "--clear-groups", "--regid", "65534", *command]
    done = subprocess.run(command, capture_output=True, text=True)
    expected = "cannot be written: you may not write there; name another folder"
    assert done.stdout == f"{tmp_path / 'sealed'}: {expected}\n", done.stderr


@pytest.mark.parametrize("content", ["", "\x1b[31m", "9" * 100, "x"])
def test_only_a_number_is_said_of_who_holds_a_lock(tmp_path, content):
    with files.locked(tmp_path):
        (tmp_path / ".lock").write_text(content)
        with pytest.raises(InputError) as refused, files.locked(tmp_path):
            pass
    who = "process 99999999999999999999" if content.startswith("9") else "another process"
    assert str(refused.value).startswith(f"{tmp_path}: in use by {who}; wait")


def test_a_lock_that_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(InputError, match=r"\.lock: not a regular file"), files.locked(tmp_path):
        pass


def test_only_regular_files_have_a_checksum(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(InputError, match="not a regular file"):
            files.sha256(tmp_path / name)
