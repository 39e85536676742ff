"""A wheel in an empty environment, used from another folder: nothing is missing from it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kptkit import cli

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of what is in the repository, since building writes beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "kptkit", folder / "kptkit", ignore=shutil.ignore_patterns("__pycache__")
    )
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", "dist", "."]
    subprocess.run(command, cwd=folder, check=True)
    (path,) = (folder / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def kptkit(wheel, tmp_path_factory):
    """Runs the installed command in a folder of its own, with nothing else on its path."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    binaries = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments):
        done = subprocess.run(
            [binaries / "kptkit", *map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run.folder = folder
    return run


def test_every_file_is_in_the_wheel(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in (ROOT / "kptkit").rglob("*") if path.is_file()]
    wanted = {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}
    assert wanted <= held
    assert not {name.split("/")[0] for name in held} & {"tests", "scripts", "data_prep"}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_helps(kptkit, name):
    assert f"usage: kptkit {name} " in kptkit(*name.split(), "--help")


def test_it_draws_trains_predicts_and_exports(kptkit):
    kptkit("data", "demo", "--out", "demo", "--train-images", 12, "--val-images", 4)
    labels = "demo/annotations/person_keypoints"
    kptkit("data", "check", f"{labels}_train.json", "--images", "demo/images")
    out = kptkit(
        *("train", "hrnet", "--recipe", "demo", "--epochs", 1, "--input-size-wh", 64, 64),
        *("--data.train", f"{labels}_train.json", "--data.val", f"{labels}_val.json"),
        *("--data.images", "demo/images", "--batch-size", 8),
    )
    assert "exported SavedModel: runs/demo/export/1" in out
    kptkit("evaluate", "runs/demo")
    kptkit("predict", "demo/images/val/000001.jpg", "--run", "runs/demo")
    kptkit("predict", "--task", "face", "demo/images/val/000001.jpg", "--out", "faces")
    assert isinstance(json.loads((kptkit.folder / "faces/faces.json").read_text()), list)
    kptkit("export", "runs/demo")
    kptkit("export", "--task", "face")
    out = kptkit("serve", "pose=runs/demo/export", "face=runs/mtcnn/export")
    assert "docker run" in out
    assert (kptkit.folder / "runs/mtcnn/export/1/saved_model.pb").is_file()
