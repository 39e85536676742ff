"""Trained networks for LiteRT and ONNX Runtime, in numbered folders like a SavedModel's.

What is written is loaded again in its own runtime and compared with what it was made of before the
folder appears. A pose network is one file; of a face cascade there are P-Net, R-Net and O-Net.
`assets.extra/export.json` says what they take and give, and holds their sha256.
"""

import dataclasses
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import tensorflow as tf

import kptkit
from kptkit.export import litert, onnx
from kptkit.export.check_runtimes import Runner, compare_pose, compare_stage
from kptkit.export.portable_networks import (
    Format,
    PortableNetwork,
    Target,
    portable_pose,
    portable_stage,
)
from kptkit.export.pose import described, face_weights, pose_weights
from kptkit.export.version_folders import MANIFEST, new_version
from kptkit.face.cascade import CascadeConfig
from kptkit.files import sha256, write_json
from kptkit.models.precision import built_in
from kptkit.network import build_model
from kptkit.pose.estimator import PoseEstimator
from kptkit.weights.assign import load_weights, open_run
from kptkit.weights.cascade import load_cascade

_RUNTIMES: dict[Format, ModuleType] = {"litert": litert, "onnx": onnx}


def export_portable_pose(
    run_folder: str | os.PathLike,
    target: Target,
    out: str | os.PathLike | None = None,
    version: int | None = None,
    flip_test: bool | None = None,
    keep: int | None = None,
    licence: str = "",
) -> Path:
    """Writes the best network of a run as ``pose.tflite`` or ``pose.onnx``.

    It takes crops and gives keypoints in crop pixels; a network trained in mixed precision computes
    in float32 there, with the same weights.

    Args:
        target: format, precision and batch.
        out: where version folders stand; none: `export-FORMAT-PRECISION` in the run folder.
        version: the number to publish under; none: one more than the highest there.
        flip_test: whether the mirrored crop is read as well; none: as the recipe says.
        keep: how many of the newest versions stay; none: all.
        licence: of the weights; published weights bring theirs.

    Returns:
        The version folder.

    Raises:
        InputError: the run cannot be read, the version exists, or a library is missing.
        RuntimeError: the written network answers something else than the estimator.
    """
    run = open_run(run_folder)
    recipe = dataclasses.replace(run.recipe, precision="float32")
    if flip_test is not None:
        recipe = dataclasses.replace(recipe, flip_test=flip_test)
    out = run.folder / default_name(target) if out is None else Path(out)
    with new_version(out, version, keep) as (path, folder):
        model = build_model(recipe, run.schema.num_keypoints)
        load_weights(model, run.best)
        estimator = PoseEstimator(model, recipe, run.schema)
        network = portable_pose(estimator, target.batch_size)
        runner = _write(network, target, folder)
        description = {
            "task": "pose",
            "weights": pose_weights(run, licence),
            "recipe": dataclasses.asdict(recipe),
            "schema": run.schema.to_json(),
        }
        differences = {"pose": compare_pose(runner, network, estimator, target.precision)}
        _write_manifest(folder, description, target, [network], differences)
    return path


def export_portable_face(
    weights: str | os.PathLike,
    target: Target,
    out: str | os.PathLike | None = None,
    version: int | None = None,
    config: CascadeConfig | None = None,
    keep: int | None = None,
    licence: str = "",
) -> Path:
    """Writes P-Net, R-Net and O-Net of a face detector, each as a file of its own.

    Args:
        weights: as for `kptkit.weights.cascade.load_cascade`.
        target: format, precision and batch.
        out: where version folders stand; none: `runs/mtcnn/export-FORMAT-PRECISION`.
        version: the number to publish under; none: one more than the highest there.
        config: pyramid and thresholds that the manifest recommends.
        keep: how many of the newest versions stay; none: all.
        licence: of the weights; those that come with the package have theirs.

    Returns:
        The version folder.

    Raises:
        InputError: the weights cannot be read, the version exists, or a library is missing.
        RuntimeError: a written network answers something else than Keras's.
    """
    with built_in("float32"):
        models = load_cascade(weights)
    out = Path("runs/mtcnn", default_name(target)) if out is None else out
    with new_version(out, version, keep) as (path, folder):
        networks, differences = [], {}
        for stage, model in models.items():
            network = portable_stage(stage, model, target.batch_size)
            runner = _write(network, target, folder)
            differences[stage] = compare_stage(runner, network, target.precision)
            networks.append(network)
        description = {
            "task": "face",
            "weights": face_weights(weights, licence),
            "cascade": dataclasses.asdict(config or CascadeConfig()),
        }
        _write_manifest(folder, description, target, networks, differences)
    return path


def default_name(target: Target) -> str:
    """Of the folder for the versions of one kind."""
    return f"export-{target.format}-{target.precision}"


def _write(network: PortableNetwork, target: Target, folder: Path) -> Runner:
    """Writes a network's file, and loads it in its own runtime."""
    runtime = _RUNTIMES[target.format]
    path = folder / f"{network.name}{runtime.SUFFIX}"
    path.write_bytes(runtime.convert(network, target.precision))
    return runtime.load(path)


def _write_manifest(
    folder: Path,
    description: dict[str, Any],
    target: Target,
    networks: list[PortableNetwork],
    differences: dict[str, dict[str, float]],
) -> None:
    signatures: dict[str, Any] = {}
    for network in networks:
        function = network.function.get_concrete_function()
        signatures |= described({network.name: function}, network.meanings)
    content = {
        **description,
        **dataclasses.asdict(target),
        "signatures": signatures,
        "largest_difference": differences,
        "kptkit": kptkit.__version__,
        "tensorflow": tf.__version__,
        "sha256": {file.name: sha256(file) for file in sorted(folder.iterdir())},
    }
    write_json(folder / MANIFEST, content)
