"""Replaces the boxes of annotated faces by those of a detector."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kptkit import files
from kptkit.data.formats.coco_like_faces import BOX_SOURCE
from kptkit.data.formats.document import AnnotationFile
from kptkit.data.to_samples import keypoint_samples
from kptkit.face.detector import FaceDetector
from kptkit.geometry import boxes
from kptkit.images.codec import read_image
from kptkit.samples import KeypointSamples


def replace_boxes(
    file: AnnotationFile,
    folder: str | os.PathLike,
    detector: FaceDetector,
    min_iou: float,
    out: Path,
) -> tuple[int, int]:
    """Writes the annotations with detected boxes; counts the faces found, and all faces.

    Args:
        folder: of the pictures.
        min_iou: minimum IoU of a detected box and the box around the landmarks.
    """
    samples = keypoint_samples(file, folder)
    found = detected_boxes(samples, detector, min_iou)
    annotations = [with_box(a, found.get(a["id"])) for a in file.annotations["annotations"]]
    files.write_json(out, file.annotations | {"annotations": annotations})
    return len(found), len(samples)


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
    box_xywh = boxes.to_xywh(box_xyxy.astype(np.float64))[0]
    return annotation | {"bbox": box_xywh.tolist(), BOX_SOURCE: "detector"}
