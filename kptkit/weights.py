"""Weights as one `.npz` file of named arrays: nothing in it can execute, and every bit is checked.

A key is the variable's path, such as ``stage2.0.branches.0.0.conv1/kernel``. The zip container
carries a CRC of each array, so a truncated or altered file is refused; loading is strict by name
and shape.
"""

import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from kptkit.errors import InputError
from kptkit.files import publish_file

HEAD = "final_layer"
# What NumPy raises for a file that is not what it says; a shape beyond all memory among it.
_DAMAGES = (ValueError, OSError, EOFError, KeyError, RuntimeError, MemoryError)


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Publishes named arrays at `path`."""
    with publish_file(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, **arrays)


def load_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads named arrays; objects (pickles) are refused, and what would unfold beyond its file.

    Raises:
        InputError: the file is missing, truncated, altered or no `.npz` of plain arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not an .npz weights file, or a truncated one")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            members = archive.zip.infolist()
            if any(x.compress_type != zipfile.ZIP_STORED for x in members):
                raise ValueError("it is compressed")
            if sum(x.file_size for x in members) > path.stat().st_size:
                raise ValueError("it claims more than it holds")
            arrays = {name: archive[name] for name in archive.files}
    except (*_DAMAGES, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: damaged, or no file of plain arrays ({error})") from None
    # NumPy hands out a member that is no array as its bytes; so are other programs' zip files made.
    foreign = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if foreign:
        raise InputError(f"{path}: no file of plain arrays ({foreign[0]} is none)")
    return arrays


def model_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Every weight of a model by the path of its variable, batch statistics included."""
    return {variable.path: np.asarray(variable) for variable in model.variables}


def save_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Publishes a model's weights at `path`."""
    save_arrays(path, model_arrays(model))


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Fills every weight of `model` from a file written by `save_weights`.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite; all are named.
    """
    assign_weights(model, load_arrays(path), str(path))


def initialise(model: keras.Model, source: str | os.PathLike) -> list[str]:
    """Starts `model` from other weights: a weights file or a run folder.

    Every layer but the head must fit. A head for other keypoints keeps its fresh values.

    Returns:
        What was renewed, as lines to print.
    """
    path = Path(source)
    if path.is_dir():
        path = path / "best.npz"
    elif not path.exists():
        raise InputError(
            f"--init {source}: no such file or run folder (named weights: none are known yet)"
        )
    arrays = load_arrays(path)
    own = model_arrays(model)
    head = [name for name in own if name.startswith(HEAD + "/")]
    renewed = [n for n in head if n not in arrays or arrays[n].shape != own[n].shape]
    if not renewed:
        assign_weights(model, arrays, str(path))
        return []
    kept = {name: value for name, value in arrays.items() if name not in head}
    assign_weights(model, kept | {name: own[name] for name in head}, str(path))
    theirs = arrays[f"{HEAD}/bias"].shape[0] if f"{HEAD}/bias" in arrays else "no"
    ours = own[f"{HEAD}/bias"].shape[0]
    return [f"{path}: its head has {theirs} keypoints, this model {ours}; the head starts afresh"]


def assign_weights(model: keras.Model, arrays: dict[str, np.ndarray], source: str) -> None:
    """Fills every weight of `model` from named arrays, or names all that does not fit.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite.
    """
    variables = {variable.path: variable for variable in model.variables}
    faults = [f"{name} is missing" for name in variables if name not in arrays]
    faults += [f"{name} has no place in the model" for name in arrays if name not in variables]
    for name, variable in variables.items():
        if name not in arrays:
            continue
        expected, found = tuple(variable.shape), arrays[name].shape
        if expected != found:
            faults.append(f"{name} has shape {found}, expected {expected}")
        elif arrays[name].dtype.kind not in "fiu":
            faults.append(f"{name} holds {arrays[name].dtype}, expected numbers")
        elif not np.isfinite(arrays[name]).all():
            faults.append(f"{name} holds values that are not finite")
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InputError(f"{source}: does not fit {model.name}: {'; '.join(faults[:3])}{more}")
    for name, variable in variables.items():
        variable.assign(arrays[name])
