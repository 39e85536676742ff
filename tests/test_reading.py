"""Broken files are refused, naming the place; foreign weight files are refused unopened."""

import io
import json
import os
import pickle
import tarfile
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

from kptkit.arrays import save_arrays
from kptkit.errors import InputError
from kptkit.export.face import export_face
from kptkit.export.pose import export_pose
from kptkit.pose.estimator import PoseEstimator
from kptkit.reading import differences, read_json, refuse_foreign, shown
from kptkit.weights.arrays import load_arrays
from kptkit.weights.cascade import load_cascade


@pytest.mark.parametrize(
    ("content", "document"),
    [
        (b"{}", {}),
        (b"[]\n", []),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"name": "café"}'.encode(), {"name": "café"}),
        (b'{"a": [{"polygon": [1, 2], "b": 2}], "polygon": 3}', {"a": [{"b": 2}]}),
        (b'{"polygon": [NaN]}', {}),
    ],
)
def test_reads_json_and_drops_keys(tmp_path, content, document):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert read_json(path, without=("polygon",)) == document


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a": 1,\n "b": [1, 2', "line 2 column 12"),
        (b"{} {}", "line 1 column 4"),
        (b'{"name": "caf\xe9"}', r"byte 13 \(0xe9\) is not UTF-8"),
        (json.dumps({"a": 1}).encode("utf-16"), "byte 0"),
        (b'{"a": {"b": [1, NaN]}}', r"a\.b\[1\]: NaN"),
        (b"[[], {}, -Infinity]", r"\[2\]: -Infinity"),
        (b"NaN", "top level: NaN"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "a number of more than 4,300 digits; expected JSON$"),
    ],
)
def test_broken_files_are_refused_naming_the_place(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: .*{message}"):
        read_json(path)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for name in (".", "missing.json", "pipe.json"):
        with pytest.raises(InputError, match="expected a JSON file"):
            read_json(tmp_path / name)


def test_shown_values_are_short():
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert shown({}, "a") == "missing"
    assert shown({"a": None}, "a") == "None"
    assert len(shown({"a": deep}, "a")) < 100
    assert len(shown({"a": "x" * 1000}, "a")) < 100


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, []),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1, "c": [2]}}, {"a": {"b": 1, "c": [3]}}, ["a.c was [2], is now [3]"]),
        ({"a": 1}, {"b": 2}, ["a was 1, is now not given", "b was not given, is now 2"]),
        ({"a": "\x1b[31m"}, {"a": 0}, [r"a was \x1b[31m, is now 0"]),
        (
            {"a": "x" * 999},
            {"a": [1] * 999},
            [f"a was {'x' * 100}..., is now {'[' + '1, ' * 33}..."],
        ),
        ({"a": None}, {"a": {"b": {"c": True}}}, ["a.b.c was not given, is now True"]),
        (
            {"a": [{"b": 1}]},
            {"a": [{"b": 2}, {"b": 3}]},
            ["a[0].b was 1, is now 2", "a[1].b was not given, is now 3"],
        ),
        (
            {"m": [{"sha256": "0f"}]},
            {"m": [{"sha256": "1f"}]},
            ["m[0].sha256 is of other content"],
        ),
    ],
)
def test_differences_name_the_leaves(old, new, expected):
    assert differences(old, new) == expected


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


def keras_file(path):
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(1)(image))
    with warnings.catch_warnings(action="ignore"):  # Keras's own, of NumPy 2
        model.save(path.with_suffix(".keras"))
    path.with_suffix(".keras").rename(path)


def torch_file(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Evil()))
        file.writestr("archive/version", "3")


def hdf5_file(path):
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("/etc/passwd", "/")


def tar_file(path):
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("../outside"), io.BytesIO())


FILES = {
    "model.keras": (keras_file, "a Keras model"),
    "renamed.npz": (keras_file, "a Keras model"),
    "model.h5": (hdf5_file, "an HDF5 file"),
    "model.weights.h5": (hdf5_file, "an HDF5 file"),
    "object.npy": (
        lambda p: np.save(p, np.array([Evil()], object)),
        "a single array",
    ),
    "array.npy": (lambda p: np.save(p, np.zeros(3)), "a single array"),
    "new.pkl": (lambda p: p.write_bytes(pickle.dumps(Evil())), "a pickle"),
    "two.npz": (lambda p: p.write_bytes(pickle.dumps(Evil(), 2)), "a pickle"),
    "text.pickle": (lambda p: p.write_bytes(pickle.dumps(Evil(), 0)), "a pickle"),
    "old.pth": (lambda p: p.write_bytes(pickle.dumps(Evil(), 2)), "a pickle.*kptkit convert"),
    "new.pth": (torch_file, "a PyTorch checkpoint.*kptkit convert"),
    "weights.tar": (tar_file, "a tar archive"),
    "weights.npz.gz": (lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(9)), "a gzip archive"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign")
    for name, (write, _) in FILES.items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "read",
    [
        load_arrays,
        load_cascade,
        PoseEstimator.from_run,
        PoseEstimator.from_weights,
        export_pose,
        lambda path: export_face(path, path.parent / "out"),
    ],
    ids=["load_arrays", "load_cascade", "from_run", "from_weights", "export_pose", "export_face"],
)
def test_foreign_weights_are_refused_by_name_and_nothing_runs(folder, monkeypatch, name, read):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=rf"{name}: not an .npz weights file but {FILES[name][1]}"):
        read(folder / name)
    assert not (folder / "evil").exists()
    assert not (folder / "out").exists()


def test_an_array_of_objects_inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("evil.npz", a=np.array([Evil()], object))
    with pytest.raises(InputError, match=r"evil\.npz: .*a is not one"):
        load_arrays("evil.npz")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04 cut short", b"x" * 600])
def test_unknown_formats_are_left_to_the_reader(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    refuse_foreign(path)
    with pytest.raises(InputError, match=r"not an \.npz weights file, or a truncated one"):
        load_arrays(path)


@pytest.mark.parametrize(
    ("intact", "broken"),
    [
        (b"a.npy", b"\xff.npy"),
        (b"PK\x01\x02-\x03-", b"PK\x01\x02-\x03\xff"),
        (b"PK\x01\x02", b"PK\x01\x00"),
    ],
    ids=["name", "version", "directory"],
)
def test_a_damaged_archive_is_reported_by_the_reader(tmp_path, intact, broken):
    path = tmp_path / "a.npz"
    save_arrays(path, {"a": np.zeros(3)})
    directory = path.read_bytes().index(b"PK\x01\x02")
    content = path.read_bytes()
    assert intact in content[directory:]
    path.write_bytes(content[:directory] + content[directory:].replace(intact, broken))
    refuse_foreign(path)
    with pytest.raises(InputError, match=r"a\.npz: damaged, or not a file of plain arrays"):
        load_arrays(path)


def test_own_weights_pass(tmp_path):
    save_arrays(tmp_path / "a.npz", {"a": np.zeros(3)})
    refuse_foreign(tmp_path / "a.npz")
