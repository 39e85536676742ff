"""Weights as one `.npz` file of named arrays: nothing in it can execute, and every bit is checked.

A key is the variable's path, such as ``stage2.0.branches.0.0.conv1/kernel``. The zip container
carries a CRC of each array, so a truncated or altered file is refused; loading is strict by name
and shape. Published weights have a checksum beside them, ``FILE.sha256`` as `sha256sum` writes it,
and a card among their arrays, which says what they need.
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kptkit.errors import InputError
from kptkit.files import publish_file, sha256
from kptkit.foreign_files import refuse_foreign
from kptkit.network import build_model
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import PoseRun, load_run
from kptkit.skeletons.schema import KeypointSchema
from kptkit.weights.card import WeightsCard, WeightsRun
from kptkit.weights.known import cached_or_path

# The layers whose shapes follow from the number of keypoints.
HEADS = ("final_layer/", "outs.", "merge_preds.")
# The array that is no weight: what the others need, as JSON.
CARD = "card.json"
# What NumPy raises for a file that is not what it says; a shape beyond all memory among it.
_DAMAGES = (ValueError, OSError, EOFError, KeyError, RuntimeError, MemoryError)


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Publishes named arrays at `path`."""
    with publish_file(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, **arrays)


def publish_arrays(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], card: WeightsCard | None = None
) -> None:
    """As `save_arrays`, with the card among the arrays and their checksum beside the file."""
    path = Path(path)
    # A process killed in between leaves weights without a checksum, never with a wrong one.
    _sidecar(path).unlink(missing_ok=True)
    save_arrays(path, arrays | ({CARD: np.array(card.to_json())} if card else {}))
    with publish_file(_sidecar(path)) as unfinished:
        unfinished.write_text(f"{sha256(path)}  {path.name}\n")


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def load_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads named arrays; objects (pickles) are refused, and what would unfold beyond its file.

    Raises:
        InputError: the file is missing, truncated, altered, no `.npz` of plain arrays, or not what
            the checksum beside it says.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    refuse_foreign(path)
    _check(path)
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: not an .npz weights file, or a truncated one; those of other projects are "
            "converted by scripts/convert_weights.py"
        )
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


def _check(path: Path) -> None:
    """Compares a file with its checksum, if it has one."""
    sidecar = _sidecar(path)
    if not sidecar.is_file():
        return
    expected, found = sidecar.read_bytes().split(), sha256(path).encode()
    if not expected or expected[0].lower() != found:
        raise InputError(
            f"{path}: its SHA-256 is {found.decode()}, not that of {sidecar.name}; one of the two "
            "was damaged or changed, make or copy both again"
        )


def _take_card(arrays: dict[str, np.ndarray], path: Path) -> WeightsCard | None:
    """Takes the card out of a file's arrays, so that weights are left."""
    card = arrays.pop(CARD, None)
    return None if card is None else WeightsCard.from_json(str(card), str(path))


@dataclass(frozen=True)
class PoseWeights:
    """A network with its weights and what is needed to use it."""

    model: keras.Model
    """Crops, RGB 0..255 (B, H, W, 3), to heatmaps."""
    recipe: PoseRecipe
    schema: KeypointSchema


def load(source: str | os.PathLike) -> PoseWeights:
    """The pose network of a known name, of a file that `convert_weights.py` wrote, or of a run.

    Args:
        source: a name such as ``coco-w32-256x192`` (`kptkit.weights.known`), a file, or a run
            folder. The working folder is never searched for a name.

    Raises:
        InputError: the name is not in the cache (the message has the command that fetches it) or
            not known; or the file is damaged or has no recipe.
    """
    run = open_run(source)
    model = build_model(run.recipe, run.schema.num_keypoints)
    load_weights(model, run.best)
    return PoseWeights(model, run.recipe, run.schema)


def open_run(source: str | os.PathLike) -> PoseRun:
    """What `load` would load, as evaluation and export take it: a run folder, a name or a file.

    Raises:
        InputError: as `load`, but for the weights themselves.
    """
    path = cached_or_path(source, "pose")
    if path.is_dir():
        return load_run(path)
    card = _take_card(load_arrays(path), path)
    if card is None:
        raise InputError(
            f"{path}: weights without a recipe; give the folder of their run, or a file that "
            "scripts/convert_weights.py wrote"
        )
    if card.recipe is None or card.schema is None:
        raise InputError(
            f"{path}: features of {card.network} without a head; they are there to start from: "
            f"python scripts/train_hrnet.py --init {source}"
        )
    return WeightsRun(Path("runs", path.stem), card.recipe, card.schema, {}, path, card)


def model_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Every weight of a model by the path of its variable, batch statistics included."""
    return {variable.path: np.asarray(variable) for variable in model.variables}


def save_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Publishes a model's weights at `path`."""
    save_arrays(path, model_arrays(model))


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Fills every weight of `model` from a file written by `save_weights` or `publish_arrays`.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite; all are named.
    """
    arrays = load_arrays(path)
    arrays.pop(CARD, None)
    assign_weights(model, arrays, str(path))


def initialise(model: keras.Model, source: str | os.PathLike) -> list[str]:
    """Starts `model` from other weights: a known name, a weights file or a run folder.

    Every layer but the head must fit. A head for other keypoints keeps its fresh values.

    Returns:
        What was renewed, as lines to print.
    """
    path = cached_or_path(source, "pose")
    if path.is_dir():
        path = path / "best.npz"
    arrays = load_arrays(path)
    card = _take_card(arrays, path)
    if card and card.network != model.name:
        raise InputError(
            f"--init {source}: weights of {card.network}, but the model is {model.name}; give the "
            f"--variant or the --recipe that fits, {card.network.partition('_')[2]}"
        )
    own = model_arrays(model)
    head = [name for name in own if name.startswith(HEADS)]
    renewed = [n for n in head if n not in arrays or arrays[n].shape != own[n].shape]
    if not renewed:
        assign_weights(model, arrays, str(path))
        return []
    kept = {name: value for name, value in arrays.items() if name not in head}
    assign_weights(model, kept | {name: own[name] for name in head}, str(path))
    theirs, ours = num_keypoints(arrays) or "no", num_keypoints(own)
    return [f"{path}: its head has {theirs} keypoints, this model {ours}; the head starts afresh"]


def num_keypoints(arrays: dict[str, np.ndarray]) -> int | None:
    """How many keypoints the head has among a network's arrays, if it is there."""
    biases = [arrays[name] for name in ("final_layer/bias", "outs.0.conv/bias") if name in arrays]
    return len(biases[0]) if biases else None


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
