"""Exports of runs: whole or absent, described, and equal to the estimator they were made of."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from support import fake_tf_serving
from tensorflow_serving.apis import prediction_log_pb2

from kptkit.errors import InputError
from kptkit.export import pose
from kptkit.export.version_folders import MANIFEST
from kptkit.export.warmup_requests import WARMUP
from kptkit.files import sha256
from kptkit.network import build_model
from kptkit.recipes.pose import RECIPES
from kptkit.runs import PoseRun
from kptkit.sealed import write_sealed
from kptkit.skeletons.known import COCO_17
from kptkit.weights.assign import save_weights

SIGNATURES = {"serving_default", "image_bytes", "images", "whole_images", "crops"}

# An export that is killed while its files are written.
KILLED = """
import os, signal, sys
from kptkit.export import pose

def save(program, folder):
    (folder / "saved_model.pb").write_bytes(b"half a prog")
    os.kill(os.getpid(), signal.SIGKILL)

pose.PoseGraph.save = save
pose.export_pose(sys.argv[1])
"""


def randomise(model):
    """Weights as far from their start as training takes them, batch statistics included."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith("kernel"):
            spread = np.sqrt(2 / np.prod(variable.shape[:-1]))
            if variable.path.startswith("final_layer"):
                spread /= 10  # as undecided as a trained network is, not more
            variable.assign(rng.normal(0, spread, variable.shape))
        else:
            low = 0.5 if variable.path.endswith(("gamma", "moving_variance")) else -0.1
            variable.assign(rng.uniform(low, low + 0.2, variable.shape))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of a small network that was trained in mixed precision."""
    recipe = replace(RECIPES["demo"], input_size_wh=(64, 64), precision="mixed_bfloat16")
    run = PoseRun(tmp_path_factory.mktemp("run"), recipe, COCO_17, {})
    run.write({})
    model = build_model(recipe, COCO_17.num_keypoints)
    randomise(model)
    save_weights(model, run.best)
    write_sealed(run.folder / "metrics.json", {"best": {"AP": 0.512345}, "last": {"AP": 0.1}})
    return run


@pytest.fixture(scope="module")
def exported(run):
    """The export of a run whose first export was killed."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", KILLED, str(run.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr[-2000:]
    left = [path for path in (run.folder / "export").iterdir() if path.is_dir()]
    assert [len(list(path.iterdir())) for path in left] == [1]
    assert not any(path.name.isdecimal() for path in left)
    return pose.export_pose(run.folder, licence="CC0")


def test_a_kill_leaves_nothing_behind(run, exported):
    assert exported == run.folder / "export" / "1"
    assert sorted(path.name for path in exported.parent.iterdir()) == [".lock", "1", "serving"]
    assert {path.name for path in (exported.parent / "serving").iterdir()} == {
        "models.config",
        "batching.config",
        "monitoring.config",
        "compose.yaml",
    }


def test_the_manifest_tells_a_stranger_everything(exported):
    manifest = json.loads((exported / MANIFEST).read_text())
    assert manifest["schema"] == COCO_17.to_json()
    assert manifest["recipe"]["decoder"] == "dark"
    assert manifest["weights"]["licence"] == "CC0"
    assert manifest["weights"]["score"] == "AP 0.5123 on the run's own validation set"
    assert manifest["warmup_requests"] == 6
    assert manifest["recipe"]["precision"] == "float32"
    assert set(manifest["signatures"]) == SIGNATURES
    for signature in manifest["signatures"].values():
        for tensor in (signature["inputs"] | signature["outputs"]).values():
            assert tensor["shape"][0] is None
            assert tensor["meaning"]
        assert {tensor["dtype"] for tensor in signature["outputs"].values()} == {"float32"}
    boxes = manifest["signatures"]["serving_default"]["inputs"]["boxes"]
    assert (boxes["dtype"], boxes["shape"]) == ("float32", [None, None, 4])
    files = {str(p.relative_to(exported)): p for p in exported.rglob("*") if p.is_file()}
    del files[str(MANIFEST)]
    assert manifest["sha256"] == {name: sha256(path) for name, path in files.items()}
    difference = manifest["largest_difference"]
    assert difference["keypoints_px"] < 0.05
    assert difference["scores"] < 1e-3
    # Of the 34 keypoints of two persons; a random network is undecided about some.
    assert difference["keypoints_compared"] > 17


def test_the_model_card_tells_people_the_same(exported):
    card = (exported / "assets.extra/model_card.md").read_text()
    manifest = json.loads((exported / MANIFEST).read_text())
    assert "| licence of the weights | CC0 |" in card
    assert "AP 0.5123 on the run's own validation set" in card
    for name, signature in manifest["signatures"].items():
        assert f"### `{name}`" in card
        for tensor, spec in (signature["inputs"] | signature["outputs"]).items():
            assert f"| `{tensor}` | `{spec['dtype']} [N" in card
            assert spec["meaning"] in card
    for index, name in enumerate(COCO_17.names):
        assert f"| {index} | {name} |" in card
    for limit in manifest["limits"].values():
        assert f"{limit:,}" in card


def test_the_model_card_names_the_mirror_image_of_both_of_a_pair(exported):
    card = (exported / "assets.extra/model_card.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in card.splitlines()]
    named = {row[1]: row[2] for row in rows if len(row) == 4 and row[1] in COCO_17.names}
    other_side = {"left": "right", "right": "left"}
    for name in COCO_17.names:
        side, _, part = name.partition("_")
        assert named[name] == (f"{other_side[side]}_{part}" if part else "")


def test_warm_up_requests_parse_and_replay(exported):
    """As TF Serving reads them, and as it runs them, before it lets the version answer anyone."""
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(exported / WARMUP))]
    program, answered = fake_tf_serving.ServedModel(exported), []
    for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert log.SerializeToString(deterministic=True) == type(log)(
            predict_log={"request": request}
        ).SerializeToString(deterministic=True)
        assert request.model_spec.name == "pose"
        name = request.model_spec.signature_name
        answer = program(name, {k: tf.make_ndarray(v) for k, v in request.inputs.items()})
        assert all(np.isfinite(array).all() for array in answer.values())
        answered.append(name)
    assert set(answered) == SIGNATURES
    assert len(records) <= 1000
    assert sum(map(len, records)) < 5e6


def test_malformed_requests(exported):
    kinds = fake_tf_serving.malformed_kinds(exported)
    assert set(kinds) == SIGNATURES
    assert min(kinds.values()) >= 20


@pytest.mark.parametrize(
    ("version", "message"),
    [(1, "1: exists already"), (0, "version: 0, expected a whole number"), (-1, "version: -1")],
)
def test_versions_that_are_refused(run, exported, version, message):
    before = sorted(exported.rglob("*"))
    with pytest.raises(InputError, match=message):
        pose.export_pose(run.folder, version=version)
    assert sorted(exported.rglob("*")) == before


def test_a_run_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no run folder"):
        pose.export_pose(tmp_path)
    assert list(tmp_path.iterdir()) == []
