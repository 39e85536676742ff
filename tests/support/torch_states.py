"""State dicts of other projects' networks for tests, redone from names and shapes alone."""

import json
import zlib
from pathlib import Path

import keras
import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> dict[str, np.ndarray]:
    """The arrays of a golden file."""
    with np.load(GOLDEN / name, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def state_of(encoded_shapes: np.ndarray) -> dict[str, np.ndarray]:
    """Weights and batch statistics drawn by the name of each array; outputs stay near 1 to 1,000.

    The authors' own initial values (deviation .001, variance 1) would hide what differs.
    """
    shapes = json.loads(encoded_shapes.tobytes())
    return {name: _draw(name, shape, shapes) for name, shape in shapes.items()}


def _draw(name: str, shape: list[int], shapes: dict[str, list[int]]) -> np.ndarray:
    layer, _, kind = name.rpartition(".")
    if kind == "num_batches_tracked":
        return np.array(7)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if kind == "running_var":
        values = rng.uniform(0.5, 2, shape)
    elif kind == "running_mean":
        values = rng.normal(0, 0.2, shape)
    elif kind == "weight" and f"{layer}.running_mean" in shapes:
        values = rng.uniform(0.4, 0.9, shape)
    elif kind == "bias":
        values = rng.normal(0, 0.1, shape)
    else:
        values = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    return values.astype(np.float32)


def pictures(count: int, side: int) -> np.ndarray:
    """Noise (N, side, side, 3) uint8, the same every time."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def state_of_model(model: keras.Model) -> dict[str, np.ndarray]:
    """A Keras network's random weights as PyTorch would hold them, counters included."""
    names = {
        "kernel": "weight",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    shapes = {}
    for variable in model.variables:
        layer, kind = variable.path.split("/")
        shape = list(variable.shape)
        if kind == "kernel":
            shape = [shape[3], shape[2], shape[0], shape[1]]
        shapes[f"{layer}.{names.get(kind, kind)}"] = shape
        if kind == "moving_mean":
            shapes[f"{layer}.num_batches_tracked"] = []
    return state_of(np.frombuffer(json.dumps(shapes).encode(), np.uint8))
