"""Exports a network as a SavedModel for TF Serving.

    python scripts/export.py runs/demo

writes RUN/export/<version>/, which answers pictures and boxes with keypoints in image pixels;

    python scripts/export.py --task face

writes runs/mtcnn/export/<version>/, which answers pictures with faces. Both run in any process that
has TensorFlow. What is written is first loaded and compared with what it was made of.
"""

from kptkit import commands

commands.import_tensorflow_quietly()

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kptkit.cascade import CascadeConfig
from kptkit.export import MANIFEST, export_face, export_pose


@dataclass(frozen=True)
class PoseConfig:
    """What to export, and where to."""

    run: tyro.conf.Positional[Path]
    """Run folder of train_hrnet.py."""
    task: Literal["pose", "face"] = "pose"
    """What the network finds; each task has its own flags."""
    out: Path | None = None
    """Folder for the version folders; none: RUN/export."""
    version: int | None = None
    """Number to publish under; none: one more than the highest there."""
    flip_test: bool = True
    """Whether mirrored crops are read too, if the recipe says so; without, an answer takes half the
    time."""


@dataclass(frozen=True)
class FaceConfig:
    """Which face detector to export, and where to."""

    task: Literal["pose", "face"] = "face"
    """What the network finds; each task has its own flags."""
    weights: str = "default"
    """Of the detector: default (packaged), original (published, converted), a file, or a folder
    that train_mtcnn.py wrote one into, such as runs/mtcnn."""
    out: Path = Path("runs/mtcnn/export")
    """Folder for the version folders."""
    version: int | None = None
    """Number to publish under; none: one more than the highest there."""
    cascade: Annotated[CascadeConfig, tyro.conf.arg(name="")] = CascadeConfig()
    """What the detector looks for, fixed in the export."""
    max_faces: int = 1000
    """Of a picture with more faces, the best-scored ones are told."""


def pose(config: PoseConfig) -> None:
    """Export, then the signatures and how well they agree."""
    flip_test = None if config.flip_test else False
    folder = export_pose(config.run, config.out, config.version, flip_test)
    difference = report_signatures(folder)["largest_difference"]
    print(
        f"reloaded and compared: {difference['keypoints_compared']} keypoints differ from the run "
        f"by at most {difference['keypoints_px']:.4f} px and {difference['scores']:.5f} in scores"
    )
    print(f"written: {folder}")


def face(config: FaceConfig) -> None:
    """Export, then the signatures and how well they agree."""
    folder = export_face(
        config.weights, config.out, config.version, config.cascade, config.max_faces
    )
    difference = report_signatures(folder)["largest_difference"]
    print(
        f"reloaded and compared: {difference['faces_compared']} faces of drawn scenes differ from "
        f"the detector's by at most {difference['boxes_and_landmarks_px']:.4f} px and "
        f"{difference['scores']:.7f} in scores"
    )
    print(f"written: {folder}")


def report_signatures(folder: Path) -> dict[str, Any]:
    """Prints what the program in a version folder takes and gives; returns its manifest."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, signature in manifest["signatures"].items():
        print(f"{name}: {_shapes(signature['inputs'])} -> {_shapes(signature['outputs'])}")
    return manifest


def _shapes(tensors: dict[str, dict]) -> str:
    """The tensors of a signature in one line; N is the batch, and ? what a request decides."""
    texts = []
    for name, tensor in tensors.items():
        batch, *sides = tensor["shape"]
        sides = [
            "N" if batch is None else str(batch),
            *("?" if s is None else str(s) for s in sides),
        ]
        texts.append(f"{name} {tensor['dtype']}[{', '.join(sides)}]")
    return ", ".join(texts)


if __name__ == "__main__":
    commands.run_task({"pose": (pose, PoseConfig), "face": (face, FaceConfig)})
