"""Opens pose networks: from a run folder, a weights file or a published name.

Estimators, evaluation, export and `--init` all use this module. Face cascades, three networks
without a pose recipe, are opened by `kptkit.weights.cascade`.
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptkit.errors import InputError
from kptkit.foreign import ForeignFunction, import_function
from kptkit.network import PoseNetwork, build_model, refused_network
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import PoseRun, load_run
from kptkit.skeletons.schema import KeypointSchema
from kptkit.weights.arrays import load_arrays, read_card, take_card
from kptkit.weights.assign import (
    HEADS,
    assign_weights,
    check_weights,
    load_weights,
    model_arrays,
    num_keypoints,
)
from kptkit.weights.card import Origin
from kptkit.weights.known import cached_or_path


@dataclass(frozen=True)
class PoseSource:
    """A pose network that was located but not built yet."""

    weights: Path
    """The `.npz` file."""
    recipe: PoseRecipe
    schema: KeypointSchema
    folder: Path
    """Default folder of evaluations and exports: the run folder, or runs/NAME."""
    data: dict[str, Any] = field(default_factory=dict)
    """The data flags of the training command; empty for published weights."""
    origin: Origin | None = None
    """Who published the weights; None for the weights of a run."""
    network: ForeignFunction | None = None
    """The user's own function that builds the network, if it is not one of this package's."""


def load(source: str | os.PathLike, network: str = "") -> PoseNetwork:
    """The pose network of a run folder, a weights file or a published name.

    Args:
        source: a run folder; a file that `kptkit convert` wrote, or one inside a run folder,
            such as runs/demo/last.npz; or a name such as ``coco-w32-256x192`` that was converted
            before (`kptkit.weights.known`). A name is never taken for a path.
        network: the `--network` of the training, package.module:function, if it had one. That code
            is imported only if it is named here again.

    Raises:
        InputError: the name is unknown or not converted yet (the message has the command to run);
            or the file or folder is missing, damaged or lacks a recipe; or its network is not
            `network`.
    """
    return build(find(source, network=network))


def find(source: str | os.PathLike, weights: str | None = None, network: str = "") -> PoseSource:
    """Locates what `load` would build; for callers that need more than the network.

    Args:
        weights: the weights file in a run folder; default: best.npz.
        network: as in `load`.

    Raises:
        InputError: as `load`, except for faults of the weights themselves; or `weights` is given
            with a source that is no run folder.
    """
    if not isinstance(network, str):
        raise InputError(f"network: {network!r:.60}, expected package.module:function as text")
    path = cached_or_path(source, "pose")
    if path.is_dir():
        run = load_run(path, PoseRun)
        return _of_run(run, run.folder / weights if weights else run.best, network)
    card = read_card(path)
    if weights:
        raise InputError(f"weights: {weights}; expected a run folder beside it, not {source}")
    if card is None and (path.parent / "config.json").is_file():
        return _of_run(load_run(path.parent, PoseRun), path, network)
    if card is None:
        raise InputError(
            f"{path}: weights without a recipe; give the folder of their run, or a file that "
            "kptkit convert wrote"
        )
    if card.recipe is None or card.schema is None:
        raise InputError(
            f"{path}: features of {card.network} without a head; use them to initialise training: "
            f"kptkit train hrnet --init {source}"
        )
    folder = Path("runs", path.stem)
    foreign = _foreign_network(path, card.recipe, network)
    return PoseSource(path, card.recipe, card.schema, folder, origin=card.origin, network=foreign)


def source_of(run: PoseRun, weights: Path, network: ForeignFunction | None = None) -> PoseSource:
    """The network of a run that is at hand; `network` builds it, if this package does not."""
    return PoseSource(weights, run.recipe, run.schema, run.folder, run.data, network=network)


def _of_run(run: PoseRun, weights: Path, network: str) -> PoseSource:
    foreign = _foreign_network(run.folder, run.recipe, network)
    if foreign and run.code.get(foreign.name) != foreign.sha256:
        print(
            f"warning: {run.folder}: the source of {foreign.name} is not the one it was trained "
            "with",
            file=sys.stderr,
        )
    return source_of(run, weights, foreign)


def _foreign_network(where: Path, recipe: PoseRecipe, network: str) -> ForeignFunction | None:
    """Imports the network's own code, if the recipe and the caller both name it."""
    if recipe.network != network:
        raise InputError(f"{where}: {refused_network(recipe.network, network)}")
    return import_function(network, "--network") if network else None


def build(source: PoseSource, recipe: PoseRecipe | None = None) -> PoseNetwork:
    """Builds the network of a source and loads its weights.

    Args:
        recipe: replaces the source's recipe, to change constants such as precision or decoder.

    Raises:
        InputError: the weights file is missing, damaged or does not fit the network.
    """
    recipe = recipe or source.recipe
    model = build_model(recipe, source.schema.num_keypoints, foreign=source.network)
    load_weights(model, source.weights)
    return PoseNetwork(model, recipe, source.schema)


def checked_arrays(source: PoseSource) -> dict[str, np.ndarray]:
    """The weights of a source whose network is kptkit's own, checked as by `build`.

    No network is built, and TensorFlow is not started. `build_from` builds it.
    """
    arrays = load_arrays(source.weights)
    take_card(arrays, source.weights)
    recipe, num_keypoints = source.recipe, source.schema.num_keypoints
    check_weights(lambda: build_model(recipe, num_keypoints), arrays, str(source.weights))
    return arrays


def build_from(source: PoseSource, arrays: dict[str, np.ndarray]) -> PoseNetwork:
    """As `build`, of weights from `checked_arrays`."""
    model = build_model(source.recipe, source.schema.num_keypoints)
    assign_weights(model, arrays, str(source.weights))
    return PoseNetwork(model, source.recipe, source.schema)


def initialise(model: keras.Model, source: str | os.PathLike) -> list[str]:
    """Initialises `model` with the weights of a run folder, a file or a published name.

    Every layer but the head must fit. A head for other keypoints keeps its fresh weights.

    Returns:
        Lines to print about weights that were not used.

    Raises:
        InputError: as `load`, or the weights belong to another network.
    """
    path = cached_or_path(source, "pose")
    if path.is_dir():
        path = path / "best.npz"
    arrays = load_arrays(path)
    card = take_card(arrays, path)
    if card and card.network != model.name:
        advice = "give the weights of a run of that network, or no --init"
        if model.name.startswith(("hrnet_", "hourglass_")):
            variant = card.network.partition("_")[2]
            advice = f"give the --variant or the --recipe that fits, {variant}"
        raise InputError(
            f"--init {source}: weights of {card.network}, but the model is {model.name}; {advice}"
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
