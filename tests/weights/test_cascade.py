"""A cascade's weights file: whole, checked to the bit, found where it is named and nowhere else."""

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import kptkit
from kptkit.arrays import save_arrays
from kptkit.errors import InputError
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES
from kptkit.weights import cascade
from kptkit.weights.arrays import load_arrays
from kptkit.weights.assign import model_arrays
from kptkit.weights.cascade import load_cascade, load_stages, save_cascade
from kptkit.weights.known import cached_path


@pytest.fixture(scope="module")
def models():
    """As the published ones: landmarks from O-Net alone."""
    return {stage: mtcnn(stage, landmarks=False) for stage in STAGES}


@pytest.fixture
def saved(models, tmp_path):
    path = tmp_path / "mtcnn.npz"
    save_cascade(path, models)
    return path


def assert_same_weights(found, expected):
    assert list(found) == list(expected)
    for stage, model in expected.items():
        arrays = model_arrays(found[stage])
        assert arrays.keys() == model_arrays(model).keys()
        for name, array in model_arrays(model).items():
            np.testing.assert_array_equal(arrays[name], array)


def test_round_trip(saved, models):
    assert_same_weights(load_cascade(saved), models)
    assert_same_weights(load_cascade(str(saved)), models)
    assert_same_weights(load_cascade(saved.parent), models)
    assert "pnet/conv1/kernel" in load_arrays(saved)


@pytest.mark.parametrize("landmarks", [("pnet",), ("rnet",), ("pnet", "rnet")])
def test_landmark_heads_are_those_of_the_file(tmp_path, landmarks):
    models = {stage: mtcnn(stage, landmarks=stage in landmarks) for stage in STAGES}
    save_cascade(tmp_path / "mtcnn.npz", models)
    assert_same_weights(load_cascade(tmp_path / "mtcnn.npz"), models)


def test_a_cascade_in_training(models, tmp_path):
    path = tmp_path / "mtcnn.npz"
    save_cascade(path, {})
    with pytest.raises(InputError, match="holds nothing; pnet must be in it"):
        load_stages(path, "pnet")
    for index, stage in enumerate(STAGES, start=1):
        first = dict(list(models.items())[:index])
        save_cascade(path, first)
        assert_same_weights(load_stages(path, stage), first)
        assert_same_weights(load_stages(path, "pnet"), {"pnet": models["pnet"]})
        if stage == "rnet":
            with pytest.raises(InputError, match="holds pnet, rnet; onet must be in it"):
                load_cascade(path)


def test_the_checksum_is_sha256sums(saved):
    digest = hashlib.sha256(saved.read_bytes()).hexdigest()
    sidecar = saved.with_name("mtcnn.npz.sha256")
    assert sidecar.read_text() == f"{digest}  mtcnn.npz\n"
    sidecar.write_text(digest.upper())
    load_cascade(saved)
    sidecar.unlink()
    load_cascade(saved)


@pytest.mark.parametrize("text", ["", "\n", "0" * 64, "ü"])
def test_a_wrong_checksum_is_refused(saved, text):
    saved.with_name("mtcnn.npz.sha256").write_text(text)
    with pytest.raises(InputError, match=r"its SHA-256 is \w{64}, not that of mtcnn.npz.sha256"):
        load_cascade(saved)


def test_every_flipped_bit_and_every_cut_is_refused(saved):
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 40):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        for damaged in (flipped, content[:place]):
            saved.write_bytes(damaged)
            with pytest.raises(InputError):
                load_cascade(saved)


def test_a_cut_without_a_checksum_is_refused(saved):
    content = saved.read_bytes()
    saved.with_name("mtcnn.npz.sha256").unlink()
    for length in (0, 1, len(content) // 2, len(content) - 1):
        saved.write_bytes(content[:length])
        with pytest.raises(InputError):
            load_cascade(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("rnet/fc/kernel"), "rnet: fc/kernel is missing"),
        (lambda a: a.pop("onet/landmark/kernel"), "onet: landmark/kernel is missing"),
        (lambda a: a.update({"pnet/conv9/bias": np.zeros(1)}), "conv9/bias has no place"),
        (lambda a: a.update({"lnet/conv1/bias": np.zeros(1)}), "lnet: not of a network"),
        (lambda a: a.update({"conv1": np.zeros(1)}), "conv1: not of a network"),
        (lambda a: a.update({"pnet/conv1/bias": np.zeros(7)}), r"conv1/bias has shape \(7,\)"),
        (lambda a: a.update({"onet/fc/bias": np.full(256, np.nan)}), "onet: fc/bias .* not finite"),
        (lambda a: a.update({"onet/fc/bias": np.full(256, "1")}), "onet: fc/bias holds <U1"),
    ],
)
def test_what_does_not_fit_is_named(saved, tmp_path, change, message):
    arrays = load_arrays(saved)
    change(arrays)
    other = tmp_path / "other.npz"
    save_arrays(other, arrays)
    with pytest.raises(InputError, match=f"other.npz: .*{message}"):
        load_cascade(other)


@pytest.mark.parametrize("name", ["mtcnn.pkl", "mtcnn.pt", "mtcnn.h5", "mtcnn.keras", "a.lz4"])
def test_other_kinds_of_weights_files_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch evil'\ntR.")
    with pytest.raises(InputError, match="not an"):
        load_cascade(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    with pytest.raises(InputError, match=r"config\.json is not one"):
        load_cascade(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(InputError, match="no such weights file"):
            load_cascade(path)


def test_original_weights_are_in_the_cache_folder(saved, models, tmp_path, monkeypatch):
    monkeypatch.setenv("KPTKIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="kptkit convert --from mtcnn-original"):
        load_cascade("original")
    save_cascade(cached_path(cascade.ORIGINAL), models)
    assert_same_weights(load_cascade("original"), models)
    monkeypatch.delenv("KPTKIT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".cache/kptkit/mtcnn-original.npz"
    assert cached_path(cascade.ORIGINAL) == expected


def test_the_working_folder_is_never_searched(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("KPTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for planted in ("original", "default", "mtcnn-original.npz"):
        os.link(saved, planted)
    with pytest.raises(InputError, match=r"not here yet \(.*cache/mtcnn-original\.npz\)"):
        load_cascade("original")
    read = []
    monkeypatch.setattr(cascade, "load_arrays", lambda path: read.append(path) or {})
    with pytest.raises(InputError):
        load_cascade("default")
    assert read == [Path(kptkit.__file__).parent / "assets/mtcnn.npz"]


def test_a_killed_writer_leaves_no_wrong_checksum(saved, models, monkeypatch):
    other = {"pnet": mtcnn("pnet")}

    def killed(path, arrays):
        save_arrays(path, arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr("kptkit.weights.arrays.save_arrays", killed)
    with pytest.raises(KeyboardInterrupt):
        save_cascade(saved, other)
    assert_same_weights(load_stages(saved, "pnet"), other)
