"""Trained networks as programs for strangers: a SavedModel in a version folder, for TF Serving.

What is written is loaded again and compared with the estimator before it appears under its name.
`assets.extra/export.json` says what the program takes and gives, and holds the sha256 of its files.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from kptkit import pose_program
from kptkit.errors import InputError
from kptkit.files import locked, publish_folder, remove_unfinished, sha256, write_json
from kptkit.image_headers import MAX_PIXELS
from kptkit.images import MAX_FILE_BYTES, decode_image, encode_jpeg
from kptkit.pose import PoseEstimator
from kptkit.pose_network import build_model
from kptkit.pose_program import PoseProgram
from kptkit.program import MAX_PICTURES
from kptkit.run import load_run
from kptkit.weights import load_weights

# What a program may differ by from the estimator it was made of: pixels, score.
MAX_DIFFERENCES = np.array([0.05, 1e-3])
# By how much a box is moved, in pixels, to see which keypoints are fit for the comparison.
_NUDGES = (-1e-3, 1e-3)

Signature = Callable[..., dict[str, tf.Tensor]]

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
            "limits": {"persons_in_a_request": pose_program.MAX_PERSONS} | PICTURE_LIMITS,
            "largest_difference": compare_pose(_reloaded(folder), estimator),
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
            "inputs": tensors({spec.name: spec for spec in f.structured_input_signature[0]}),
            "outputs": tensors(f.structured_outputs),
        }
        for name, f in signatures.items()
    }


def compare_pose(served: Signature, estimator: PoseEstimator) -> dict[str, float]:
    """The largest differences between a program's answers and those of the estimator it came from.

    A keypoint that leaps when its box moves by a thousandth of a pixel lies where two places of the
    heatmap are equally high; it says nothing about the program and is left out.

    Raises:
        RuntimeError: they exceed what rounding explains.
    """
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    data = encode_jpeg(cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC))
    image = decode_image(data)
    boxes = np.array([[40, 30, 140, 220], [190, -20, 350, 180]], np.float32)
    padded = np.concatenate([boxes, np.zeros((1, 4), np.float32)])
    answer = served(image_bytes=tf.constant([data]), boxes=tf.constant(padded[None]))
    answer = np.concatenate([answer["keypoints"], answer["keypoint_scores"][..., None]], axis=-1)[0]
    if answer[2].any():
        raise RuntimeError("the written program finds keypoints in a padded box")

    expected = estimator.predict(image, boxes).keypoints
    moved = [
        _differences(estimator.predict(image, boxes + by).keypoints, expected) for by in _NUDGES
    ]
    steady = (np.max(moved, axis=0) <= MAX_DIFFERENCES / 2).all(axis=-1)
    largest = _differences(answer[:2], expected)[steady].max(axis=0, initial=0.0)
    if not (largest <= MAX_DIFFERENCES).all():
        raise RuntimeError(
            f"the written program and the estimator differ by {largest} px and score, expected at "
            f"most {MAX_DIFFERENCES}"
        )
    keypoints_px, scores = largest.tolist()
    return {"keypoints_px": keypoints_px, "scores": scores, "keypoints_compared": int(steady.sum())}


def _differences(keypoints: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far apart keypoints (..., K, 3) are, in pixels and in score: (..., K, 2)."""
    far = np.linalg.norm(keypoints[..., :2] - others[..., :2], axis=-1)
    return np.stack([far, np.abs(keypoints[..., 2] - others[..., 2])], axis=-1)
