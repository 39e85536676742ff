"""Converted weights against the sources' own networks, written out in NumPy and in PyTorch."""

import numpy as np
import pytest
from support.mtcnn_sources import (
    published_state,
    published_variables,
    random_state,
    random_variables,
)

from kptkit.convert.mtcnn_names import from_aittsmd, from_facenet_pytorch
from kptkit.errors import InputError
from kptkit.models.sizes import STAGES
from kptkit.weights.cascade import stage_model

POOLS = {"pnet": [2, 0, 0], "rnet": [3, 3, 0], "onet": [3, 3, 2, 0]}
# P-Net also on sides of which one, the other or both are odd.
PICTURES = [
    ("pnet", (12, 12)),
    ("pnet", (37, 52)),
    ("pnet", (52, 37)),
    ("pnet", (33, 35)),
    ("rnet", (24, 24)),
    ("onet", (48, 48)),
]
by_picture = pytest.mark.parametrize(("stage", "hw"), PICTURES)


def picture(hw):
    return np.random.default_rng(0).integers(0, 256, (*hw, 3), np.uint8)


def convolve(maps, kernel_at, side, bias):
    """(H, W, in) to (h, w, out): the sum over the positions of the kernel."""
    height, width = maps.shape[0] - side + 1, maps.shape[1] - side + 1
    out = np.zeros((height, width, len(bias))) + bias
    for y in range(side):
        for x in range(side):
            out += maps[y : y + height, x : x + width] @ kernel_at(y, x)
    return out


def ceil_pool(maps, pool):
    height, width = (int(np.ceil((n - pool) / 2)) + 1 for n in maps.shape[:2])
    rows = [
        [maps[2 * y : 2 * y + pool, 2 * x : 2 * x + pool].max((0, 1)) for x in range(width)]
        for y in range(height)
    ]
    return np.array(rows)


def prelu(x, slopes):
    return np.where(x > 0, x, slopes * x)


def facenet_forward(stage, state, image):
    """facenet-pytorch's networks: RGB, maps transposed before the hidden layer, x1..x5, y1..y5."""
    state = {name: x.astype(np.float64) for name, x in state.items()}
    x = (image.astype(np.float64) - 127.5) * 0.0078125

    def convolution(x, name):
        kernel = state[f"{name}.weight"]
        return convolve(
            x, lambda y, x: kernel[:, :, y, x].T, kernel.shape[2], state[f"{name}.bias"]
        )

    for index, pool in enumerate(POOLS[stage], start=1):
        x = prelu(convolution(x, f"conv{index}"), state[f"prelu{index}.weight"])
        x = ceil_pool(x, pool) if pool else x
    if stage == "pnet":
        return {"logits": convolution(x, "conv4_1"), "box": convolution(x, "conv4_2")}
    n = len(POOLS[stage]) + 1
    x = state[f"dense{n}.weight"] @ x.transpose(1, 0, 2).ravel() + state[f"dense{n}.bias"]
    x = prelu(x, state[f"prelu{n}.weight"])
    heads = ["logits", "box", "landmark"][: 2 if stage == "rnet" else 3]
    outputs = {
        head: state[f"dense{n + 1}_{i}.weight"] @ x + state[f"dense{n + 1}_{i}.bias"]
        for i, head in enumerate(heads, start=1)
    }
    return paired(outputs)


