"""The weights of an MTCNN cascade: one `.npz` for all networks, with a checksum beside it.

A key is the stage and the variable's path, such as ``pnet/conv1/kernel``; while a cascade is being
trained, its file holds the stages trained so far. `sha256sum -c FILE.sha256` checks a file.
"""

import os
from functools import partial
from pathlib import Path

import keras
import numpy as np

from kptkit.errors import InputError
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES, Stage
from kptkit.system import refuse_late_fork
from kptkit.weights.arrays import load_arrays, publish_arrays
from kptkit.weights.assign import assign_weights, check_weights, model_arrays
from kptkit.weights.known import cached_or_path

_DEFAULT = Path(__file__).parents[1] / "assets" / "mtcnn.npz"
# The model card of the packaged weights: origin and scores, in Markdown.
DEFAULT_CARD = _DEFAULT.with_suffix(".md")
# The known name of the authors' weights.
ORIGINAL = "mtcnn-original"


def save_cascade(path: str | os.PathLike, models: dict[Stage, keras.Model]) -> None:
    """Publishes the weights of some or all stages at `path`, and their checksum."""
    arrays = {
        f"{stage}/{name}": array
        for stage, model in models.items()
        for name, array in model_arrays(model).items()
    }
    publish_arrays(path, arrays)


def load_cascade(source: str | os.PathLike) -> dict[Stage, keras.Model]:
    """Builds P-Net, R-Net and O-Net and loads their weights.

    Args:
        source: a file written by `save_cascade`; a folder that holds it as `mtcnn.npz`, such as
            runs/mtcnn; ``default``, the packaged weights; or a name of `kptkit.weights.known` once
            fetched, such as ``mtcnn-original`` (short: ``original``), the authors' weights. A name
            is never taken for a path.

    Raises:
        InputError: the file is missing or damaged, does not match its checksum, or does not hold
            the three networks with finite weights.
    """
    return load_stages(source, "onet")


def load_stages(source: str | os.PathLike, up_to: Stage) -> dict[Stage, keras.Model]:
    """As `load_cascade`, for the stages up to `up_to`; the file may lack later ones."""
    path, by_stage = _read(source, up_to)
    return {stage: stage_model(stage, arrays, str(path)) for stage, arrays in by_stage.items()}


def read_cascade(source: str | os.PathLike) -> dict[Stage, dict[str, np.ndarray]]:
    """The weights of P-Net, R-Net and O-Net, checked as by `load_cascade`.

    No network is built, and TensorFlow is not started. `build_cascade` builds them.
    """
    path, by_stage = _read(source, "onet")
    for stage, arrays in by_stage.items():
        check_weights(partial(_network, stage, arrays), arrays, str(path))
    return by_stage


def build_cascade(by_stage: dict[Stage, dict[str, np.ndarray]]) -> dict[Stage, keras.Model]:
    """The networks of weights from `read_cascade`."""
    return {stage: stage_model(stage, arrays, "weights") for stage, arrays in by_stage.items()}


def _read(
    source: str | os.PathLike, up_to: Stage
) -> tuple[Path, dict[Stage, dict[str, np.ndarray]]]:
    """The file of a source, and its weights by stage."""
    path = _path_of(source)
    by_stage: dict[str, dict[str, np.ndarray]] = {}
    for key, array in load_arrays(path).items():
        stage, _, name = key.partition("/")
        by_stage.setdefault(stage, {})[name] = array
    foreign = [stage for stage in by_stage if stage not in STAGES]
    if foreign:
        raise InputError(
            f"{path}: {foreign[0]}: not of a network of the cascade (expected {', '.join(STAGES)})"
        )
    stages = list(STAGES)[: list(STAGES).index(up_to) + 1]
    missing = [stage for stage in stages if stage not in by_stage]
    if missing:
        held = ", ".join(by_stage) or "nothing"
        raise InputError(f"{path}: holds {held}; {', '.join(missing)} must be in it too")
    return path, {stage: by_stage[stage] for stage in stages}


def stage_model(stage: Stage, arrays: dict[str, np.ndarray], source: str) -> keras.Model:
    """Builds one network from named weights, with a landmark head if the weights have one.

    Args:
        arrays: weights by the path of the variable, such as ``conv1/kernel``.
        source: where they come from, for error messages.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite.
    """
    refuse_late_fork()
    model = _network(stage, arrays)
    assign_weights(model, arrays, source)
    return model


def _network(stage: Stage, arrays: dict[str, np.ndarray]) -> keras.Model:
    return mtcnn(stage, landmarks="landmark/kernel" in arrays)


def _path_of(source: str | os.PathLike) -> Path:
    if source == "default":
        return _DEFAULT
    path = cached_or_path(ORIGINAL if source == "original" else source, "face")
    return path / "mtcnn.npz" if path.is_dir() else path
