"""Trained networks as programs for strangers: a SavedModel in a version folder, for TF Serving.

What is written is loaded again and compared with what it was made of before it appears under its
name. `assets.extra/export.json` says what it takes and gives, and holds the sha256 of its files.
"""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from kptkit import face_program, pose_program
from kptkit.cascade import CascadeConfig
from kptkit.errors import InputError
from kptkit.export_check import Signature, compare_face, compare_pose
from kptkit.face import FaceDetector
from kptkit.face_program import FaceProgram
from kptkit.files import locked, publish_folder, remove_unfinished, sha256, write_json
from kptkit.image_headers import MAX_PIXELS
from kptkit.images import MAX_FILE_BYTES
from kptkit.pose import PoseEstimator
from kptkit.pose_network import build_model
from kptkit.pose_program import PoseProgram
from kptkit.program import MAX_PICTURES
from kptkit.run import load_run
from kptkit.weights import load_weights

MANIFEST = Path("assets.extra", "export.json")

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
) -> Path:
    """Writes the best network of a run as a SavedModel; its signatures: `kptkit.pose_program`.

    A network trained in mixed precision computes in float32 there, with the same weights.

    Args:
        out: where version folders stand; none: `export` in the run folder.
        version: the number to publish under; none: one more than the highest there.
        flip_test: whether the mirrored crop is read as well; none: as the recipe says.

    Returns:
        The version folder.

    Raises:
        InputError: the run cannot be read, or the version exists.
        RuntimeError: the written program answers something else than the estimator.
    """
    run = load_run(run_folder)
    recipe = dataclasses.replace(run.recipe, precision="float32")
    if flip_test is not None:
        recipe = dataclasses.replace(recipe, flip_test=flip_test)
    out = run.folder / "export" if out is None else Path(out)
    with _new_version(out, version) as (path, folder):
        model = build_model(recipe, run.schema.num_keypoints)
        load_weights(model, run.best)
        estimator = PoseEstimator(model, recipe, run.schema)
        signatures = PoseProgram(estimator).save(folder)
        description = {
            "task": "pose",
            "recipe": dataclasses.asdict(recipe),
            "schema": run.schema.to_json(),
            "signatures": _described(signatures, pose_program.MEANINGS),
            "limits": {
                "boxes_on_a_picture": pose_program.MAX_PERSONS,
                "boxes_in_a_request": pose_program.MAX_BOXES,
            }
            | PICTURE_LIMITS,
            "largest_difference": compare_pose(_reloaded(folder), estimator),
        }
        _write_manifest(folder, description)
    return path


def export_face(
    weights: str | os.PathLike = "default",
    out: str | os.PathLike = "runs/mtcnn/export",
    version: int | None = None,
    config: CascadeConfig | None = None,
    max_faces: int = 1000,
) -> Path:
    """Writes a face detector as a SavedModel; its signatures: `kptkit.face_program`.

    Args:
        weights: as for `kptkit.cascade_weights.load_cascade`.
        out: where version folders stand.
        version: the number to publish under; none: one more than the highest there.
        config: pyramid and thresholds, which the program keeps for good.
        max_faces: of a picture with more faces, the best-scored ones are told.

    Returns:
        The version folder.

    Raises:
        InputError: the weights cannot be read, or the version exists.
        RuntimeError: the written program answers something else than the detector.
    """
    settings = dataclasses.asdict(config or CascadeConfig())
    detector = FaceDetector(weights, **settings)
    program = FaceProgram(detector.cascade, max_faces)
    with _new_version(out, version) as (path, folder):
        signatures = program.save(folder)
        description = {
            "task": "face",
            "weights": os.fspath(weights),
            "cascade": settings,
            "signatures": _described(signatures, face_program.MEANINGS),
            "limits": {"faces_on_a_picture": max_faces} | PICTURE_LIMITS,
            "largest_difference": compare_face(_reloaded(folder), detector, max_faces),
        }
        _write_manifest(folder, description)
    return path


@contextmanager
def _new_version(out: str | os.PathLike, version: int | None) -> Iterator[tuple[Path, Path]]:
    """Yields a version's final path, and an empty folder that gets that name once it is filled."""
    if version is not None and version < 1:
        raise InputError(f"version: {version}, expected a whole number from 1")
    with locked(out) as out:
        remove_unfinished(out)
        path = out / str(_next_version(out) if version is None else version)
        with publish_folder(path) as folder:
            yield path, folder


def _next_version(out: Path) -> int:
    return 1 + max((int(p.name) for p in out.iterdir() if p.name.isdecimal()), default=0)


def _reloaded(folder: Path) -> Signature:
    return tf.saved_model.load(folder).signatures["serving_default"]


def _write_manifest(folder: Path, description: dict[str, Any]) -> None:
    hashes = {
        str(file.relative_to(folder)): sha256(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    write_json(folder / MANIFEST, description | {"sha256": hashes})


def _described(signatures: dict[str, Any], meanings: dict[str, str]) -> dict[str, Any]:
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
