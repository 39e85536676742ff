"""Replaces the boxes of annotated faces by a detector's, to train landmark networks on them.

    kptkit data face-boxes --annotations X --images DIR --out faces.json

Landmark networks are usually trained on crops around the landmarks, but used on crops of a face
detector, whose boxes have other positions and sizes. The JSON is COCO-like, as 300W and WFLW are
distributed, and is read with --data.format 300w (68 points), wflw (98) or cofw (29). Faces that the
detector misses keep the box around their landmarks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kptkit import flags, quiet
from kptkit.commands import early
from kptkit.fields import SHARE, Existing, Range, Written
from kptkit.wording import counted


@dataclass(frozen=True)
class FaceBoxesConfig:
    """Which faces, and which detector."""

    annotations: Annotated[str, Existing("file or folder")]
    """Annotation file of faces."""
    images: Annotated[str, Existing("folder")]
    """Folder of its pictures."""
    out: Annotated[Path, Written("file")]
    """JSON file to write."""
    format: Literal["300w", "wflw", "cofw", "dlib"] = "300w"
    """Format of the annotation file."""
    follow_links: bool = False
    """Whether pictures that are links out of their folder are read."""
    detector: str = "default"
    """Weights: default (packaged), original (published, converted) or a file."""
    min_face_size: Annotated[float, Range(10, 100_000)] = 20.0
    """Side in pixels of the smallest faces to detect."""
    min_iou: Annotated[float, SHARE] = 0.3
    """Minimum IoU of the detected box and the box around the landmarks."""


def main(config: FaceBoxesConfig) -> None:
    """Detects faces, replaces boxes, and prints how many faces were found."""
    early.check_cascade(config.detector)
    quiet.import_tensorflow()
    from kptkit.data.formats.index import load_annotations
    from kptkit.data.links import folder_of
    from kptkit.face.detector import FaceDetector
    from kptkit.face.replace_boxes import replace_boxes

    folder = folder_of(config.images, config.follow_links)
    file = load_annotations(config.annotations, config.format, folder)
    detector = FaceDetector(config.detector, config.min_face_size)
    found, faces = replace_boxes(file, folder, detector, config.min_iou, config.out)
    others = "" if found == faces else "; the others keep those around their landmarks"
    print(f"{config.out}: {found:,} of {counted(faces, 'face')} with boxes of the detector{others}")


def command() -> None:
    """The command line."""
    flags.run(main, FaceBoxesConfig, __doc__, tensorflow=False)
