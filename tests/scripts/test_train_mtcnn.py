"""The training command of the cascade, as it is typed."""

import os
import re
import tempfile

import pytest


def test_a_dry_run_goes_through_the_whole_chain_and_leaves_nothing(
    run_script, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    done = run_script("train_mtcnn.py", "--dry-run")
    assert done.code == 0, done.err
    for stage in ("pnet", "rnet", "onet"):
        assert f"{stage}: best score " in done.out
    assert "at_least_20px" in done.out
    assert done.out.splitlines()[-1] == "dry run: fine, nothing kept"
    # Nothing of where files were, and of what to do with them.
    assert not [word for word in (tempfile.gettempdir(), "next:", "exported") if word in done.out]
    assert "Warning" not in done.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stage", "pnet"], "data/pnet: no such folder; mine the crops first: kptkit data mine"),
        (["--stage", "rnet"], "kptkit data mine hard --stage rnet --detector runs/mtcnn/mtcnn.npz"),
        (["--recipe", "widr"], "--recipe widr: expected one of .*; did you mean wider\\?"),
        (["--annotations", "no.txt", "--images", "."], "--annotations no.txt: no such file"),
        (["--judged.annotations", "no.txt", "--judged.images", "."], "ions no.txt: no such file"),
        (["--init", "no.npz"], "no.npz: no such "),
    ],
)
def test_unusable_flags_are_one_line(run_script, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    assert re.search(message, run_script("train_mtcnn.py", *flags).error)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stage", "lnet"], "--stage lnet: expected one of pnet, rnet, onet, all"),
        (["--class-ratio", "1", "1"], "--class-ratio"),
        (["--class-ratio", "0", "1", "1", "1"], "--class-ratio: (0, 1, 1, 1)"),
        (["--augment.hue", "2"], "--augment.hue: 2.0"),
    ],
)
def test_wrong_flags_are_refused_with_what_was_meant(run_script, flags, message):
    done = run_script("train_mtcnn.py", *flags)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
