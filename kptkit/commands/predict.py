"""Finds keypoints or faces in pictures and draws them.

    kptkit predict PHOTO.jpg --run runs/demo

takes the whole picture as one person; boxes are given as --box X1 Y1 X2 Y2, or as a COCO-style JSON
file: --boxes FILE. With --weights coco-w32-256x192 instead of --run, the published network of that
name is used, once kptkit convert has fetched it. Writes PHOTO.jpg with skeletons and
keypoints.json (COCO results) to --out.

    kptkit predict --task face PHOTO.jpg

finds faces with their scores and five landmarks, with the packaged weights. Writes PHOTO.jpg with
faces and faces.json to --out.

Of several pictures those that cannot be read are named and left out; the others are finished, and
the exit code is 2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kptkit import flags, quiet
from kptkit.commands import early
from kptkit.errors import InputError
from kptkit.fields import SHARE, Existing, Needs, Positional, Range, Without, Written
from kptkit.recipes.cascade import MOST_FACES, SIDES
from kptkit.wording import say

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
    """JSON file with persons: a COCO file, COCO detection results (their image_id is the number at
    the end of a picture's name), or a list of {"file_name", "bbox": [x, y, w, h]}. Crowds and other
    categories than persons are left out."""
    least_score: Annotated[float, SHARE, Needs("boxes")] = 0.3
    """Boxes of --boxes with a lower score are left out; those without a score are not."""
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
    max_faces: Annotated[int, Range(1, MOST_FACES)] = 500
    """The most faces of a picture, the best-scored ones; bounds time and memory too."""
    max_side: Annotated[int, Range(*SIDES)] = 6000
    """Pixels; on pictures with a longer side the smallest faces to detect grow in proportion."""
    out: Annotated[Path, Written("folder")] = Path("runs/predict")
    """Folder for pictures and faces.json."""


def pose(config: PoseConfig) -> None:
    """Draws skeletons on pictures and writes the keypoints as JSON."""
    targets = early.paths_of_drawings(config.images, config.out)
    sizes = early.sizes_of_pictures(config.images)
    boxes = None
    if config.boxes:
        from kptkit.data.formats.named_boxes import NamedBoxes

        boxes = NamedBoxes(config.boxes, config.least_score)
        boxes.check_pictures(sizes)
        for reason, count in boxes.left_out.items():
            say(f"{config.boxes}: boxes left out: {count:,} {reason}")
    if config.box:
        _check_box(config.box, sizes)
    early.check_pose_source(config.weights or config.run)
    quiet.import_tensorflow()
    from kptkit.opener import load
    from kptkit.people import drawings
    from kptkit.pose.estimator import PoseEstimator

    estimator = PoseEstimator(load(config.weights or config.run, config.network))
    look = drawings.look_for_persons(estimator, config.box, boxes.of if boxes else None)
    drawings.look_at_all(config.images, targets, look, "person", config.out / "keypoints.json")


def _check_box(box: tuple[float, float, float, float], sizes: dict[str, tuple[int, int]]) -> None:
    """Raises an InputError unless a box has a part in every picture."""
    shown = " ".join(f"{side:g}" for side in box)
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise InputError(f"--box {shown}: expected x1 y1 x2 y2, with x1 < x2 and y1 < y2")
    for path, (width, height) in sizes.items():
        if left >= width or top >= height or right <= 0 or bottom <= 0:
            raise InputError(f"--box {shown}: outside {path}, which has {width}x{height} pixels")


def face(config: FaceConfig) -> None:
    """Draws faces on pictures and writes them as JSON."""
    targets = early.paths_of_drawings(config.images, config.out)
    early.sizes_of_pictures(config.images)
    early.check_cascade(config.weights)
    quiet.import_tensorflow()
    from kptkit.face.detector import FaceDetector
    from kptkit.people import drawings

    detector = FaceDetector(
        config.weights,
        config.min_face_size,
        score_thresholds=config.score_thresholds,
        max_faces=config.max_faces,
        max_side=config.max_side,
    )
    look = drawings.look_for_faces(detector)
    drawings.look_at_all(config.images, targets, look, "face", config.out / "faces.json")


def command() -> None:
    """The command line."""
    flags.run_task(
        {"pose": (pose, PoseConfig), "face": (face, FaceConfig)}, __doc__, tensorflow=False
    )
