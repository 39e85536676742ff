"""Commands as a user types them, and one small trained run for all tests of commands."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a command that could not do its work."""
        lines = self.err.splitlines()
        assert self.code == 2, self
        assert len(lines) == 1, self
        assert lines[0].startswith("error: "), self
        return lines[0].removeprefix("error: ")


@dataclass(frozen=True)
class Workplace:
    """A folder with a tiny demo set in `demo` and a run trained on it in `run`."""

    folder: Path
    arguments: tuple[str, ...]
    """Of train_hrnet.py, all but --out."""
    done: Done
    """How the training ended."""

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def annotations(self, split: str) -> Path:
        return self.folder / f"demo/annotations/person_keypoints_{split}.json"


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Trained by a process of its own, from the folder it stands in; tests leave it as it is."""
    from kptkit.demo.dataset import write_demo_data

    folder = tmp_path_factory.mktemp("workplace")
    write_demo_data(folder / "demo", train_images=12, val_images=4)
    annotations = "demo/annotations/person_keypoints"
    arguments = (
        *("--recipe", "demo", "--epochs", "1", "--batch-size", "8"),
        *("--input-size-wh", "64", "64", "--data.images", "demo/images"),
        *("--data.train", f"{annotations}_train.json", "--data.val", f"{annotations}_val.json"),
    )
    command = [sys.executable, str(SCRIPTS / "train_hrnet.py"), *arguments, "--out", "run"]
    # No home, no terminal, and a screen that knows nothing but ASCII.
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    bare["PYTHONIOENCODING"] = "ascii"
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=bare, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Workplace(folder, arguments, Done(done.returncode, done.stdout, done.stderr))


@pytest.fixture
def run_script(
    workplace: Workplace,
    capfd: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    grappler: None,
) -> Callable[..., Done]:
    """Runs a script in the workplace, from the command line to the exit code, in this process.

    A process of its own would take seconds to import TensorFlow.
    """
    monkeypatch.chdir(workplace.folder)

    def run(name: str, *arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run
