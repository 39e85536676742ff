"""Exports of cascades: whole or absent, described, and equal to the detector they were made of."""

import json

import numpy as np
import pytest
import tensorflow as tf
from support import fake_tf_serving
from tensorflow_serving.apis import prediction_log_pb2

from kptkit.errors import InputError
from kptkit.export import face
from kptkit.export.version_folders import MANIFEST
from kptkit.export.warmup_requests import WARMUP
from kptkit.files import sha256
from kptkit.recipes.cascade import CascadeConfig

CONFIG = CascadeConfig(min_face_size=24, score_thresholds=(0.6, 0.6, 0.5), max_faces=50)


@pytest.fixture(scope="module")
def exported(cascade_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("export")
    return face.export_face(cascade_file, out, config=CONFIG)


def test_the_manifest_tells_a_stranger_everything(exported, cascade_file):
    assert sorted(path.name for path in exported.parent.iterdir()) == [".lock", "1", "serving"]
    manifest = json.loads((exported / MANIFEST).read_text())
    assert manifest["task"] == "face"
    assert manifest["weights"]["source"] == str(cascade_file)
    card = (exported / "assets.extra/model_card.md").read_text()
    assert "| licence of the weights | not stated" in card
    assert "| min_face_size | `24` |" in card
    for name, signature in manifest["signatures"].items():
        assert f"### `{name}`" in card
        assert all(spec["meaning"] in card for spec in signature["outputs"].values())
    assert manifest["cascade"] == {
        "min_face_size": 24,
        "scale_factor": 0.709,
        "score_thresholds": [0.6, 0.6, 0.5],
        "max_faces": 50,
        "max_side": 6000,
    }
    assert "pixels in a request 400,000,000" in card
    assert manifest["limits"]["faces_on_a_picture"] == 50
    assert set(manifest["signatures"]) == {"serving_default", "images"}
    for signature in manifest["signatures"].values():
        for tensor in (signature["inputs"] | signature["outputs"]).values():
            assert tensor["shape"][0] is None
            assert tensor["meaning"]
        outputs = {n: (t["dtype"], t["shape"]) for n, t in signature["outputs"].items()}
        assert outputs == {
            "boxes": ("float32", [None, None, 4]),
            "scores": ("float32", [None, None]),
            "landmarks": ("float32", [None, None, 5, 2]),
            "counts": ("int32", [None]),
        }
    files = {str(p.relative_to(exported)): p for p in exported.rglob("*") if p.is_file()}
    del files[str(MANIFEST)]
    assert manifest["sha256"] == {name: sha256(path) for name, path in files.items()}


def test_what_is_written_is_compared(exported):
    difference = json.loads((exported / MANIFEST).read_text())["largest_difference"]
    assert difference["boxes_and_landmarks_px"] <= 1e-2
    assert difference["scores"] <= 1e-5
    assert difference["faces_compared"] > 8


def test_warm_up_requests_parse_and_replay(exported):
    program, answered = fake_tf_serving.ServedModel(exported), set()
    for record in tf.data.TFRecordDataset(str(exported / WARMUP)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "face"
        name = request.model_spec.signature_name
        answer = program(name, {k: tf.make_ndarray(v) for k, v in request.inputs.items()})
        assert len(answer["counts"]) == len(next(iter(request.inputs.values())).string_val or [0])
        answered.add(name)
    assert answered == {"serving_default", "images"}


def test_malformed_requests(exported):
    kinds = fake_tf_serving.malformed_kinds(exported)
    assert set(kinds) == {"serving_default", "images"}
    assert min(kinds.values()) >= 20


def test_settings_are_fixed(exported):
    noise = np.random.default_rng(0).integers(0, 256, (1, 24, 400, 3), np.uint8)
    images = np.kron(noise, np.ones((1, 6, 1, 1), np.uint8))
    find = tf.saved_model.load(exported).signatures["images"]
    scores = [
        find(images=tf.constant(images), image_hw=tf.constant([[144, width]]))["scores"].numpy()
        for width in (400, 100)
    ]
    assert scores[0].shape == (1, 50)
    assert 0.5 < scores[1].min() < 0.7  # the default is 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": 1}, "1: exists already"),
        ({"version": 0}, "version: 0, expected a whole number"),
    ],
)
def test_what_is_refused_leaves_nothing(cascade_file, exported, arguments, message):
    before = sorted(exported.parent.rglob("*"))
    with pytest.raises(InputError, match=message):
        face.export_face(cascade_file, exported.parent, **arguments)
    assert sorted(exported.parent.rglob("*")) == before


def test_a_program_that_does_not_load_is_never_seen(cascade_file, tmp_path, monkeypatch):
    def save(program, folder):
        (folder / "saved_model.pb").write_bytes(b"half a prog")
        return {}

    monkeypatch.setattr(face.FaceGraph, "save", save)
    with pytest.raises(OSError, match="SavedModel"):
        face.export_face(cascade_file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_weights_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such weights file"):
        face.export_face(tmp_path / "no.npz", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
