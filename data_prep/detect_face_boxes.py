"""Puts a detector's boxes around annotated faces, so that a landmark network learns what it gets.

    python data_prep/detect_face_boxes.py --annotations X --images DIR --out faces.json

Landmark networks are trained on crops around the landmarks; in use their crops come from a face
detector, whose boxes lie otherwise. The json is COCO-like, as 300W and WFLW are passed around, and
is read with --data.format 300w (68 points), wflw (98) or cofw (29). Faces that the detector misses
keep the box around their landmarks.
"""

from kptkit import cli

cli.import_tensorflow_quietly()

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from kptkit import files
from kptkit.data.formats.coco_like_faces import BOX_SOURCE
from kptkit.data.formats.index import load_annotations
from kptkit.data.to_samples import keypoint_samples
from kptkit.face.detector import FaceDetector
from kptkit.geometry import boxes
from kptkit.images.codec import read_image
from kptkit.samples import KeypointSamples


@dataclass(frozen=True)
class Config:
    """Which faces, and which detector."""

    annotations: str
    """Annotation file of faces."""
    images: str
    """Folder of its pictures."""
    out: Path
    """Json to write."""
    format: Literal["300w", "wflw", "cofw", "dlib"] = "300w"
    """What the annotation file is."""
    detector: str = "default"
    """default, original, or a cascade's file."""
    min_face_size: float = 20.0
    min_iou: float = 0.3
    """How much the detected box must overlap the one around the landmarks."""


def main(config: Config) -> None:
    """Detects, replaces boxes, and says how many faces were found."""
    file = load_annotations(config.annotations, config.format, config.images)
    samples = keypoint_samples(file, config.images)
    detector = FaceDetector(config.detector, config.min_face_size)
    found = detected_boxes(samples, detector, config.min_iou)
    annotations = [with_box(a, found.get(a["id"])) for a in file.annotations["annotations"]]
    files.write_json(config.out, file.annotations | {"annotations": annotations})
    print(
        f"{config.out}: boxes of {len(found)} of {len(samples)} faces are the detector's; the "
        "others keep that around their landmarks"
    )


def detected_boxes(
    samples: KeypointSamples, detector: FaceDetector, min_iou: float
) -> dict[int, np.ndarray]:
    """The detector's box of each face that it found, by the sample's id."""
    found = {}
    for index, path in enumerate(tqdm(samples.image_paths, "detecting", unit="picture")):
        own = np.flatnonzero(samples.image_index == index)
        faces = detector.detect(read_image(path, samples.orientation))
        overlaps = boxes.iou(samples.boxes_xyxy[own], faces.boxes_xyxy)
        # The best pairs first; each face and each detection is taken once.
        for place in np.argsort(-overlaps, axis=None):
            face, detection = np.unravel_index(place, overlaps.shape)
            if overlaps[face, detection] < max(min_iou, 1e-9):
                break
            found[int(samples.sample_ids[own[face]])] = faces.boxes_xyxy[detection]
            overlaps[face], overlaps[:, detection] = -1, -1
    return found


def with_box(annotation: dict[str, Any], box_xyxy: np.ndarray | None) -> dict[str, Any]:
    """An annotation with a detected box, if there is one."""
    if box_xyxy is None:
        return annotation
    box_xywh = boxes.to_xywh(np.float64(box_xyxy))[0]
    return annotation | {"bbox": box_xywh.tolist(), BOX_SOURCE: "detector"}


if __name__ == "__main__":
    cli.run(main, Config, description=__doc__)
