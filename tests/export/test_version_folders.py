"""Version folders: numbered, whole, kept or removed, and never taken for one when unfinished."""

import os
import shutil

import pytest

from kptkit.errors import InputError
from kptkit.export.version_folders import MANIFEST, new_version, versions
from kptkit.files import UNFINISHED_PREFIX


def make(folder, name, with_manifest=True):
    path = folder / name
    (path / MANIFEST.parent).mkdir(parents=True)
    if with_manifest:
        (path / MANIFEST).write_text("{}")
    return path


def names(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock")


def publish(folder, **arguments):
    with new_version(folder, **arguments) as (path, unfinished):
        (unfinished / MANIFEST.parent).mkdir()
        (unfinished / MANIFEST).write_text("{}")
    return path


def test_nothing_there(tmp_path):
    assert versions(tmp_path / "no") == versions(tmp_path) == {}
    assert publish(tmp_path / "new").name == "1"


def test_what_model_servers_take_for_numbers(tmp_path):
    """By absl::SimpleAtoi: ASCII digits with a sign and blanks around, of 64 bits."""
    numbers = {"3": 3, "007": 7, "+12": 12, "-1": -1, " 5": 5}
    others = ["serving", ".1", "1.5", "1e3", "v1", "", "٣", "²", "0x1", str(2**63), "1 2"]
    for name in [*numbers, *(name for name in others if name)]:
        make(tmp_path, name)
    assert versions(tmp_path) == {
        number: tmp_path / name for name, number in sorted(numbers.items(), key=lambda x: x[1])
    }
    assert publish(tmp_path).name == "13"


def test_while_it_is_written_it_is_no_version(tmp_path):
    with new_version(tmp_path) as (path, unfinished):
        assert unfinished.parent == path.parent == tmp_path
        assert unfinished.name.startswith(UNFINISHED_PREFIX)
        assert versions(tmp_path) == {}
        (unfinished / "saved_model.pb").write_bytes(b"whole")
    assert versions(tmp_path) == {1: path}
    assert (path / "saved_model.pb").read_bytes() == b"whole"


def test_what_fails_leaves_nothing(tmp_path):
    def fail():
        with new_version(tmp_path) as (_, unfinished):
            (unfinished / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": 0}, "version: 0, expected a whole number"),
        ({"version": -3}, "version: -3"),
        ({"version": 2**63}, f"version: {2**63}"),
        ({"version": 7}, "007: exists already"),
        ({"keep": 0}, "keep: 0, expected at least 1"),
    ],
)
def test_what_is_refused(tmp_path, arguments, message):
    make(tmp_path, "007")
    with pytest.raises(InputError, match=message):
        publish(tmp_path, **arguments)
    assert names(tmp_path) == ["007"]


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (None, ["1", "10", "2", "9"]),
        (1, ["10", "2"]),
        (2, ["10", "2", "9"]),
        (3, ["10", "2", "9"]),
        (4, ["1", "10", "2", "9"]),
        (99, ["1", "10", "2", "9"]),
    ],
)
def test_old_versions_go_but_not_what_others_wrote(tmp_path, keep, left):
    for name in ("1", "2", "9"):
        make(tmp_path, name, with_manifest=name != "2")
    assert publish(tmp_path, keep=keep).name == "10"
    assert names(tmp_path) == left


def test_an_old_version_goes_by_one_rename(tmp_path, monkeypatch):
    """Killed while it removes one, it leaves that under no number; the next export clears it."""
    make(tmp_path, "1")

    def killed(folder, ignore_errors=False):
        if not ignore_errors:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path, keep=1)
    assert list(versions(tmp_path)) == [2]
    assert f"{UNFINISHED_PREFIX}1" in os.listdir(tmp_path)
    publish(tmp_path, keep=2)
    assert names(tmp_path) == ["2", "3"]


def test_of_two_exports_one_waits_for_nothing(tmp_path):
    with (
        new_version(tmp_path),
        pytest.raises(InputError, match="in use by process"),
        new_version(tmp_path),
    ):
        pass
