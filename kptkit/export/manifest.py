"""The manifest of an export, `assets.extra/export.json`, and its model card.

The manifest names inputs and outputs with their types, shapes and meanings, the weights and their
licence, the largest difference from its source, and the SHA-256 of its files.
"""

import os
from pathlib import Path
from typing import Any

import tensorflow as tf

import kptkit
from kptkit.export.model_card import CARD, model_card
from kptkit.export.version_folders import MANIFEST
from kptkit.files import sha256
from kptkit.opener import PoseSource
from kptkit.runs import best_metrics
from kptkit.sealed import write_sealed


def write_manifest(folder: Path, description: dict[str, Any], card: bool) -> None:
    """Writes the manifest of a version's folder; all other files must be there already.

    Args:
        description: its content, without the checksums and the versions of kptkit and TensorFlow.
        card: whether to write a model card as well.
    """
    description = description | {"kptkit": kptkit.__version__, "tensorflow": tf.__version__}
    if card:
        (folder / CARD).write_bytes(model_card(description).encode())
    hashes = {
        file.relative_to(folder).as_posix(): sha256(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    write_sealed(folder / MANIFEST, description | {"sha256": hashes})


def describe_pose_weights(source: PoseSource, licence: str) -> dict[str, str]:
    """The entry on the weights of a run, or on published ones, in manifest and model card.

    Args:
        licence: given by the user; published weights state their own.
    """
    if source.origin is not None:
        origin = source.origin
        return {
            "source": origin.source,
            "licence": licence or origin.licence,
            "score": origin.score,
            "cite": origin.cite,
        }
    best = best_metrics(source.folder)
    score = ", ".join(f"{name} {value:.4g}" for name, value in best.items())
    if score:
        score = f"{score} on the run's own validation set"
    return {
        "source": f"a run of kptkit, {source.folder.name}",
        "licence": licence,
        "score": score,
        "cite": "",
    }


def describe_face_weights(weights: str | os.PathLike, licence: str) -> dict[str, str]:
    """The entry on a cascade's weights in manifest and model card."""
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


def describe_signatures(signatures: dict[str, Any], meanings: dict[str, str]) -> dict[str, Any]:
    """Type, shape and meaning of the inputs and outputs of each signature, by name."""

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
