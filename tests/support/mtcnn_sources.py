"""Other projects' MTCNN weights for tests: random ones of their shapes, and the published ones."""

import os
import pickletools
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

# (out, in, H, W) or (out, in), as facenet-pytorch's state dicts have them.
FACENET = {
    "pnet": {
        "conv1": (10, 3, 3, 3),
        "conv2": (16, 10, 3, 3),
        "conv3": (32, 16, 3, 3),
        "conv4_1": (2, 32, 1, 1),
        "conv4_2": (4, 32, 1, 1),
    },
    "rnet": {
        "conv1": (28, 3, 3, 3),
        "conv2": (48, 28, 3, 3),
        "conv3": (64, 48, 2, 2),
        "dense4": (128, 576),
        "dense5_1": (2, 128),
        "dense5_2": (4, 128),
    },
    "onet": {
        "conv1": (32, 3, 3, 3),
        "conv2": (64, 32, 3, 3),
        "conv3": (64, 64, 3, 3),
        "conv4": (128, 64, 2, 2),
        "dense5": (256, 1152),
        "dense6_1": (2, 256),
        "dense6_2": (4, 256),
        "dense6_3": (10, 256),
    },
}
# (H, W, in, out) or (in, out), as AITTSMD's checkpoints have them.
AITTSMD = {
    "pnet": {
        "conv1": (3, 3, 3, 10),
        "conv2": (3, 3, 10, 16),
        "conv3": (3, 3, 16, 32),
        "conv4_1": (1, 1, 32, 2),
        "conv4_2": (1, 1, 32, 4),
        "conv4_3": (1, 1, 32, 10),
    },
    "rnet": {
        "conv1": (3, 3, 3, 28),
        "conv2": (3, 3, 28, 48),
        "conv3": (2, 2, 48, 64),
        "fc1": (576, 128),
        "cls_fc": (128, 2),
        "bbox_fc": (128, 4),
        "landmark_fc": (128, 10),
    },
    "onet": {
        "conv1": (3, 3, 3, 32),
        "conv2": (3, 3, 32, 64),
        "conv3": (3, 3, 64, 64),
        "conv4": (2, 2, 64, 128),
        "fc1": (1152, 256),
        "cls_fc": (256, 2),
        "bbox_fc": (256, 4),
        "landmark_fc": (256, 10),
    },
}
PUBLISHED = {
    "pnet": ("pnet.pt", "PNet_landmark/PNet-18"),
    "rnet": ("rnet.pt", "RNet_landmark/RNet-14"),
    "onet": ("onet.pt", "ONet_landmark/ONet-16"),
}


def random_state(stage):
    """A state dict of facenet-pytorch with random numbers."""
    rng = np.random.default_rng(0)
    state = {}
    for name, shape in FACENET[stage].items():
        state[f"{name}.weight"] = rng.normal(0, np.sqrt(1 / np.prod(shape[1:])), shape)
        state[f"{name}.bias"] = rng.normal(0, 0.1, shape[:1])
        if "_" not in name:
            state[f"prelu{name[-1]}.weight"] = rng.normal(0.2, 0.2, shape[:1])
    return {name: array.astype(np.float32) for name, array in state.items()}


def random_variables(stage):
    """The variables of a checkpoint of AITTSMD with random numbers."""
    rng = np.random.default_rng(0)
    variables = {"Variable": np.float32(7)}
    for name, shape in AITTSMD[stage].items():
        variables[f"{name}/weights"] = rng.normal(0, np.sqrt(1 / np.prod(shape[:-1])), shape)
        variables[f"{name}/weights/Momentum"] = np.zeros(shape)
        variables[f"{name}/biases"] = rng.normal(0, 0.1, shape[-1:])
        if re.fullmatch(r"conv\d", name):
            variables[f"{name}/alphas"] = rng.normal(0.2, 0.2, shape[-1:])
    return {name: np.asarray(array, np.float32) for name, array in variables.items()}


def published(project):
    if "KPTKIT_DATA" not in os.environ:
        pytest.skip("KPTKIT_DATA is not set; it names the folder of real data")
    return Path(os.environ["KPTKIT_DATA"], "weights", project)


def published_state(stage):
    """A published state dict, read without PyTorch and without running the pickles in it.

    Such a file is five pickles, the fourth with each tensor's name, storage, offset, sides and
    strides, and the fifth with the order of the storages, which follow: a length and float32 each.
    """
    with open(published("facenet-pytorch") / PUBLISHED[stage][0], "rb") as file:
        *_, tensors, keys = [list(pickletools.genops(file)) for _ in range(5)]
        storages = {}
        for key in (text for _, text, _ in keys if isinstance(text, str)):
            (length,) = struct.unpack("<q", file.read(8))
            storages[key] = np.frombuffer(file.read(4 * length), "<f4")
        assert file.read() == b""
    state, numbers = {}, []
    for code, value, _ in tensors:
        if code.name == "BINUNICODE" and re.fullmatch(r"\w+\.(weight|bias)", value):
            name = value
        elif code.name == "BINUNICODE" and value in storages:
            storage = storages[value]
        elif code.name == "BINPERSID":
            numbers = []
        elif code.name.startswith("BININT"):
            numbers.append(value)
        elif code.name == "NEWFALSE":
            rank = len(numbers) // 2
            sides, strides = numbers[1 : 1 + rank], numbers[1 + rank :]
            strides = [4 * stride for stride in strides]
            state[name] = np.lib.stride_tricks.as_strided(storage, sides, strides)
    return state


def published_variables(stage):
    reader = tf.train.load_checkpoint(str(published("AITTSMD") / PUBLISHED[stage][1]))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
