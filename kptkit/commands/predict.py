"""Finds keypoints or faces in pictures and draws them.

    kptkit predict PHOTO.jpg --run runs/demo

takes the whole picture as one person; boxes are given as --box X1 Y1 X2 Y2, or as a COCO-style JSON
file: --boxes FILE. With --weights coco-w32-256x192 instead of --run, the published network of that
name is used, once kptkit convert has fetched it. Writes PHOTO.jpg with skeletons and
keypoints.json (COCO results) to --out.

    kptkit predict --task face PHOTO.jpg

finds faces with their scores and five landmarks, with the packaged weights. Writes PHOTO.jpg with
faces and faces.json to --out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kptkit import flags
from kptkit.errors import InputError
from kptkit.fields import SHARE, Existing, Positional, Range, Without, Written

Task = Literal["pose", "face"]


@dataclass(frozen=True)
class PoseConfig:
    """Which pictures, and which network."""

    images: Positional[tuple[str, ...]]
    """Pictures."""
    task: Task = "pose"
    """What to find; each task has its own flags (--task face --help)."""
    run: Annotated[Path, Without("weights")] = Path("runs/demo")
    """Run folder of kptkit train hrnet or kptkit train hourglass."""
    weights: str | None = None
    """Instead of --run: a name such as coco-w32-256x192, or a file of kptkit convert."""
    network: str = ""
    """The --network of its training, if it had one: imports that code."""
    box: Annotated[tuple[float, float, float, float] | None, Without("boxes")] = None
    """One person in pixels of the upright picture: x1 y1 x2 y2."""
    boxes: Annotated[Path | None, Existing("file")] = None
    """JSON file with persons: COCO, or a list of {"file_name", "bbox": [x, y, w, h]}."""
    out: Annotated[Path, Written("folder")] = Path("runs/predict")
    """Folder for pictures and keypoints.json."""


@dataclass(frozen=True)
class FaceConfig:
    """Which pictures, and which detector."""

    images: Positional[tuple[str, ...]]
    """Pictures."""
    task: Task = "face"
    """What to find; each task has its own flags."""
    weights: str = "default"
    """Weights of the detector: default (packaged), original (published, converted) or a file."""
    min_face_size: Annotated[float, Range(10, 100_000)] = 20
    """Side in pixels of the smallest faces to detect; halving it takes four times as long."""
    score_thresholds: Annotated[tuple[float, float, float], SHARE] = (0.6, 0.7, 0.7)
    """Score thresholds of the three networks; higher: fewer faces and fewer false positives."""
    out: Annotated[Path, Written("folder")] = Path("runs/predict")
    """Folder for pictures and faces.json."""


def pose(config: PoseConfig) -> None:
    """Draws skeletons on pictures and writes the keypoints as JSON."""
    from kptkit.data.formats.named_boxes import boxes_by_name
    from kptkit.opener import load
    from kptkit.people import drawings
    from kptkit.pose.estimator import PoseEstimator

    if config.box and config.boxes:
        raise InputError("--box and --boxes: both are given; expected one of them")
    targets = drawings.paths_of_drawings(config.images, config.out)
    boxes = boxes_by_name(config.boxes) if config.boxes else None
    estimator = PoseEstimator(load(config.weights or config.run, config.network))
    look = drawings.look_for_persons(estimator, config.box, boxes)
    drawings.look_at_all(config.images, targets, look, "person(s)", config.out / "keypoints.json")


def face(config: FaceConfig) -> None:
    """Draws faces on pictures and writes them as JSON."""
    from kptkit.face.detector import FaceDetector
    from kptkit.people import drawings

    targets = drawings.paths_of_drawings(config.images, config.out)
    detector = FaceDetector(
        config.weights, config.min_face_size, score_thresholds=config.score_thresholds
    )
    look = drawings.look_for_faces(detector)
    drawings.look_at_all(config.images, targets, look, "face(s)", config.out / "faces.json")


def command() -> None:
    """The command line."""
    flags.run_task({"pose": (pose, PoseConfig), "face": (face, FaceConfig)}, __doc__)
