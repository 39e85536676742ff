"""Converts other projects' MTCNN weights for `kptkit.models.mtcnn`: arithmetic on named arrays.

All sources share one network definition: differences in input format, layer arithmetic and output
order are absorbed into the weights, so that the outputs are the same numbers.

Landmarks: the published networks were trained on (p - corner) / side, without the half pixel from a
pixel's centre to its edge that `kptkit.geometry.face_windows` adds. This is not corrected: half a
picture pixel is a different share of every window, which no change of weights could add.
"""

from collections.abc import Callable

import numpy as np

from kptkit.errors import InputError
from kptkit.models.sizes import Stage

Arrays = dict[str, np.ndarray]

# The sources' names of the layers after the convolutions.
_FACENET_PYTORCH: dict[Stage, dict[str, str]] = {
    "pnet": {"conv4_1": "logits", "conv4_2": "box"},
    "rnet": {"dense4": "fc", "prelu4": "prelu_fc", "dense5_1": "logits", "dense5_2": "box"},
    "onet": {
        "dense5": "fc",
        "prelu5": "prelu_fc",
        "dense6_1": "logits",
        "dense6_2": "box",
        "dense6_3": "landmark",
    },
}
_DENSE = {"fc1": "fc", "cls_fc": "logits", "bbox_fc": "box", "landmark_fc": "landmark"}
_AITTSMD: dict[Stage, dict[str, str]] = {
    "pnet": {"conv4_1": "logits", "conv4_2": "box", "conv4_3": "landmark"},
    "rnet": _DENSE,
    "onet": _DENSE,
}


def from_facenet_pytorch(stage: Stage, state: Arrays, source: str) -> Arrays:
    """The weights of timesler/facenet-pytorch, which are the authors' own.

    Kernels are (out, in, H, W). Feature maps are transposed before the hidden layer, so its inputs
    are ordered by column, row, channel. Landmarks are ordered x1, ..., x5, y1, ..., y5.

    Args:
        state: the state dict, names such as ``conv1.weight``.
        source: the file, for error messages.

    Returns:
        Arrays by the path of the variable, such as ``conv1/kernel``. Missing ones are not detected
        here, but when they are assigned.

    Raises:
        InputError: an array does not have the shape that its name implies.
    """
    named = []
    for name, array in state.items():
        layer, _, kind = name.rpartition(".")
        layer = _FACENET_PYTORCH[stage].get(layer, layer)
        if kind == "weight":
            kind = "alpha" if layer.startswith("prelu") else "kernel"
        named.append((name, f"{layer}/{kind}", array))
    return _convert(named, _facenet_array, source)


def _facenet_array(path: str, array: np.ndarray) -> np.ndarray:
    layer, kind = path.rsplit("/", 1)
    if path == "fc/kernel":
        units = len(array)
        array = array.reshape(units, 3, 3, -1).transpose(2, 1, 3, 0).reshape(-1, units)
    elif kind == "kernel":
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    if layer == "landmark":
        pairs = array.reshape(*array.shape[:-1], 2, 5).swapaxes(-1, -2)
        array = pairs.reshape(array.shape)
    return _slope(layer, array) if kind == "alpha" else array


def from_aittsmd(stage: Stage, variables: Arrays, source: str) -> Arrays:
    """The weights of AITTSMD/MTCNN-Tensorflow.

    It takes BGR: the input channels of the first kernels are swapped. Its hidden layer has a ReLU,
    which is a PReLU of slope 0. All three networks have a landmark head.

    Args:
        variables: of a TensorFlow 1 checkpoint, with names such as ``conv1/weights``; optimizer
            slots and the step are ignored.
        source: the checkpoint, for error messages.

    Returns and raises as `from_facenet_pytorch`.
    """
    kinds = {"weights": "kernel", "biases": "bias", "alphas": "alpha"}
    named = []
    for name, array in variables.items():
        layer, _, kind = name.rpartition("/")
        if not layer or kind == "Momentum":
            continue
        layer, kind = _AITTSMD[stage].get(layer, layer), kinds.get(kind, kind)
        if kind == "alpha":
            layer = layer.replace("conv", "prelu")
        named.append((name, f"{layer}/{kind}", array))
    arrays = _convert(named, _aittsmd_array, source)
    if "fc/bias" in arrays:
        arrays["prelu_fc/alpha"] = np.zeros_like(arrays["fc/bias"])
    return arrays


def _aittsmd_array(path: str, array: np.ndarray) -> np.ndarray:
    layer, kind = path.rsplit("/", 1)
    if path == "conv1/kernel":
        array = array[:, :, ::-1]
    return _slope(layer, array) if kind == "alpha" else array


def _slope(layer: str, array: np.ndarray) -> np.ndarray:
    """A PReLU's slopes in Keras's shape: (1, 1, C) for feature maps, (C,) for units."""
    return array if layer == "prelu_fc" else array[None, None]


def _convert(
    named: list[tuple[str, str, np.ndarray]],
    convert: Callable[[str, np.ndarray], np.ndarray],
    source: str,
) -> Arrays:
    """Converts arrays given as (name in the source, path here, array); keyed by the path."""
    arrays = {}
    for name, path, array in named:
        try:
            arrays[path] = convert(path, array)
        except (ValueError, IndexError, TypeError):
            raise InputError(
                f"{source}: {name}: shape {array.shape}, not that of MTCNN's {path}"
            ) from None
    return arrays
