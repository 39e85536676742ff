"""Converts published MTCNN weights into one kptkit file, with its SHA-256 beside it.

    python scripts/convert_weights.py --from facenet-pytorch DIR

reads pnet.pt, rnet.pt and onet.pt of timesler/facenet-pytorch, the authors' own weights as PyTorch
keeps them (pip install -e ".[weights]"), and writes what FaceDetector(weights="original") loads.

    python scripts/convert_weights.py --from aittsmd DIR --out aittsmd.npz

reads the TensorFlow 1 checkpoints PNet-*, RNet-* and ONet-* of AITTSMD/MTCNN-Tensorflow. Instead of
a folder, three files (of checkpoints: their prefixes, such as PNet-18) may be given: P, R, O.
"""

from kptkit import commands

commands.import_tensorflow_quietly()

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tensorflow as tf
import tyro

from kptkit.cascade_weights import load_cascade, original_path, save_cascade, stage_model
from kptkit.errors import InputError
from kptkit.models.mtcnn import STAGES, Stage
from kptkit.weights_mtcnn import from_aittsmd, from_facenet_pytorch

CHECKPOINTS: dict[Stage, str] = {"pnet": "PNet", "rnet": "RNet", "onet": "ONet"}


@dataclass(frozen=True)
class Config:
    """Whose weights to convert, and where to."""

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """A folder, or three files or prefixes: P-Net, R-Net, O-Net."""
    project: Annotated[Literal["facenet-pytorch", "aittsmd"], tyro.conf.arg(name="from")]
    """The project that published them."""
    out: Path | None = None
    """File to write (.npz); none: the one that FaceDetector(weights="original") reads."""


def main(config: Config) -> None:
    """Read, convert, write, and read again."""
    facenet = config.project == "facenet-pytorch"
    models = {}
    for stage, source in _sources(config.sources, facenet).items():
        if facenet:
            arrays = from_facenet_pytorch(stage, read_torch(source), str(source))
        else:
            arrays = from_aittsmd(stage, read_checkpoint(source), str(source))
        models[stage] = stage_model(stage, arrays, str(source))
        print(f"{stage}: {models[stage].count_params():,} parameters from {source}")
    out = config.out or original_path()
    save_cascade(out, models)
    load_cascade(out)
    print(f"written: {out}")


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """A PyTorch state dict of plain tensors; what else a .pt file may hold is refused.

    Raises:
        InputError: PyTorch is not installed, or the file is missing or no such dict.
    """
    try:
        import torch
    except ImportError:
        raise InputError(
            f'{path}: reading it needs PyTorch; run: pip install -e ".[weights]"'
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises every kind for a file that is not its own.
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: no PyTorch state dict, or a damaged one ({reason})") from None
    if not isinstance(state, dict) or not all(torch.is_tensor(x) for x in state.values()):
        raise InputError(f"{path}: expected a state dict, names and their tensors")
    return {name: tensor.detach().numpy() for name, tensor in state.items()}


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


def _sources(paths: tuple[Path, ...], facenet: bool) -> dict[Stage, Path]:
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
    """The one checkpoint of a network in a folder or below it."""
    found = sorted(folder.rglob(f"{network}-*.index"))
    if len(found) != 1:
        names = ", ".join(str(path.with_suffix("")) for path in found) or "none"
        raise InputError(
            f"{folder}: {network}-*.index: found {names}, expected one; name the three prefixes"
        )
    return found[0].with_suffix("")


if __name__ == "__main__":
    commands.run(main, Config)