def paired(outputs):
    """Landmarks x1..x5, y1..y5 as x1, y1, ..., x5, y5."""
    if "landmark" in outputs:
        values = outputs["landmark"]
        outputs["landmark"] = np.array([values[i // 2 + 5 * (i % 2)] for i in range(10)])
    return outputs


def aittsmd_forward(stage, variables, image):
    """AITTSMD's networks: BGR, a ReLU in the hidden layer, landmarks in pairs everywhere."""
    variables = {name: np.asarray(x, np.float64) for name, x in variables.items()}
    x = (image[..., ::-1].astype(np.float64) - 127.5) / 128

    def convolution(x, name):
        kernel = variables[f"{name}/weights"]
        return convolve(x, lambda y, x: kernel[y, x], len(kernel), variables[f"{name}/biases"])

    for index, pool in enumerate(POOLS[stage], start=1):
        x = prelu(convolution(x, f"conv{index}"), variables[f"conv{index}/alphas"])
        x = ceil_pool(x, pool) if pool else x
    if stage == "pnet":
        names = {"logits": "conv4_1", "box": "conv4_2", "landmark": "conv4_3"}
        return {head: convolution(x, name) for head, name in names.items()}
    x = np.maximum(0, x.ravel() @ variables["fc1/weights"] + variables["fc1/biases"])
    return {
        head: x @ variables[f"{name}/weights"] + variables[f"{name}/biases"]
        for head, name in [("logits", "cls_fc"), ("box", "bbox_fc"), ("landmark", "landmark_fc")]
    }


def torch_forward(stage, state, image):
    """facenet-pytorch's networks in PyTorch's own functions."""
    torch = pytest.importorskip("torch", reason="needs PyTorch (the extra `weights`)")
    from torch.nn import functional

    state = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
    x = (torch.from_numpy(image).permute(2, 0, 1)[None].float() - 127.5) * 0.0078125

    def layer(function, x, name):
        return function(x, state[f"{name}.weight"], state[f"{name}.bias"])

    for index, pool in enumerate(POOLS[stage], start=1):
        x = layer(functional.conv2d, x, f"conv{index}")
        x = functional.prelu(x, state[f"prelu{index}.weight"])
        x = functional.max_pool2d(x, pool, 2, ceil_mode=True) if pool else x
    if stage == "pnet":
        heads = {"logits": "conv4_1", "box": "conv4_2"}
        maps = {head: layer(functional.conv2d, x, name)[0] for head, name in heads.items()}
        return {head: x.permute(1, 2, 0).numpy() for head, x in maps.items()}
    n = len(POOLS[stage]) + 1
    x = layer(functional.linear, x.permute(0, 3, 2, 1).reshape(1, -1), f"dense{n}")
    x = functional.prelu(x, state[f"prelu{n}.weight"])
    heads = ["logits", "box", "landmark"][: 2 if stage == "rnet" else 3]
    outputs = {
        head: layer(functional.linear, x, f"dense{n + 1}_{i}")[0].numpy()
        for i, head in enumerate(heads, start=1)
    }
    return paired(outputs)


def assert_same_outputs(model, image, expected):
    outputs = {name: np.asarray(x)[0] for name, x in model(image[None]).items()}
    assert set(outputs) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-5, rtol=1e-5, err_msg=name)


def converted(convert, stage, arrays):
    return stage_model(stage, convert(stage, arrays, "source"), "source")


@pytest.mark.parametrize("state_of", [random_state, published_state])
@by_picture
def test_facenet_pytorch(stage, hw, state_of):
    state, image = state_of(stage), picture(hw)
    model = converted(from_facenet_pytorch, stage, state)
    assert_same_outputs(model, image, facenet_forward(stage, state, image))


@pytest.mark.parametrize("state_of", [random_state, published_state])
@by_picture
def test_facenet_pytorch_in_pytorch(stage, hw, state_of):
    state, image = state_of(stage), picture(hw)
    expected = torch_forward(stage, state, image)
    assert_same_outputs(converted(from_facenet_pytorch, stage, state), image, expected)


@pytest.mark.parametrize("variables_of", [random_variables, published_variables])
@by_picture
def test_aittsmd(stage, hw, variables_of):
    variables, image = variables_of(stage), picture(hw)
    model = converted(from_aittsmd, stage, variables)
    assert_same_outputs(model, image, aittsmd_forward(stage, variables, image))


@pytest.mark.parametrize(
    ("stage", "name", "shape", "message"),
    [
        ("rnet", "dense4.weight", (128, 575), r"dense4.weight: shape \(128, 575\), not that"),
        ("onet", "dense6_3.bias", (12,), r"dense6_3.bias: shape \(12,\)"),
        ("onet", "dense6_3.weight", (12, 256), "dense6_3.weight"),
        ("onet", "dense5.weight", (), "dense5.weight"),
        ("onet", "conv1.weight", (32, 3, 5, 5), r"conv1/kernel has shape \(5, 5, 3, 32\)"),
        ("pnet", "conv5.weight", (1, 1, 1, 1), "conv5/kernel has no place"),
        ("pnet", "", (1,), "has no place"),
    ],
)
def test_a_state_dict_that_is_another_networks_is_refused(stage, name, shape, message):
    state = random_state(stage) | {name: np.zeros(shape, np.float32)}
    with pytest.raises(InputError, match=f"source: .*{message}"):
        converted(from_facenet_pytorch, stage, state)


@pytest.mark.parametrize(
    ("stage", "name", "shape", "message"),
    [
        ("pnet", "conv1/weights", (3,), r"conv1/weights: shape \(3,\), not that"),
        ("rnet", "fc1/biases", (64,), r"fc/bias has shape \(64,\)"),
        ("rnet", "conv5/alphas", (64,), "prelu5/alpha has no place"),
    ],
)
def test_a_checkpoint_that_is_another_networks_is_refused(stage, name, shape, message):
    variables = random_variables(stage) | {name: np.zeros(shape, np.float32)}
    with pytest.raises(InputError, match=f"source: .*{message}"):
        converted(from_aittsmd, stage, variables)


def test_an_empty_source_is_refused():
    for stage in STAGES:
        for convert in (from_facenet_pytorch, from_aittsmd):
            with pytest.raises(InputError, match=f"{stage}: conv1/kernel is missing"):
                converted(convert, stage, {})
