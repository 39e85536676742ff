"""The hourglass from the command line: every stack logged, and the run folder is all it takes."""

import csv
import json

import numpy as np
import pytest

from kptkit.pose.estimator import PoseEstimator
from kptkit.runs import PoseRun, load_run


@pytest.fixture(scope="module")
def arguments(workplace):
    """Of a run on the tiny demo set, small enough for a test."""
    annotations = "demo/annotations/person_keypoints"
    return (
        *("--recipe", "hg-demo", "--epochs", "1", "--batch-size", "8"),
        *("--input-size-wh", "64", "64", "--stack-weights", "0.5", "1"),
        *("--data.train", f"{annotations}_train.json", "--data.val", f"{annotations}_val.json"),
        *("--data.images", "demo/images", "--out", "hourglass"),
    )


@pytest.mark.slow
def test_a_run_logs_every_stack_and_is_read_by_its_folder(run_script, workplace, arguments):
    done = run_script("train_hourglass.py", *arguments)
    assert done.code == 0, done.err
    folder = workplace.folder / "hourglass"
    with open(folder / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    terms = [float(row[f"loss of stack {stack}"]) for stack in (1, 2)]
    assert sum(terms) == pytest.approx(float(row["loss"]))
    # The heads start near zero, so both stacks have the loss of a flat map, the first by half.
    assert terms[0] == pytest.approx(terms[1] / 2, rel=0.05)
    assert {"AP", "PCK@0.2", "PCK@0.2 of stack 1", "PCK@0.2 of stack 2"} <= set(row)
    run = load_run(folder, PoseRun)
    assert (run.recipe.variant, run.recipe.stack_weights) == ("hg2_small", (0.5, 1.0))
    metrics = json.loads((folder / "metrics.json").read_text())
    evaluated = run_script("evaluate.py", "hourglass")
    assert f"{metrics['best']['AP']:.3f}" in evaluated.out
    picture = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
    assert PoseEstimator.from_run(folder).predict(picture).keypoints.shape == (1, 17, 3)


def test_stacks_and_weights_must_agree(run_script):
    done = run_script("train_hourglass.py", "--recipe", "hg8", "--stack-weights", "1", "1")
    assert "--stack-weights: 2 numbers; expected one for each of the 8 stacks of hg8" in done.error
