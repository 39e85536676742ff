"""A network and a loss from a folder outside the package, from training to export."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kptkit import cli

NETWORK = Path(__file__).parents[1] / "support/own_network.py"
NAMES = ("--network", "mine.networks:tiny", "--loss", "mine.losses:absolute")
LOSS = """
from keras import ops

def absolute(true, predicted, weights):
    return ops.mean(weights * ops.mean(ops.abs(predicted - true), axis=(1, 2)), axis=-1)
"""


@pytest.fixture(scope="module")
def folder(workplace, tmp_path_factory):
    """The user's code and a run, trained by a process of its own."""
    folder = tmp_path_factory.mktemp("somewhere")
    (folder / "mine").mkdir()
    (folder / "mine/networks.py").write_text(NETWORK.read_text())
    (folder / "mine/losses.py").write_text(LOSS)
    (folder / "demo").symlink_to(workplace.folder / "demo")
    command = [sys.executable, "-m", "kptkit", "train", "hrnet", *workplace.arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*command, *NAMES, "--out", "run"], cwd=folder, env=environment, check=True)
    return folder


@pytest.fixture
def kptkit(folder, monkeypatch, capfd):
    """Runs a command in that folder, in this process; returns its exit code and what it said."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kptkit", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
            del sys.modules[name]
        return code, capfd.readouterr()

    return run


def test_names_and_hashes_are_in_the_run(folder):
    config = json.loads((folder / "run/config.json").read_text())
    assert config["recipe"]["network"] == "mine.networks:tiny"
    assert config["recipe"]["loss"] == "mine.losses:absolute"
    assert config["code"].keys() == {"mine.networks:tiny", "mine.losses:absolute"}
    assert (folder / "run/export/1/saved_model.pb").is_file()
    assert (folder / "run/predictions.jpg").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "demo/images/val/000001.jpg", "--run", "run", "--out", "drawn"),
        ("evaluate", "run", "--out", "evaluation"),
        pytest.param(("export", "run", "--out", "exported"), marks=pytest.mark.slow),
    ],
    ids=["predict", "evaluate", "export"],
)
def test_the_run_is_used_with_the_flag_and_refused_without(kptkit, command):
    code, said = kptkit(*command)
    assert code == 2
    assert said.err.startswith("error: run: its network is mine.networks:tiny, code outside")
    code, said = kptkit(*command, "--network", "mine.networks:tiny")
    assert code == 0, said.err
    assert "warning" not in said.err


def test_training_resumes_with_the_same_code_only(kptkit, workplace):
    command = ("train", "hrnet", *workplace.arguments, "--out", "run")
    code, said = kptkit(*command, *NAMES)
    assert (code, said.err) == (0, "")
    assert "run: finished already" in said.out
    code, said = kptkit(*command)
    assert code == 2
    assert "run: holds a run with other settings: " in said.err
    assert "recipe.network was mine.networks:tiny" in said.err
