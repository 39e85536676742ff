"""Weights files: strict, checked to the bit, and never executed."""

import io
import zipfile
from copy import copy

import keras
import numpy as np
import pytest

from kptkit import opener
from kptkit.arrays import save_arrays
from kptkit.errors import InputError
from kptkit.weights import assign
from kptkit.weights.arrays import load_arrays


def network(keypoints=3, width=4):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(width, 3, name="conv1")(image)
    x = keras.layers.BatchNormalization(name="bn1")(x)
    return keras.Model(image, keras.layers.Conv2D(keypoints, 1, name="final_layer")(x))


@pytest.fixture
def saved(tmp_path):
    model = network()
    path = tmp_path / "best.npz"
    assign.save_weights(model, path)
    return model, path


def test_round_trip_includes_batch_statistics(saved):
    model, path = saved
    other = network()
    other.get_layer("bn1").moving_mean.assign([1, 2, 3, 4])
    assign.load_weights(other, path)
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_cut_is_refused(saved):
    model, path = saved
    content = path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            assign.load_weights(model, path)


def test_no_flipped_bit_changes_a_weight(saved):
    model, path = saved
    content = path.read_bytes()
    expected = [v.numpy() for v in model.variables]
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(0, 8 * len(content), 150):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            assign.load_weights(model, path)
        except InputError:
            refused += 1
        else:  # a bit that means nothing, such as a date in the container
            for value, variable in zip(expected, model.variables, strict=True):
                np.testing.assert_array_equal(value, variable)
    assert refused > 75


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("conv1/kernel"), "conv1/kernel is missing"),
        (lambda a: a.update({"conv9/kernel": np.zeros(1)}), "conv9/kernel has no place"),
        (lambda a: a.update({"conv1/bias": np.zeros(7)}), r"conv1/bias has shape \(7,\)"),
        (lambda a: a.update({"conv1/bias": np.full(4, np.nan)}), "not finite"),
        (lambda a: a.update({"conv1/bias": np.full(4, "1")}), "conv1/bias holds <U1"),
    ],
)
def test_what_does_not_fit_is_named(saved, tmp_path, change, message):
    model, path = saved
    arrays = load_arrays(path)
    change(arrays)
    save_arrays(tmp_path / "other.npz", arrays)
    with pytest.raises(InputError, match=message):
        assign.load_weights(model, tmp_path / "other.npz")


def test_objects_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", a=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="plain arrays"):
        load_arrays(tmp_path / "evil.npz")


def zip_file(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("a.npy", content)
    return path


def npy(array, **header):
    """The bytes of an array whose header may say something else."""
    file = io.BytesIO()
    told = np.lib.format.header_data_from_array_1_0(array) | header
    np.lib.format.write_array_header_1_0(file, told)
    return file.getvalue() + array.tobytes()


@pytest.mark.parametrize(
    ("content", "compression", "message"),
    [
        (b"import os", zipfile.ZIP_STORED, "a is not one"),
        (npy(np.zeros(3)), zipfile.ZIP_DEFLATED, "compressed"),
        (npy(np.zeros(3), shape=(2**40,)), zipfile.ZIP_STORED, "damaged"),
        (npy(np.zeros(3), shape=(2**62,)), zipfile.ZIP_STORED, "damaged"),
    ],
)
def test_what_is_no_array_or_would_unfold_is_refused(tmp_path, content, compression, message):
    with pytest.raises(InputError, match=message):
        load_arrays(zip_file(tmp_path / "evil.npz", content, compression))


def test_members_that_share_their_bytes_are_refused(tmp_path):
    path = zip_file(tmp_path / "evil.npz", npy(np.zeros(1000)))
    with zipfile.ZipFile(path, "a") as file:
        for name in "bcdefghij":
            file.filelist.append(copy(file.filelist[0]))
            file.filelist[-1].filename = f"{name}.npy"
        file._didModify = True
    # Newer Pythons refuse to read such members, older ones unfold all ten: here before any is read.
    with pytest.raises(InputError, match="claims more than it holds"):
        load_arrays(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such weights file"):
        load_arrays(tmp_path / "none.npz")


def test_initialise_renews_only_a_head_that_differs(saved):
    model, path = saved
    same = network()
    assert opener.initialise(same, path) == []
    np.testing.assert_array_equal(same.get_layer("final_layer").bias, model.layers[-1].bias)
    other = network(keypoints=5)
    fresh = other.get_layer("final_layer").kernel.numpy()
    (line,) = opener.initialise(other, path.parent)  # a run folder
    assert "3 keypoints, this model 5" in line
    np.testing.assert_array_equal(other.get_layer("final_layer").kernel, fresh)
    np.testing.assert_array_equal(other.get_layer("conv1").kernel, model.get_layer("conv1").kernel)


def test_initialise_refuses_another_backbone(saved):
    with pytest.raises(InputError, match="conv1/kernel"):
        opener.initialise(network(keypoints=5, width=6), saved[1])


def test_initialise_names_an_unknown_source():
    message = r"coco-w32: no run folder or weights file, nor a name .* mean coco-w32-256x192\?"
    with pytest.raises(InputError, match=message):
        opener.initialise(network(), "coco-w32")
