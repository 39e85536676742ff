"""PyTorch's files: every form that training scripts write, and none that executes."""

from collections import OrderedDict

import numpy as np
import pytest

from kptkit.convert.torch_files import read_torch
from kptkit.errors import InputError

torch = pytest.importorskip("torch", reason="needs PyTorch (the extra `weights`)")

STATE = {"conv1.weight": np.arange(6.0).reshape(1, 2, 1, 3), "bn1.num_batches_tracked": np.int64(3)}


def tensors(prefix="", dtype=None):
    found = OrderedDict()
    for name, value in STATE.items():
        tensor = torch.from_numpy(np.array(value))
        found[prefix + name] = tensor.to(dtype) if dtype and tensor.ndim else tensor
    return found


# What mmpose writes beside the weights.
META = {
    "cfg": "model = dict()",
    "epoch": 210,
    "seed": np.int64(5),
    "dataset_meta": {
        "sigmas": np.array([0.1, 0.2], np.float32),
        "keypoint_colors": np.zeros((2, 3), np.uint8),
        "flip_indices": [1, 0],
    },
}
FORMS = {
    "bare": lambda: tensors(),
    "parallel": lambda: tensors("module."),
    "float64": lambda: tensors(dtype=torch.float64),
    "bfloat16": lambda: tensors(dtype=torch.bfloat16),
    "checkpoint": lambda: {"state_dict": tensors("module."), "optimizer": {"lr": 1.0}, "epoch": 3},
    "best": lambda: {
        "epoch": 3,
        "state_dict": {n: 0 * x for n, x in tensors("module.").items()},
        "best_state_dict": tensors(),
    },
    "hourglass": lambda: {"state_dict": tensors("model.module."), "epoch": 3},
    "mmpose 1.x": lambda: {"meta": META, "state_dict": tensors()},
    "mmpose 0.x": lambda: {"meta": {"config": META["cfg"]}, "state_dict": tensors()},
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path, form, zipped):
    path = tmp_path / "a.pth"
    torch.save(FORMS[form](), path, _use_new_zipfile_serialization=zipped)
    weights = read_torch(path)
    assert weights.state.keys() == STATE.keys()
    for name, value in STATE.items():
        np.testing.assert_array_equal(weights.state[name], value)
    assert weights.state["conv1.weight"].dtype == np.float32
    assert weights.config == (META["cfg"] if form.startswith("mmpose") else "")


def test_arrays_that_numpy_1_wrote(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(FORMS["mmpose 1.x"](), path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert content.count(b"cnumpy._core.multiarray\n") == 2
    path.write_bytes(content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert read_torch(path).state.keys() == STATE.keys()


def test_an_empty_state_dict(tmp_path):
    torch.save({}, tmp_path / "a.pth")
    assert read_torch(tmp_path / "a.pth").state == {}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["beside", "in an array"])
def test_programs_are_refused(tmp_path, zipped, where):
    evil = Evil(str(tmp_path / "evil"))
    hidden = evil if where == "beside" else np.array([evil], object)
    content = {"state_dict": tensors(), "meta": {"cfg": hidden}}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="no PyTorch state dict"):
        read_torch(tmp_path / "a.pth")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a state dict"),
        ({"state_dict": {"a": 1}}, "expected a state dict"),
        ({"epoch": 3}, "expected a state dict"),
    ],
)
def test_what_is_no_state_dict(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=message):
        read_torch(tmp_path / "a.pth")
