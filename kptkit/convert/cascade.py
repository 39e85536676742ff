"""Three networks of somebody else's face cascade into one file of ours."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from kptkit.convert.mtcnn_names import from_aittsmd, from_facenet_pytorch
from kptkit.convert.torch_files import read_torch
from kptkit.errors import InputError
from kptkit.models.sizes import STAGES, Stage
from kptkit.weights.cascade import load_cascade, save_cascade, stage_model

CHECKPOINTS: dict[Stage, str] = {"pnet": "PNet", "rnet": "RNet", "onet": "ONet"}


def write_cascade(sources: dict[Stage, Path], project: str, out: Path) -> list[str]:
    """Converts, writes and reloads three networks; returns lines to print."""
    models, lines = {}, []
    for stage, source in sources.items():
        if project == "facenet-pytorch":
            arrays = from_facenet_pytorch(stage, read_torch(source).state, str(source))
        else:
            arrays = from_aittsmd(stage, read_checkpoint(source), str(source))
        models[stage] = stage_model(stage, arrays, str(source))
        lines.append(f"{stage}: {models[stage].count_params():,} parameters from {source}")
    save_cascade(out, models)
    load_cascade(out)
    return lines


def read_checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    """All variables of a TensorFlow checkpoint.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (ValueError, IndexError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{prefix}: no TensorFlow checkpoint of that prefix, or a damaged one ({reason})"
        ) from None


def sources_of(paths: tuple[Path, ...], facenet: bool) -> dict[Stage, Path]:
    """The file or prefix of every stage."""
    if len(paths) == 3:
        return dict(zip(STAGES, paths, strict=True))
    if len(paths) != 1 or not paths[0].is_dir():
        given = " ".join(map(str, paths)) or "nothing"
        raise InputError(f"{given}: expected a folder, or three files: P-Net, R-Net, O-Net")
    if facenet:
        return {stage: paths[0] / f"{stage}.pt" for stage in STAGES}
    return {stage: _prefix(paths[0], name) for stage, name in CHECKPOINTS.items()}


def _prefix(folder: Path, network: str) -> Path:
    """The prefix of the only checkpoint of a network in a folder or its subfolders."""
    found = sorted(folder.rglob(f"{network}-*.index"))
    if len(found) != 1:
        names = ", ".join(str(path.with_suffix("")) for path in found) or "none"
        raise InputError(
            f"{folder}: {network}-*.index: found {names}, expected one; name the three prefixes"
        )
    return found[0].with_suffix("")
