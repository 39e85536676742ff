"""Atomic writes, kills, locks and leftovers."""

import hashlib
import json
import os
import subprocess
import sys
import time

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
