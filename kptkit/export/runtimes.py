"""Runtimes besides TensorFlow: writes a network's file and loads it in its runtime."""

from pathlib import Path
from types import ModuleType

from kptkit.export import litert, onnx
from kptkit.export.check import Runner
from kptkit.export.network_functions import NetworkFunction
from kptkit.export.target import Format, Target

_RUNTIMES: dict[Format, ModuleType] = {"litert": litert, "onnx": onnx}


def convert(network: NetworkFunction, target: Target, folder: Path) -> Runner:
    """Writes NAME.tflite or NAME.onnx into a folder.

    Returns:
        The network of that file, run by LiteRT or ONNX Runtime, as a function of named arrays.

    Raises:
        InputError: a library of the runtime is not installed.
    """
    runtime = _RUNTIMES[target.format]
    path = folder / f"{network.name}{runtime.SUFFIX}"
    path.write_bytes(runtime.convert(network, target.precision))
    return runtime.load(path)
