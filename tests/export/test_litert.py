"""LiteRT files of small networks, answered by LiteRT itself."""

import json
import sys

import numpy as np
import pytest
from support.export_runs import (
    DECODERS,
    blob_case,
    decodes_inside,
    estimator_of,
    noise,
    small_run,
)

from kptkit.errors import InputError
from kptkit.export import litert
from kptkit.export.face import export_face
from kptkit.export.network_functions import pose_function
from kptkit.export.pose import export_pose
from kptkit.export.target import Target
from kptkit.export.version_folders import MANIFEST
from kptkit.files import sha256
from kptkit.models import hourglass
from kptkit.skeletons.known import COCO_17
from kptkit.weights.cascade import load_cascade

FLOAT16 = Target("litert", "float16")


@pytest.mark.parametrize(("decoder", "convention", "pixels"), DECODERS)
def test_decoders_run_inside(decoder, convention, pixels, tmp_path):
    decodes_inside(litert, tmp_path, decoder, convention, pixels)


def test_a_picture_that_shows_nothing(tmp_path):
    estimator, crops, _ = blob_case("dark", "official")
    path = tmp_path / "pose.tflite"
    path.write_bytes(litert.convert(pose_function(estimator, 1), "float16"))
    found = litert.load(path)({"crops": np.zeros_like(crops[:1])})
    assert not any(output.any() for output in found.values())


@pytest.mark.slow
def test_an_hrnet_of_mixed_precision_reads_mirrored_crops_too(tmp_path):
    run = small_run(tmp_path / "run", "demo")
    path = export_pose(run.folder, target=Target("litert"))
    assert path == run.folder / "export-litert-float32/1"
    answer = litert.load(path / "pose.tflite")
    crops = noise(3, 64, 64)
    expected = estimator_of(run, flip_test=True).predict_crops(crops)
    for count in (1, 3):
        found = answer({"crops": crops[:count]})
        assert found["heatmaps"].shape == (count, 16, 16, 17)
        np.testing.assert_allclose(found["keypoints"], expected[:count, :, :2], rtol=0, atol=0.01)
        np.testing.assert_allclose(found["keypoint_scores"], expected[:count, :, 2], rtol=1e-4)

    manifest = json.loads((path / MANIFEST).read_text())
    assert manifest["schema"] == COCO_17.to_json()
    assert manifest["recipe"]["precision"] == manifest["precision"] == "float32"
    assert (manifest["format"], manifest["batch_size"]) == ("litert", None)
    assert manifest["sha256"] == {"pose.tflite": sha256(path / "pose.tflite")}
    crops, outputs = (manifest["signatures"]["pose"][side] for side in ("inputs", "outputs"))
    assert (crops["crops"]["dtype"], crops["crops"]["shape"]) == ("uint8", [None, 64, 64, 3])
    assert outputs["keypoints"]["shape"] == [None, 17, 2]
    assert all(tensor["meaning"] for tensor in outputs.values())
    assert set(outputs) == {"heatmaps", "keypoints", "keypoint_scores", "scores"}
    difference = manifest["largest_difference"]["pose"]
    assert 0 < difference["heatmaps"] < 1e-4
    assert difference["keypoints_compared"] > difference["keypoints"] / 2


@pytest.mark.slow
def test_an_hourglass_in_float16_of_a_fixed_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(hourglass, "DEPTH", 1)  # conversion takes time with every layer
    run = small_run(tmp_path / "run", "hg-demo")
    target = Target("litert", "float16", batch_size=2)
    path = export_pose(run.folder, tmp_path / "out", target=target, flip_test=False)
    weights = estimator_of(run, flip_test=False)
    assert (path / "pose.tflite").stat().st_size < 0.6 * run.best.stat().st_size
    answer = litert.load(path / "pose.tflite")
    crops = noise(2, 64, 64)
    found, expected = answer({"crops": crops}), weights.predict_crops(crops)
    scores = np.abs(found["keypoint_scores"] - expected[..., 2])
    assert 0 < scores.max() < 0.01 * expected[..., 2].max()
    far = np.linalg.norm(found["keypoints"] - expected[..., :2], axis=-1)
    assert np.quantile(far, 0.9) < 0.25
    manifest = json.loads((path / MANIFEST).read_text())
    assert manifest["signatures"]["pose"]["inputs"]["crops"]["shape"] == [2, 64, 64, 3]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return export_face("default", tmp_path_factory.mktemp("face"), target=FLOAT16)


@pytest.mark.parametrize(
    ("stage", "shape", "outputs"),
    [
        ("pnet", (60, 45, 3), {"scores": (25, 18), "box": (25, 18, 4)}),
        ("rnet", (24, 24, 3), {"scores": (), "box": (4,)}),
        ("onet", (48, 48, 3), {"scores": (), "box": (4,), "landmark": (10,)}),
    ],
)
def test_networks_of_the_cascade(stages, stage, shape, outputs):
    images = np.random.default_rng(0).uniform(0, 255, (3, *shape)).astype(np.float32)
    found = litert.load(stages / f"{stage}.tflite")({"images": images})
    assert {name: output.shape for name, output in found.items()} == {
        name: (3, *rest) for name, rest in outputs.items()
    }
    expected = {name: x.numpy() for name, x in load_cascade("default")[stage](images).items()}
    logits = expected["logits"]
    expected["scores"] = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
    for name, output in found.items():
        np.testing.assert_allclose(output, expected[name], rtol=0, atol=0.02)


def test_the_manifest_of_a_cascade(stages):
    manifest = json.loads((stages / MANIFEST).read_text())
    files = {f"{stage}.tflite" for stage in ("pnet", "rnet", "onet")}
    assert set(manifest["sha256"]) == files
    assert {path.name for path in stages.iterdir()} == files | {"assets.extra"}
    assert manifest["cascade"]["score_thresholds"] == [0.6, 0.7, 0.7]
    assert manifest["weights"]["licence"] == "MIT"
    image = manifest["signatures"]["pnet"]["inputs"]["images"]
    assert image["shape"] == [None, None, None, 3]
    for differences in manifest["largest_difference"].values():
        assert 0 < max(differences.values()) < 0.02


def test_what_answers_otherwise_is_not_published(tmp_path, monkeypatch):
    def load(path):
        run = real(path)
        return lambda inputs: {name: output + 0.1 for name, output in run(inputs).items()}

    real = litert.load
    monkeypatch.setattr(litert, "load", load)
    with pytest.raises(RuntimeError, match="differ by"):
        export_face("default", tmp_path, target=FLOAT16)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_runs_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no run folder"):
        export_pose(tmp_path, target=FLOAT16)
    assert list(tmp_path.iterdir()) == []


def test_tensorflows_own_interpreter_where_there_is_no_other(stages, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    answer = litert.load(stages / "rnet.tflite", threads=1)
    assert answer({"images": np.zeros((1, 24, 24, 3), np.float32)})["scores"].shape == (1,)
