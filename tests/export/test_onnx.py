"""ONNX files of small networks, answered by ONNX Runtime."""

import json
import sys

import numpy as np
import pytest
from support.export_runs import DECODERS, decodes_inside, estimator_of, noise, small_run

from kptkit.errors import InputError
from kptkit.export import onnx as exporter
from kptkit.export.face import export_face
from kptkit.export.pose import export_pose
from kptkit.export.target import Target
from kptkit.export.version_folders import MANIFEST
from kptkit.models import hourglass
from kptkit.weights.cascade import load_cascade

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")


@pytest.mark.parametrize(("decoder", "convention", "pixels"), DECODERS)
def test_decoders_run_inside(decoder, convention, pixels, tmp_path):
    decodes_inside(exporter, tmp_path, decoder, convention, pixels)


@pytest.mark.slow
def test_an_hourglass_of_mixed_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(hourglass, "DEPTH", 1)  # conversion takes time with every layer
    run = small_run(tmp_path / "run", "hg-demo")
    path = export_pose(run.folder, target=Target("onnx"), flip_test=False)
    assert path == run.folder / "export-onnx-float32/1"
    session = onnxruntime.InferenceSession(path / "pose.onnx", providers=["CPUExecutionProvider"])
    (crops,) = session.get_inputs()
    assert (crops.name, crops.shape, crops.type) == ("crops", ["N", 64, 64, 3], "tensor(uint8)")
    outputs = {output.name: output.shape for output in session.get_outputs()}
    assert outputs == {
        "heatmaps": ["N", 16, 16, 17],
        "keypoints": ["N", 17, 2],
        "keypoint_scores": ["N", 17],
        "scores": ["N"],
    }
    pictures = noise(3, 64, 64)
    expected = estimator_of(run, flip_test=False).predict_crops(pictures)
    for count in (1, 3):
        found = session.run(["keypoints", "keypoint_scores"], {"crops": pictures[:count]})
        np.testing.assert_allclose(found[0], expected[:count, :, :2], rtol=0, atol=0.01)
        np.testing.assert_allclose(found[1], expected[:count, :, 2], rtol=1e-4)
    manifest = json.loads((path / MANIFEST).read_text())
    assert manifest["recipe"]["precision"] == "float32"
    assert list(manifest["sha256"]) == ["pose.onnx"]


def test_an_hrnet_in_float16_reads_mirrored_crops_too(tmp_path):
    run = small_run(tmp_path / "run", "demo")
    target = Target("onnx", "float16", batch_size=2)
    path = export_pose(run.folder, tmp_path / "out", target=target) / "pose.onnx"
    assert path.stat().st_size < 0.6 * run.best.stat().st_size
    crops = noise(2, 64, 64)
    found = exporter.load(path)({"crops": crops})
    expected = estimator_of(run, flip_test=True).predict_crops(crops)
    scores = np.abs(found["keypoint_scores"] - expected[..., 2])
    assert 0 < scores.max() < 0.01 * expected[..., 2].max()
    far = np.linalg.norm(found["keypoints"] - expected[..., :2], axis=-1)
    assert np.quantile(far, 0.9) < 0.25
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        exporter.load(path)({"crops": noise(3, 64, 64)})


def test_float16_is_that_of_the_weights_alone(tmp_path):
    folder = export_face("default", tmp_path, target=Target("onnx", "float16"))
    graph = onnx.load(folder / "rnet.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    halves = {name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT16}
    casts = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "Cast"}
    weighted = {node.input[1] for node in graph.node if node.op_type in ("Conv", "MatMul")}
    assert len(halves) == 6  # three convolutions, three products
    assert {casts[name] for name in halves} == weighted
    assert {v.type.tensor_type.elem_type for v in graph.output} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_networks_of_the_cascade(precision, tmp_path):
    folder = export_face("default", tmp_path, target=Target("onnx", precision))
    random = np.random.default_rng(0)
    for stage, shape in (("pnet", (60, 45, 3)), ("rnet", (24, 24, 3)), ("onet", (48, 48, 3))):
        images = random.uniform(0, 255, (3, *shape)).astype(np.float32)
        found = exporter.load(folder / f"{stage}.onnx", threads=1)({"images": images})
        expected = {name: x.numpy() for name, x in load_cascade("default")[stage](images).items()}
        logits = expected.pop("logits")
        expected["scores"] = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
        assert set(found) == set(expected)
        for name, output in found.items():
            atol = 1e-4 if precision == "float32" else 0.02
            np.testing.assert_allclose(output, expected[name], rtol=0, atol=atol)


def test_libraries_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(InputError, match=r"onnx needs tf2onnx: pip install 'kptkit\[onnx\]'"):
        export_face("default", tmp_path, target=Target("onnx"))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
