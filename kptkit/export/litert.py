"""LiteRT (formerly TensorFlow Lite): converts networks to `.tflite` files and runs those.

Files use built-in operations only. The converter is TensorFlow's; the interpreter is that of the
`litert` extra, or TensorFlow's own if that is not installed.
"""

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kptkit.export.network_functions import NetworkFunction
from kptkit.export.target import Precision

SUFFIX = ".tflite"

Arrays = dict[str, np.ndarray]


def convert(network: NetworkFunction, precision: Precision) -> bytes:
    """The bytes of a network's file; float16: constants are stored so and widened at loading."""
    keeper = tf.Module()
    keeper.weights = [variable.value for variable in network.model.variables]
    function = network.function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], keeper)
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def load(path: str | os.PathLike, threads: int | None = None) -> Callable[[Arrays], Arrays]:
    """The network of a file, as a function of named arrays.

    Args:
        threads: number of threads; default: one per core.
    """
    interpreter = _interpreter(str(path), threads or os.cpu_count())
    runner = interpreter.get_signature_runner("serving_default")

    def run(inputs: Arrays) -> Arrays:
        return {name: np.array(output) for name, output in runner(**inputs).items()}

    return run


def _interpreter(path: str, threads: int | None) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's interpreter is deprecated
        return Interpreter(path, num_threads=threads)
