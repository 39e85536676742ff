"""The conversion command, as it is typed; its arithmetic is tested in test_weights_mtcnn."""

import hashlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from support.mtcnn_sources import (
    published,
    published_state,
    published_variables,
    random_state,
    random_variables,
)

from kptkit.convert.mtcnn_names import from_aittsmd, from_facenet_pytorch
from kptkit.models.sizes import STAGES
from kptkit.weights.assign import model_arrays
from kptkit.weights.cascade import load_cascade, stage_model

PREFIXES = {
    "pnet": "PNet_landmark/PNet-18",
    "rnet": "RNet_landmark/RNet-14",
    "onet": "ONet_landmark/ONet-16",
}


@pytest.fixture
def checkpoints(tmp_path):
    """AITTSMD's folders, with random numbers."""
    folder = tmp_path / "checkpoints"
    for stage, prefix in PREFIXES.items():
        path = folder / prefix
        path.parent.mkdir(parents=True)
        variables = random_variables(stage)
        tf.raw_ops.SaveV2(
            prefix=str(path),
            tensor_names=list(variables),
            shape_and_slices=[""] * len(variables),
            tensors=list(variables.values()),
        )
    return folder


@pytest.fixture
def states(tmp_path):
    """facenet-pytorch's files, with random numbers."""
    torch = pytest.importorskip("torch", reason="needs PyTorch (the extra `weights`)")
    folder = tmp_path / "states"
    folder.mkdir()
    for stage in STAGES:
        tensors = {name: torch.from_numpy(x) for name, x in random_state(stage).items()}
        torch.save(tensors, folder / f"{stage}.pt")
    return folder


def assert_converted(path, convert, arrays_of):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.with_name(path.name + ".sha256").read_text().split() == [digest, path.name]
    for stage, model in load_cascade(path).items():
        expected = stage_model(stage, convert(stage, arrays_of(stage), ""), "")
        for name, array in model_arrays(expected).items():
            np.testing.assert_array_equal(model_arrays(model)[name], array)


def test_aittsmd(run_script, checkpoints, tmp_path):
    out = tmp_path / "a.npz"
    done = run_script("convert_weights.py", "--from", "aittsmd", checkpoints, "--out", out)
    assert done.code == 0, done
    assert done.out.splitlines() == [
        f"pnet: 6,962 parameters from {checkpoints}/PNet_landmark/PNet-18",
        f"rnet: 101,468 parameters from {checkpoints}/RNet_landmark/RNet-14",
        f"onet: 389,040 parameters from {checkpoints}/ONet_landmark/ONet-16",
        f"written: {out}",
    ]
    assert_converted(out, from_aittsmd, random_variables)


def test_three_prefixes(run_script, checkpoints, tmp_path):
    prefixes = [checkpoints / prefix for prefix in PREFIXES.values()]
    out = tmp_path / "a.npz"
    done = run_script("convert_weights.py", *prefixes, "--from", "aittsmd", "--out", out)
    assert done.code == 0, done
    assert_converted(out, from_aittsmd, random_variables)


def test_facenet_pytorch_goes_to_the_cache_folder(run_script, states, tmp_path, monkeypatch):
    monkeypatch.setenv("KPTKIT_CACHE", str(tmp_path / "cache"))
    done = run_script("convert_weights.py", "--from", "facenet-pytorch", states)
    assert done.code == 0, done
    out = tmp_path / "cache/mtcnn-original.npz"
    assert done.out.splitlines()[-1] == f"written: {out}"
    assert_converted(out, from_facenet_pytorch, random_state)
    assert load_cascade("original")


@pytest.mark.parametrize(
    ("project", "folder", "convert", "arrays_of"),
    [
        ("facenet-pytorch", "facenet-pytorch", from_facenet_pytorch, published_state),
        ("aittsmd", "AITTSMD", from_aittsmd, published_variables),
    ],
)
def test_the_published_files(run_script, tmp_path, project, folder, convert, arrays_of):
    source, out = published(folder), tmp_path / "a.npz"
    if project == "facenet-pytorch":
        pytest.importorskip("torch", reason="needs PyTorch (the extra `weights`)")
    done = run_script("convert_weights.py", source, "--from", project, "--out", out)
    assert done.code == 0, done
    assert_converted(out, convert, arrays_of)


def test_without_pytorch(run_script, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "pnet.pt").touch()
    done = run_script("convert_weights.py", "--from", "facenet-pytorch", tmp_path)
    assert 'reading it needs PyTorch; run: pip install "kptkit[weights]"' in done.error


@pytest.mark.parametrize("given", [0, 2])
def test_how_many_sources(run_script, tmp_path, given):
    files = [tmp_path / "a"] * given
    done = run_script("convert_weights.py", "--from", "aittsmd", *files)
    assert "expected a folder, or three files" in done.error


def test_a_folder_without_checkpoints_or_with_several(run_script, checkpoints, tmp_path):
    out = ("--from", "aittsmd", "--out", tmp_path / "a.npz")
    empty = tmp_path / "empty"
    empty.mkdir()
    error = run_script("convert_weights.py", empty, *out).error
    assert error == f"{empty}: PNet-*.index: found none, expected one; name the three prefixes"
    (checkpoints / "RNet-22.index").touch()
    error = run_script("convert_weights.py", checkpoints, *out).error
    assert "RNet-*.index: found" in error
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize("damage", ["missing", "cut", "index", "swapped"])
def test_damaged_checkpoints(run_script, checkpoints, tmp_path, damage):
    prefix = checkpoints / PREFIXES["rnet"]
    data = prefix.with_name(prefix.name + ".data-00000-of-00001")
    index = prefix.with_name(prefix.name + ".index")
    prefixes = [checkpoints / p for p in PREFIXES.values()]
    message = "RNet-14: no TensorFlow checkpoint of that prefix, or a damaged one"
    if damage == "missing":
        data.unlink()
    elif damage == "cut":
        data.write_bytes(data.read_bytes()[:-100])
    elif damage == "index":
        index.write_bytes(index.read_bytes()[:40])
    else:
        prefixes = [prefixes[0], prefixes[2], prefixes[1]]
        message = r"does not fit rnet"
    done = run_script(
        "convert_weights.py", *prefixes, "--from", "aittsmd", "--out", tmp_path / "a.npz"
    )
    assert message in done.error
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "code", "list", "swapped"])
def test_damaged_and_hostile_state_dicts(run_script, states, tmp_path, damage):
    import torch

    path = states / "rnet.pt"
    evil = tmp_path / "evil"
    message = "rnet.pt: no PyTorch state dict, or a damaged one"
    if damage == "missing":
        path.unlink()
        message = "rnet.pt: no such file"
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("<html>not found</html>")
    elif damage == "code":
        path.write_bytes(
            b"\x80\x02cos\nsystem\n(U%ctouch %btR." % (6 + len(bytes(evil)), bytes(evil))
        )
    elif damage == "list":
        torch.save([torch.zeros(3)], path)
        message = "rnet.pt: expected a state dict"
    else:
        path.write_bytes((states / "onet.pt").read_bytes())
        message = "rnet.pt: does not fit rnet"
    done = run_script(
        "convert_weights.py", "--from", "facenet-pytorch", states, "--out", tmp_path / "a.npz"
    )
    assert message in done.error
    assert not evil.exists()
    assert not (tmp_path / "a.npz").exists()
