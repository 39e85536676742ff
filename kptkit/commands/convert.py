"""Converts published weights into one kptkit file, with its SHA-256 beside it.

    python scripts/convert_weights.py --from coco-w32-256x192

downloads known weights, checks them, and puts them where PoseEstimator, --weights and --init find
them by that name; --from list prints the names, with scores and addresses. Weights without a direct
address are given as a file: --from coco-w32-256x192-official pose_hrnet_w32_256x192.pth.

    python scripts/convert_weights.py --from hrnet FILE.pth --recipe w32-256x192 --out mine.npz

reads a checkpoint that you trained with the authors' HRNet code or mmpose (0.x and 1.x; MSRA, DARK
and UDP); --from hourglass reads one of princeton-vl/pytorch_stacked_hourglass. --recipe is a recipe
of train_hrnet.py or a known name, whose keypoints, decoder and flip test are then used; --keypoints
gives a COCO file with other keypoints.

    python scripts/convert_weights.py --from facenet-pytorch DIR

reads pnet.pt, rnet.pt and onet.pt of timesler/facenet-pytorch, the MTCNN authors' own weights in
PyTorch format, and writes the file that FaceDetector(weights="original") loads; --from
mtcnn-original downloads them. --from aittsmd DIR --out aittsmd.npz reads the TensorFlow 1
checkpoints PNet-*, RNet-* and ONet-* of AITTSMD/MTCNN-Tensorflow. Instead of a folder, three files
(for checkpoints, their prefixes, such as PNet-18) may be given: P, R, O.

All but the last read PyTorch's files: pip install -e ".[weights]".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tensorflow as tf
import tyro

from kptkit import cli
from kptkit.convert.mtcnn_names import from_aittsmd, from_facenet_pytorch
from kptkit.convert.pose import convert_features, convert_pose, origin_of, source_files
from kptkit.convert.torch_files import read_torch
from kptkit.data.formats.coco import load_coco
from kptkit.errors import InputError
from kptkit.models.mtcnn import STAGES, Stage
from kptkit.recipes.pose import RECIPES, PoseRecipe
from kptkit.skeletons.known import COCO_17
from kptkit.skeletons.schema import KeypointSchema
from kptkit.weights.cascade import ORIGINAL, load_cascade, save_cascade, stage_model
from kptkit.weights.known import KNOWN, cached_path, known

CHECKPOINTS: dict[Stage, str] = {"pnet": "PNet", "rnet": "RNet", "onet": "ONet"}
# Projects whose checkpoints are read, besides the known weights.
PROJECTS = ("facenet-pytorch", "aittsmd", "hrnet", "hourglass")


@dataclass(frozen=True)
class Config:
    """Which weights to convert, and where to write them."""

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """Files to convert, or a folder; known weights with an address need none."""
    project: Annotated[str, tyro.conf.arg(name="from")]
    """A known name (list prints them), or the project that published the sources: facenet-pytorch,
    aittsmd, hrnet (mmpose's too), hourglass."""
    recipe: str | None = None
    """With hrnet and hourglass: the recipe or known name with the input size, decoder and flip test
    of the weights."""
    keypoints: Path | None = None
    """With hrnet and hourglass: a COCO file that names the keypoints; default: those of the known
    name, or COCO's 17."""
    out: Path | None = None
    """File to write (.npz); default: in the cache, where known weights are found by their name."""


def main(config: Config) -> None:
    """Reads, converts and writes weights, and checks that they can be read again."""
    if config.project == "list":
        print_known()
        return
    cli.check_name("--from", config.project, (*KNOWN, *PROJECTS))
    if config.project in ("hrnet", "hourglass"):
        lines, out = own_pose(config)
    elif config.project in PROJECTS:
        lines, out = own_cascade(config)
    else:
        lines, out = published(config)
    for line in lines:
        print(line)
    print(f"written: {out}")


def print_known() -> None:
    """Prints names, scores and addresses of the known weights."""
    for name, row in KNOWN.items():
        where = " ".join(file.url or f"from a file: {file.name}" for file in row.files)
        print(f"{name}: {row.score}\n    {where}")


def published(config: Config) -> tuple[list[str], Path]:
    """Converts known weights, downloaded or from the files given."""
    name = config.project
    row, out = known(name), config.out or cached_path(name)
    files = source_files(name, config.sources)
    if row.task == "face":
        lines = write_cascade(dict(zip(STAGES, files, strict=True)), "facenet-pytorch", out)
    elif row.recipe and row.schema:
        lines = convert_pose(files[0], out, row.recipe, row.schema, origin_of(row, files[0]))
    else:
        lines = convert_features(files[0], out, row.variant, origin_of(row, files[0]))
    said = [f"published: {row.score}", f"cite: {row.cite}", f"licence: {row.licence}"]
    return [*lines, *said], out


def own_pose(config: Config) -> tuple[list[str], Path]:
    """Converts a checkpoint of the user's own training."""
    if len(config.sources) != 1 or config.recipe is None or config.out is None:
        raise InputError(f"--from {config.project}: expected one file, --recipe and --out")
    (source,) = config.sources
    schema = load_coco(config.keypoints).schema if config.keypoints else None
    recipe, schema = recipe_of(config.recipe, schema)
    if bool(recipe.num_stacks) != (config.project == "hourglass"):
        raise InputError(
            f"--recipe {config.recipe}: {recipe.variant} is not a variant of {config.project}"
        )
    lines = convert_pose(source, config.out, recipe, schema, origin_of(None, source))
    return lines, config.out


def recipe_of(name: str, schema: KeypointSchema | None) -> tuple[PoseRecipe, KeypointSchema]:
    """A recipe of train_hrnet.py or of known weights, with its keypoints unless they are given."""
    recipes = RECIPES | {n: row.recipe for n, row in KNOWN.items() if row.recipe}
    cli.check_name("--recipe", name, recipes)
    usual = KNOWN[name].schema if name in KNOWN else COCO_17
    return recipes[name], schema or usual or COCO_17


def own_cascade(config: Config) -> tuple[list[str], Path]:
    """Converts the three networks of a face cascade."""
    out = config.out or cached_path(ORIGINAL)
    sources = _sources(config.sources, config.project == "facenet-pytorch")
    return write_cascade(sources, config.project, out), out


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
    """The prefix of the only checkpoint of a network in a folder or its subfolders."""
    found = sorted(folder.rglob(f"{network}-*.index"))
    if len(found) != 1:
        names = ", ".join(str(path.with_suffix("")) for path in found) or "none"
        raise InputError(
            f"{folder}: {network}-*.index: found {names}, expected one; name the three prefixes"
        )
    return found[0].with_suffix("")


def command() -> None:
    """The command line."""
    cli.run(main, Config, description=__doc__)
