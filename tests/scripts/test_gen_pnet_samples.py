import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kptkit.data.mining.crops import CropKind
from kptkit.data.records.crops import CropRecords
from kptkit.demo.dataset import write_demo_data

SCRIPT = Path(__file__).parents[2] / "data_prep/gen_pnet_samples.py"


def flags(folder, out, split="train"):
    annotations = folder / "annotations"
    return [
        *("--annotations", annotations / f"wider_face_{split}_bbx_gt.txt"),
        *("--images", folder / "images", "--out", out, "--workers", "2"),
        *("--landmarks", annotations / f"face_landmarks_{split}.txt"),
    ]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo_data(tmp_path_factory.mktemp("faces") / "demo", 20, 4)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command in this process; gives its exit code, its output and its errors."""

    def run_command(*arguments):
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run_command


def test_the_command_mines_and_says_what_comes_next(demo, run, tmp_path):
    code, out, _ = run(*flags(demo, tmp_path / "crops"))
    assert code == 0
    records = CropRecords(tmp_path / "crops")
    assert min(records.counts.values()) > 0
    assert f"{records.counts[CropKind.NEGATIVE]:,} negative" in out
    assert "next: kptkit train mtcnn --stage pnet" in out
    before = content(tmp_path / "crops")
    assert run(*flags(demo, tmp_path / "crops"))[1] == out
    assert content(tmp_path / "crops") == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--parts-per-face", "3"], "mining.windows.parts_per_face was 10, is now 3"),
        (["--parts-per-face", "-3"], "--parts-per-face: -3; expected 0 or more"),
        (
            ["--images", ".", "--images", "."],
            "--images: 3 folders for 1 list; expected one",
        ),
        (["--seed", "-1"], "seed: -1; expected 0 or more"),
        (["--workers", "-1"], "--workers -1: expected a whole number, 0 or more"),
        (["--part-per-face", "3"], "--parts-per-face"),
    ],
)
def test_unusable_flags_are_told(demo, run, tmp_path, more, message):
    run(*flags(demo, tmp_path / "crops", "val"))
    code, _, errors = run(*flags(demo, tmp_path / "crops", "val"), *more)
    assert code == 2
    assert message in " ".join(errors.replace("│", "").split())


@pytest.mark.slow
def test_killed_at_any_moment_the_command_goes_on(tmp_path):
    demo = write_demo_data(tmp_path / "demo", 600, 0)
    command = [sys.executable, str(SCRIPT)]
    quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run([*command, *flags(demo, tmp_path / "whole")], check=True, **quiet)
    choice, kills = random.Random(0), 0
    for _ in range(50):
        process = subprocess.Popen([*command, *flags(demo, tmp_path / "crops")], **quiet)
        parts = len(list((tmp_path / "crops").glob("made-*")))
        while process.poll() is None:
            if len(list((tmp_path / "crops").glob("made-*"))) > parts + choice.randrange(6):
                time.sleep(0.2 * choice.random())
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.001)
        if process.wait() == 0:
            break
    assert kills >= 5
    assert content(tmp_path / "crops") == content(tmp_path / "whole")
