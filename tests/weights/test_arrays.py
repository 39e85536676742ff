"""Files of named arrays are those of np.savez, with any names."""

import numpy as np
import pytest

from kptkit.weights.arrays import load_arrays, save_arrays

RNG = np.random.default_rng(0)
ARRAYS = {
    "conv1/kernel": RNG.random((3, 3, 2, 5), np.float32),
    "transposed": RNG.random((4, 6)).T,
    "every other": np.arange(10)[::2],
    "empty": np.zeros((0, 4), np.float32),
    "step": np.array(7),
    "text": np.array("one line"),
}


@pytest.mark.parametrize("names", [(), ("step",), tuple(ARRAYS)])
def test_a_file_has_the_bytes_of_numpys_own(tmp_path, names):
    arrays = {name: ARRAYS[name] for name in names}
    save_arrays(tmp_path / "ours.npz", arrays)
    np.savez(tmp_path / "numpys.npz", **arrays)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "numpys.npz").read_bytes()


@pytest.mark.parametrize("name", ["file", "args", "kwds", "allow_pickle"])
def test_an_array_may_have_the_name_of_an_argument_of_numpys_savez(tmp_path, name):
    save_arrays(tmp_path / "a.npz", {name: ARRAYS["step"]})
    assert load_arrays(tmp_path / "a.npz") == {name: 7}
