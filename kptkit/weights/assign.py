"""Moves weights between files and networks; each array is named by the path of its variable.

A path looks like ``stage2.0.branches.0.0.conv1/kernel``. Loading is strict by name and shape.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from kptkit.arrays import save_arrays
from kptkit.errors import InputError
from kptkit.weights.arrays import CARD, load_arrays

# The layers whose shapes depend on the number of keypoints.
HEADS = ("final_layer/", "outs.", "merge_preds.")


def model_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Every weight of a model by the path of its variable, batch statistics included."""
    return {variable.path: np.asarray(variable) for variable in model.variables}


def save_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Publishes a model's weights at `path`."""
    save_arrays(path, model_arrays(model))


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Fills every weight of `model` from a file of `save_weights` or `publish_arrays`.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite; the message has the
            first three.
    """
    arrays = load_arrays(path)
    arrays.pop(CARD, None)
    assign_weights(model, arrays, str(path))


def assign_weights(model: keras.Model, arrays: dict[str, np.ndarray], source: str) -> None:
    """Fills every weight of `model` from named arrays; reports everything that does not fit.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite.
    """
    _refuse_faults(model, arrays, source)
    for variable in model.variables:
        variable.assign(arrays[variable.path])


def check_weights(
    build: Callable[[], keras.Model], arrays: dict[str, np.ndarray], source: str
) -> None:
    """Checks named arrays as `assign_weights` does, without starting TensorFlow.

    So a process that has only constructed estimators may still fork.

    Args:
        build: builds the model, of layers of Keras.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite.
    """

    def check() -> None:
        with keras.StatelessScope(initialize_variables=False):
            model = build()
        _refuse_faults(model, arrays, source)

    # Keras lists the variables that have no values yet, and their model stays in memory until its
    # thread ends.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(check).result()


def _refuse_faults(model: keras.Model, arrays: dict[str, np.ndarray], source: str) -> None:
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    faults = [f"{name} is missing" for name in shapes if name not in arrays]
    faults += [f"{name} has no place in the model" for name in arrays if name not in shapes]
    for name, expected in shapes.items():
        if name not in arrays:
            continue
        found = arrays[name].shape
        if expected != found:
            faults.append(f"{name} has shape {found}, expected {expected}")
        elif arrays[name].dtype.kind not in "fiu":
            faults.append(f"{name} holds {arrays[name].dtype}, expected numbers")
        elif not np.isfinite(arrays[name]).all():
            faults.append(f"{name} holds values that are not finite")
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InputError(f"{source}: does not fit {model.name}: {'; '.join(faults[:3])}{more}")


def num_keypoints(arrays: dict[str, np.ndarray]) -> int | None:
    """The number of keypoints of the head in a network's arrays; None without a head."""
    biases = [arrays[name] for name in ("final_layer/bias", "outs.0.conv/bias") if name in arrays]
    return len(biases[0]) if biases else None
