"""A network and a loss from a folder outside the package, from training to export."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = Path(__file__).parents[1] / "support/own_network.py"
NAMES = ("--network", "mine.networks:tiny", "--loss", "mine.losses:absolute")
LOSS = """
from keras import ops

def absolute(true, predicted, weights):
    return ops.mean(weights * ops.mean(ops.abs(predicted - true), axis=(1, 2)), axis=-1)
"""


@pytest.fixture(scope="module")
def trained(workplace, tmp_path_factory):
    """The folder of the user's code and run; each command is a process of its own."""
    folder = tmp_path_factory.mktemp("somewhere")
    (folder / "mine").mkdir()
    (folder / "mine/networks.py").write_text(NETWORK.read_text())
    (folder / "mine/losses.py").write_text(LOSS)
    (folder / "demo").symlink_to(workplace.folder / "demo")
    done = kptkit(folder, "train", "hrnet", *workplace.arguments, *NAMES, "--out", "run")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def kptkit(folder, *arguments):
    command = [sys.executable, "-m", "kptkit", *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_names_and_hashes_are_in_the_run(trained):
    config = json.loads((trained / "run/config.json").read_text())
    assert config["recipe"]["network"] == "mine.networks:tiny"
    assert config["recipe"]["loss"] == "mine.losses:absolute"
    assert config["code"].keys() == {"mine.networks:tiny", "mine.losses:absolute"}
    assert (trained / "run/export/1/saved_model.pb").is_file()
    assert (trained / "run/predictions.jpg").is_file()


@pytest.mark.parametrize(
    "command", [("predict", "demo/images/val/000001.jpg", "--run", "run"), ("evaluate", "run")]
)
def test_the_run_is_used_with_the_flag_and_refused_without(trained, command):
    refused = kptkit(trained, *command)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: run: its network is mine.networks:tiny, code outside")
    done = kptkit(trained, *command, "--network", "mine.networks:tiny", "--out", "out")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == "" or "warning" not in done.stderr


def test_training_resumes(trained, workplace):
    command = ("train", "hrnet", *workplace.arguments, "--out", "run")
    done = kptkit(trained, *command, *NAMES)
    assert (done.returncode, done.stderr) == (0, "")
    assert "run: finished already" in done.stdout
    refused = kptkit(trained, *command)
    assert refused.returncode == 2
    assert "holds a run with other settings: code.mine" in refused.stderr
