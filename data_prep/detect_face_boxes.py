"""Replaces the boxes of annotated faces by a detector's, to train landmark networks on them.

    python data_prep/detect_face_boxes.py --annotations X --images DIR --out faces.json

Landmark networks are usually trained on crops around the landmarks, but used on crops of a face
detector, whose boxes have other positions and sizes. The JSON is COCO-like, as 300W and WFLW are
distributed, and is read with --data.format 300w (68 points), wflw (98) or cofw (29). Faces that the
detector misses keep the box around their landmarks.
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
    """JSON file to write."""
    format: Literal["300w", "wflw", "cofw", "dlib"] = "300w"
    """Format of the annotation file."""
    detector: str = "default"
    """Weights: default (packaged), original (published, converted) or a file."""
    min_face_size: float = 20.0
    min_iou: float = 0.3
    """Minimum IoU of the detected box and the box around the landmarks."""


def main(config: Config) -> None:
    """Detects faces, replaces boxes, and prints how many faces were found."""
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
    """The detected box (4,) of each face that was found, by sample id."""
    found = {}
    for index, path in enumerate(tqdm(samples.image_paths, "detecting", unit="picture")):
        own = np.flatnonzero(samples.image_index == index)
        faces = detector.detect(read_image(path, samples.orientation))
        overlaps = boxes.iou(samples.boxes_xyxy[own], faces.boxes_xyxy)
        # Pairs of the largest IoU first; each face and each detection is used once.
        for place in np.argsort(-overlaps, axis=None):
            face, detection = np.unravel_index(place, overlaps.shape)
            if overlaps[face, detection] < max(min_iou, 1e-9):
                break
            found[int(samples.sample_ids[own[face]])] = faces.boxes_xyxy[detection]
            overlaps[face], overlaps[:, detection] = -1, -1
    return found


def with_box(annotation: dict[str, Any], box_xyxy: np.ndarray | None) -> dict[str, Any]:
    """A copy of an annotation, with the detected box if there is one."""
    if box_xyxy is None:
        return annotation
    box_xywh = boxes.to_xywh(np.float64(box_xyxy))[0]
    return annotation | {"bbox": box_xywh.tolist(), BOX_SOURCE: "detector"}


if __name__ == "__main__":
    cli.run(main, Config, description=__doc__)
