"""Exports face cascades: one SavedModel for TF Serving, or three files for LiteRT or ONNX Runtime.

As in `kptkit.export.pose`, an export is reloaded and compared before it is published.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from kptkit.export import face_graph
from kptkit.export.check import compare_converted_stage, compare_saved_faces
from kptkit.export.face_graph import FaceGraph
from kptkit.export.manifest import describe_face_weights, describe_signatures, write_manifest
from kptkit.export.network_functions import stage_function
from kptkit.export.runtimes import convert
from kptkit.export.server_files import SERVER_FILES, write_server_files
from kptkit.export.signatures import PICTURE_LIMITS
from kptkit.export.target import SAVED_MODEL, Target
from kptkit.export.version_folders import new_version
from kptkit.export.warmup_requests import face_requests, write_warmup
from kptkit.face.detector import FaceDetector
from kptkit.models.blocks import dtype_policy_scope
from kptkit.recipes.cascade import CascadeConfig
from kptkit.weights.cascade import DEFAULT_CARD, load_cascade


def export_face(
    weights: str | os.PathLike = "default",
    out: str | os.PathLike | None = None,
    *,
    target: Target = SAVED_MODEL,
    version: int | None = None,
    config: CascadeConfig | None = None,
    keep: int | None = None,
    licence: str = "",
) -> Path:
    """Exports a face detector to a numbered version folder.

    A SavedModel has the signatures of `kptkit.export.face_graph`, from pictures to faces. For
    LiteRT and ONNX, P-Net, R-Net and O-Net are separate files.

    Args:
        weights: as for `kptkit.weights.cascade.load_cascade`.
        out: folder of the versions; default: `runs/mtcnn/export`, or
            `runs/mtcnn/export-FORMAT-PRECISION`.
        target: format, precision and batch.
        version: the number to publish under; default: one more than the highest there.
        config: pyramid, thresholds and bounds (`max_faces`, `max_side`). They are fixed in a
            SavedModel and recommended in the manifest of the other formats.
        keep: how many of the newest versions stay; default: all.
        licence: of the weights, for manifest and model card; the packaged weights state theirs.

    Returns:
        The version's folder.

    Raises:
        InputError: the weights cannot be read, the version exists, or a library is missing.
        RuntimeError: the outputs of the export differ from its source's.
    """
    config = config or CascadeConfig()
    out = Path("runs/mtcnn", target.folder_name) if out is None else Path(out)
    description = {
        "task": "face",
        "weights": describe_face_weights(weights, licence),
        "cascade": dataclasses.asdict(config),
    }
    if target.format == "saved_model":
        detector = FaceDetector(weights, **dataclasses.asdict(config))
        graph = FaceGraph(detector.cascade)
        with new_version(out, version, keep) as (path, folder):
            description |= {
                "signatures": describe_signatures(graph.save(folder), face_graph.MEANINGS),
                "limits": {"faces_on_a_picture": config.max_faces} | PICTURE_LIMITS,
            }
            if weights == "default":
                description["notes"] = (
                    DEFAULT_CARD.read_text(encoding="utf-8").partition("\n")[2].strip()
                )
            _finish_saved_model(folder, detector, description)
        write_server_files(out / SERVER_FILES, {"face": out})
        return path
    with dtype_policy_scope("float32"):
        models = load_cascade(weights)
    with new_version(out, version, keep) as (path, folder):
        networks = [stage_function(s, m, target.batch_size) for s, m in models.items()]
        differences = {}
        for network in networks:
            runner = convert(network, target, folder)
            differences[network.name] = compare_converted_stage(runner, network, target.precision)
        description |= dataclasses.asdict(target) | {
            "signatures": {k: v for n in networks for k, v in n.describe().items()},
            "largest_difference": differences,
        }
        write_manifest(folder, description, card=False)
    return path


def _finish_saved_model(folder: Path, detector: FaceDetector, description: dict[str, Any]) -> None:
    """Compares a SavedModel with its detector; adds warm-up requests, manifest and model card."""
    served = tf.saved_model.load(folder).signatures
    difference = compare_saved_faces(served["serving_default"], detector)
    description["largest_difference"] = difference
    description["warmup_requests"] = write_warmup(folder, "face", face_requests(), served)
    write_manifest(folder, description, card=True)
