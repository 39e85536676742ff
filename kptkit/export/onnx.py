"""ONNX: converts networks to `.onnx` files of standard operations and runs those.

tf2onnx, onnx and onnxruntime come with the `onnx` extra.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from kptkit.errors import InputError
from kptkit.export.network_functions import NetworkFunction
from kptkit.export.target import Precision

SUFFIX = ".onnx"

# The newest opset that tf2onnx 1.17 writes; ONNX Runtime supports it since 1.14.
_OPSET = 18

# Operations whose second input is the weights.
_WEIGHTED = {"Conv", "Gemm", "MatMul"}

Arrays = dict[str, np.ndarray]


def convert(network: NetworkFunction, precision: Precision) -> bytes:
    """The bytes of a network's file.

    float16: the weights of convolutions and matrix products are stored so and cast to float32 once,
    when ONNX Runtime loads the file; it has few float16 operations for CPUs.
    """
    tf2onnx = _library("tf2onnx")
    model, _ = tf2onnx.convert.from_function(
        network.function, network.function.input_signature, opset=_OPSET
    )
    if precision == "float16":
        _halve_weights(model.graph)
    _name_sides(model.graph)
    _library("onnx").checker.check_model(model)
    return model.SerializeToString()


def load(path: str | os.PathLike, threads: int | None = None) -> Callable[[Arrays], Arrays]:
    """The network of a file, as a function of named arrays, on the CPU.

    Args:
        threads: number of threads; default: one per core.
    """
    onnxruntime = _library("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"format: onnx needs {name}: pip install 'kptkit[onnx]'") from None


def _halve_weights(graph: Any) -> None:
    """Stores weights in float16, each followed by a cast whose output takes the weight's name."""
    onnx = _library("onnx")
    weights = {node.input[1] for node in graph.node if node.op_type in _WEIGHTED}
    casts = []
    for tensor in graph.initializer:
        if tensor.name in weights and tensor.data_type == onnx.TensorProto.FLOAT:
            name = tensor.name
            half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}:float16"))
            casts.append(
                onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
            )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _name_sides(graph: Any) -> None:
    """Names the dynamic axes (batch, height, width), which tf2onnx only numbers."""
    for values, names in (
        (graph.input, ("N", "height", "width")),
        (graph.output, ("N", "rows", "columns")),
    ):
        for value in values:
            for side, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
                if side.HasField("dim_param"):
                    side.dim_param = name
