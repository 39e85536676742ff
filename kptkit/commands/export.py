"""Exports a network as a SavedModel for TF Serving, or for LiteRT or ONNX Runtime.

    kptkit export runs/demo

writes RUN/export/<version>/, from pictures and boxes to keypoints in image pixels;

    kptkit export --task face

writes runs/mtcnn/export/<version>/, from pictures to faces. Both run in any process that has
TensorFlow. An export is reloaded and compared with its source before it is published. Beside the
versions, `serving` gets the files of a server (kptkit serve).

    kptkit export runs/demo --format litert --precision float16

writes RUN/export-litert-float16/<version>/pose.tflite, from crops to keypoints in crop pixels; with
`--task face`, P-Net, R-Net and O-Net. `--format onnx` needs `pip install 'kptkit[onnx]'`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kptkit import flags, quiet
from kptkit.commands import early
from kptkit.export.target import Target
from kptkit.fields import COUNT, Flat, Positional, Written
from kptkit.recipes.cascade import CascadeConfig
from kptkit.wording import counted


@dataclass(frozen=True)
class PoseConfig:
    """What to export, and where to write it."""

    run: Positional[Path]
    """Run folder of kptkit train hrnet or kptkit train hourglass; or converted weights: a file, or
    a name such as coco-w32-256x192."""
    task: Literal["pose", "face"] = "pose"
    """What the network finds; each task has its own flags."""
    target: Flat[Target] = Target()
    """What kind of file is written."""
    out: Annotated[Path | None, Written("folder")] = None
    """Folder for the version folders; default: RUN/export, or RUN/export-FORMAT-PRECISION."""
    version: Annotated[int | None, COUNT] = None
    """Number to publish under; default: one more than the highest there."""
    keep: Annotated[int | None, COUNT] = None
    """How many of the newest versions stay there; default: all. Keep two, to be able to go back."""
    licence: str = ""
    """Of the weights, for the model card."""
    flip_test: bool = True
    """Whether mirrored crops are evaluated too, if the recipe does so; --no-flip-test halves the
    time."""
    network: str = ""
    """The --network of its training, if it had one: imports that code."""


@dataclass(frozen=True)
class FaceConfig:
    """Which face detector to export, and where to write it."""

    task: Literal["pose", "face"] = "face"
    """What the network finds; each task has its own flags."""
    weights: str = "default"
    """Weights of the detector: default (packaged), original (published, converted), a file, or a
    folder of kptkit train mtcnn, such as runs/mtcnn."""
    target: Flat[Target] = Target()
    """What kind of file is written."""
    out: Annotated[Path | None, Written("folder")] = None
    """Folder for the version folders; default: runs/mtcnn/export, or
    runs/mtcnn/export-FORMAT-PRECISION."""
    version: Annotated[int | None, COUNT] = None
    """Number to publish under; default: one more than the highest there."""
    keep: Annotated[int | None, COUNT] = None
    """How many of the newest versions stay there; default: all. Keep two, to be able to go back."""
    licence: str = ""
    """Of the weights, for the model card."""
    cascade: Flat[CascadeConfig] = CascadeConfig()
    """Settings of the detector, fixed in a SavedModel, recommended in other manifests."""


def pose(config: PoseConfig) -> None:
    """Exports, then prints the signatures and how well they agree."""
    early.check_pose_source(config.run)
    quiet.import_tensorflow()
    from kptkit.export import report
    from kptkit.export.pose import export_pose

    folder = export_pose(
        config.run,
        config.out,
        target=config.target,
        version=config.version,
        flip_test=None if config.flip_test else False,
        keep=config.keep,
        licence=config.licence,
        network=config.network,
    )
    if config.target.format != "saved_model":
        report.print_converted(folder)
        return
    difference = report.print_signatures(folder)["largest_difference"]
    keypoints = counted(difference["keypoints_compared"], "keypoint")
    print(
        f"reloaded and compared with the run: {keypoints} agree to "
        f"{difference['keypoints_px']:.4f} px, their scores to {difference['scores']:.5f}"
    )
    report.print_saved_model(folder, "pose")


def face(config: FaceConfig) -> None:
    """Exports, then prints the signatures and how well they agree."""
    early.check_cascade(config.weights)
    quiet.import_tensorflow()
    from kptkit.export import report
    from kptkit.export.face import export_face

    folder = export_face(
        config.weights,
        config.out,
        target=config.target,
        version=config.version,
        config=config.cascade,
        keep=config.keep,
        licence=config.licence,
    )
    if config.target.format != "saved_model":
        report.print_converted(folder)
        return
    difference = report.print_signatures(folder)["largest_difference"]
    print(
        f"reloaded and compared with the detector: {counted(difference['faces_compared'], 'face')}"
        f" of drawn scenes agree to {difference['boxes_and_landmarks_px']:.4f} px, their scores to "
        f"{difference['scores']:.7f}"
    )
    report.print_saved_model(folder, "face")


def command() -> None:
    """The command line."""
    flags.run_task(
        {"pose": (pose, PoseConfig), "face": (face, FaceConfig)}, __doc__, tensorflow=False
    )
