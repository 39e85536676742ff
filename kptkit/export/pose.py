"""Trained networks as programs for strangers: a SavedModel in a version folder, for TF Serving.

What is written is loaded again and compared with what it was made of before it appears under its
name. Its `assets.extra` hold `export.json`, which says what it takes and gives, and the sha256 of
its files; `model_card.md`, the same for people; and requests for TF Serving to warm up with.
Beside the versions, `serving` has the files of a server.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

import kptkit
from kptkit.export import face_graph, pose_graph
from kptkit.export.check import Signature, compare_face, compare_pose
from kptkit.export.face_graph import FaceProgram
from kptkit.export.model_card import CARD, model_card
from kptkit.export.pose_graph import PoseProgram
from kptkit.export.server_files import write_server_files
from kptkit.export.signatures import MAX_PICTURES
from kptkit.export.version_folders import MANIFEST, new_version
from kptkit.export.warmup_requests import Request, face_requests, pose_requests, write_warmup
from kptkit.face.cascade import CascadeConfig
from kptkit.face.detector import FaceDetector
from kptkit.files import sha256, write_json
from kptkit.images.codec import MAX_FILE_BYTES
from kptkit.images.headers import MAX_PIXELS
from kptkit.network import build_model
from kptkit.pose.estimator import PoseEstimator
from kptkit.runs import PoseRun
from kptkit.weights.assign import load_weights, open_run
from kptkit.weights.card import WeightsRun

# Beside the versions; TF Serving takes it for none of them.
SERVER_FILES = "serving"

PICTURE_LIMITS = {
    "pictures_in_a_request": MAX_PICTURES,
    "pixels_in_a_picture": MAX_PIXELS,
    "bytes_in_a_file": MAX_FILE_BYTES,
}


def export_pose(
    run_folder: str | os.PathLike,
    out: str | os.PathLike | None = None,
    version: int | None = None,
    flip_test: bool | None = None,
    keep: int | None = None,
    licence: str = "",
) -> Path:
    """Writes the best network of a run as a SavedModel; its signatures: `kptkit.export.pose_graph`.

    A network trained in mixed precision computes in float32 there, with the same weights.

    Args:
        out: where version folders stand; none: `export` in the run folder.
        version: the number to publish under; none: one more than the highest there.
        flip_test: whether the mirrored crop is read as well; none: as the recipe says.
        keep: how many of the newest versions stay; none: all.
        licence: of the weights, for the model card; published weights bring theirs.

    Returns:
        The version folder.

    Raises:
        InputError: the run cannot be read, or the version exists.
        RuntimeError: the written program answers something else than the estimator.
    """
    run = open_run(run_folder)
    recipe = dataclasses.replace(run.recipe, precision="float32")
    if flip_test is not None:
        recipe = dataclasses.replace(recipe, flip_test=flip_test)
    out = run.folder / "export" if out is None else Path(out)
    with new_version(out, version, keep) as (path, folder):
        model = build_model(recipe, run.schema.num_keypoints)
        load_weights(model, run.best)
        estimator = PoseEstimator(model, recipe, run.schema)
        program = PoseProgram(estimator)
        description = {
            "task": "pose",
            "weights": pose_weights(run, licence),
            "recipe": dataclasses.asdict(recipe),
            "schema": run.schema.to_json(),
            "signatures": described(program.save(folder), pose_graph.MEANINGS),
            "limits": {
                "boxes_on_a_picture": pose_graph.MAX_PERSONS,
                "boxes_in_a_request": pose_graph.MAX_BOXES,
            }
            | PICTURE_LIMITS,
        }
        signatures = tf.saved_model.load(folder).signatures
        difference = compare_pose(signatures["serving_default"], estimator)
        requests = pose_requests(recipe.input_size_wh)
        _finish(folder, description, difference, requests, signatures)
    write_server_files(out / SERVER_FILES, {"pose": out})
    return path


def export_face(
    weights: str | os.PathLike = "default",
    out: str | os.PathLike = "runs/mtcnn/export",
    version: int | None = None,
    config: CascadeConfig | None = None,
    max_faces: int = 1000,
    keep: int | None = None,
    licence: str = "",
) -> Path:
    """Writes a face detector as a SavedModel; its signatures: `kptkit.export.face_graph`.

    Args:
        weights: as for `kptkit.weights.cascade.load_cascade`.
        out: where version folders stand.
        version: the number to publish under; none: one more than the highest there.
        config: pyramid and thresholds, which the program keeps for good.
        max_faces: of a picture with more faces, the best-scored ones are told.
        keep: how many of the newest versions stay; none: all.
        licence: of the weights, for the model card; those that come with the package have theirs.

    Returns:
        The version folder.

    Raises:
        InputError: the weights cannot be read, or the version exists.
        RuntimeError: the written program answers something else than the detector.
    """
    settings = dataclasses.asdict(config or CascadeConfig())
    detector = FaceDetector(weights, **settings)
    program = FaceProgram(detector.cascade, max_faces)
    with new_version(out, version, keep) as (path, folder):
        description = {
            "task": "face",
            "weights": face_weights(weights, licence),
            "cascade": settings,
            "signatures": described(program.save(folder), face_graph.MEANINGS),
            "limits": {"faces_on_a_picture": max_faces} | PICTURE_LIMITS,
        }
        if weights == "default":
            card = Path(__file__).parents[1] / "assets" / "mtcnn.md"
            description["notes"] = card.read_text().partition("\n")[2].strip()
        signatures = tf.saved_model.load(folder).signatures
        difference = compare_face(signatures["serving_default"], detector, max_faces)
        _finish(folder, description, difference, face_requests(), signatures)
    write_server_files(Path(out) / SERVER_FILES, {"face": Path(out)})
    return path


def _finish(
    folder: Path,
    description: dict[str, Any],
    difference: dict[str, float],
    requests: list[Request],
    signatures: dict[str, Signature],
) -> None:
    """Writes what stands beside a program: warm-up, manifest and model card."""
    count = write_warmup(folder, description["task"], requests, signatures)
    description |= {
        "largest_difference": difference,
        "warmup_requests": count,
        "kptkit": kptkit.__version__,
        "tensorflow": tf.__version__,
    }
    (folder / CARD).write_text(model_card(description))
    hashes = {
        str(file.relative_to(folder)): sha256(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    write_json(folder / MANIFEST, description | {"sha256": hashes})


def pose_weights(run: PoseRun, licence: str) -> dict[str, str]:
    """What the model card says of a run's weights, or of published ones."""
    if isinstance(run, WeightsRun):
        origin = run.card.origin
        return {
            "source": origin.source,
            "licence": licence or origin.licence,
            "score": origin.score,
            "cite": origin.cite,
        }
    reached = run.folder / "metrics.json"
    best = json.loads(reached.read_text())["best"] if reached.is_file() else {}
    score = ", ".join(f"{name} {value:.4g}" for name, value in best.items())
    if score:
        score = f"{score} on the run's own validation set"
    return {
        "source": f"a run of kptkit, {run.folder.name}",
        "licence": licence,
        "score": score,
        "cite": "",
    }


def face_weights(weights: str | os.PathLike, licence: str) -> dict[str, str]:
    """What the model card says of a cascade's weights."""
    known = {
        "default": "kptkit's default weights, see below",
        "original": "those of MTCNN's authors, as facenet-pytorch has them",
    }
    name = os.fspath(weights)
    return {
        "source": known.get(name, name),
        "licence": licence or ("MIT" if name in known else ""),
        "score": "see below" if name == "default" else "",
        "cite": "Zhang et al., Joint Face Detection and Alignment Using Multitask Cascaded "
        "Convolutional Networks, IEEE Signal Processing Letters 2016",
    }


def described(signatures: dict[str, Any], meanings: dict[str, str]) -> dict[str, Any]:
    """Type, shape and meaning of the inputs and outputs of every signature."""

    def tensors(specs: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {
                "dtype": spec.dtype.name,
                "shape": spec.shape.as_list(),
                "meaning": meanings[name],
            }
            for name, spec in specs.items()
        }

    return {
        name: {
            "inputs": tensors(
                {s.name: s for s in f.structured_input_signature[0] if s is not None}
            ),
            "outputs": tensors(f.structured_outputs),
        }
        for name, f in signatures.items()
    }
