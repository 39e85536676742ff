"""Exports pose networks: a SavedModel for TF Serving, or a file for LiteRT or ONNX Runtime.

An export is reloaded, compared with its source (`kptkit.export.check`), and only then published
under its version number. A SavedModel includes warm-up requests for TF Serving and a model card;
the configuration of a server is written beside the versions.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from kptkit import opener
from kptkit.export import pose_graph
from kptkit.export.check import compare_converted_pose, compare_saved_pose
from kptkit.export.manifest import describe_pose_weights, describe_signatures, write_manifest
from kptkit.export.network_functions import pose_function
from kptkit.export.pose_graph import PoseGraph
from kptkit.export.runtimes import convert
from kptkit.export.server_files import SERVER_FILES, write_server_files
from kptkit.export.signatures import PICTURE_LIMITS
from kptkit.export.target import SAVED_MODEL, Target
from kptkit.export.version_folders import new_version
from kptkit.export.warmup_requests import pose_requests, write_warmup
from kptkit.opener import PoseSource
from kptkit.pose.estimator import PoseEstimator


def export_pose(
    source: PoseSource | str | os.PathLike,
    out: str | os.PathLike | None = None,
    *,
    target: Target = SAVED_MODEL,
    version: int | None = None,
    flip_test: bool | None = None,
    keep: int | None = None,
    licence: str = "",
    network: str = "",
) -> Path:
    """Exports a pose network to a numbered version folder.

    A SavedModel has the signatures of `kptkit.export.pose_graph`, from pictures and boxes to
    keypoints in image pixels. ``pose.tflite`` and ``pose.onnx`` take crops and return keypoints in
    crop pixels. A network trained in mixed precision is exported in float32, with equal weights.

    Args:
        source: a run folder, a weights file or a published name, as `kptkit.load` takes them; or
            what `kptkit.opener.find` found.
        out: folder of the versions; default: `export`, or `export-FORMAT-PRECISION`, in the run
            folder.
        target: format, precision and batch.
        version: the number to publish under; default: one more than the highest there.
        flip_test: whether mirrored crops are evaluated too; default: as in the recipe.
        keep: how many of the newest versions stay; default: all.
        licence: of the weights, for manifest and model card; published weights state theirs.
        network: as in `kptkit.load`.

    Returns:
        The version's folder.

    Raises:
        InputError: the source cannot be read, the version exists, or a library is missing.
        RuntimeError: the outputs of the export differ from the estimator's.
    """
    found = source if isinstance(source, PoseSource) else opener.find(source, network=network)
    recipe = dataclasses.replace(found.recipe, precision="float32")
    if flip_test is not None:
        recipe = dataclasses.replace(recipe, flip_test=flip_test)
    out = found.folder / target.folder_name if out is None else Path(out)
    write = _write_saved_model if target.format == "saved_model" else _write_converted
    with new_version(out, version, keep) as (path, folder):
        estimator = PoseEstimator(opener.build(found, recipe))
        description = {
            "task": "pose",
            "weights": describe_pose_weights(found, licence),
            "recipe": dataclasses.asdict(recipe),
            "schema": found.schema.to_json(),
        }
        write(folder, estimator, target, description)
    if target.format == "saved_model":
        write_server_files(out / SERVER_FILES, {"pose": out})
    return path


def _write_saved_model(
    folder: Path, estimator: PoseEstimator, _: Target, description: dict[str, Any]
) -> None:
    signatures = PoseGraph(estimator).save(folder)
    description |= {
        "signatures": describe_signatures(signatures, pose_graph.MEANINGS),
        "limits": {
            "boxes_on_a_picture": pose_graph.MAX_PERSONS,
            "boxes_in_a_request": pose_graph.MAX_BOXES,
        }
        | PICTURE_LIMITS,
    }
    served = tf.saved_model.load(folder).signatures
    description["largest_difference"] = compare_saved_pose(served["serving_default"], estimator)
    requests = pose_requests(estimator.recipe.input_size_wh)
    description["warmup_requests"] = write_warmup(folder, "pose", requests, served)
    write_manifest(folder, description, card=True)


def _write_converted(
    folder: Path, estimator: PoseEstimator, target: Target, description: dict[str, Any]
) -> None:
    network = pose_function(estimator, target.batch_size)
    runner = convert(network, target, folder)
    difference = compare_converted_pose(runner, network, estimator, target.precision)
    description |= dataclasses.asdict(target) | {
        "signatures": network.describe(),
        "largest_difference": {"pose": difference},
    }
    write_manifest(folder, description, card=False)
