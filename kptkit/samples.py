"""Annotated persons and faces as structs of arrays, shared by annotation readers and pipelines."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kptkit.skeletons.schema import KeypointSchema

# Whether a picture is used as stored or turned by its EXIF tag.
Orientation = Literal["stored", "exif"]

# The customary metric of a data set. COCO: OKS. MPII: PCK relative to head sizes; FLIC and LSP:
# relative to torso sizes. Faces: mean error relative to the distance between the outer eye corners.
Protocol = Literal["oks", "pckh", "pck_torso", "nme_interocular"]


@dataclass(frozen=True)
class KeypointSamples:
    """N persons on M images; coordinates in image pixels, (0, 0) is the top-left pixel's centre.

    Attributes:
        schema: the K keypoints.
        image_paths: M paths, as `os.fsdecode` returns them (they may contain surrogates).
        image_ids: (M,) int64.
        image_wh: (M, 2) int32 width and height, in the orientation given by `orientation`.
        image_index: (N,) int64, the index of each person's image.
        sample_ids: (N,) int64, unique and not negative: the annotations' ids.
        boxes_xyxy: (N, 4) float32.
        keypoints: (N, K, 3) float32: x, y and visibility (0 unlabelled, 1 hidden, 2 visible).
        box_scores: (N,) float32; 1 for ground truth.
        orientation: how the images must be read.
        protocol: the customary metric of the data set.
        reference_lengths: (N,) float32 pixels that the protocol's errors are relative to, if they
            cannot be computed from the keypoints (MPII's head sizes); NaN for persons without one,
            None if no person has one.
    """

    schema: KeypointSchema
    image_paths: tuple[str, ...]
    image_ids: np.ndarray
    image_wh: np.ndarray
    image_index: np.ndarray
    sample_ids: np.ndarray
    boxes_xyxy: np.ndarray
    keypoints: np.ndarray
    box_scores: np.ndarray
    orientation: Orientation = "stored"
    protocol: Protocol = "oks"
    reference_lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.sample_ids)

    def select(self, indices: np.ndarray) -> "KeypointSamples":
        """The persons at `indices`, in that order; the list of images is not reduced."""
        indices = np.asarray(indices, dtype=np.int64)
        fields = ["image_index", "sample_ids", "boxes_xyxy", "keypoints", "box_scores"]
        if self.reference_lengths is not None:
            fields.append("reference_lengths")
        return replace(self, **{field: getattr(self, field)[indices] for field in fields})


@dataclass(frozen=True)
class FaceSamples:
    """N faces on M images, of which some may show no face.

    Box coordinates are pixel edges (0 0 W H is the whole image). Landmark coordinates are pixel
    centres ((0, 0) is the top-left pixel's centre); of each pair the one at image left comes first:
    eye, eye, nose, mouth corner, mouth corner.

    Attributes:
        image_paths: M paths, as `os.fsdecode` returns them (they may contain surrogates).
        image_index: (N,) int64, the index of each face's image.
        boxes_xyxy: (N, 4) float32 pixels.
        ignored: (N,) bool: regions used neither as faces nor as background (invalid faces, crowds).
        landmarks: (N, 5, 2) float32 pixels; NaN for faces whose points are not annotated.
        complete: whether every face of the images is listed; only then is the rest background.
        orientation: how the images must be read.
    """

    image_paths: tuple[str, ...]
    image_index: np.ndarray
    boxes_xyxy: np.ndarray
    ignored: np.ndarray
    landmarks: np.ndarray
    complete: bool
    orientation: Orientation = "stored"

    def __len__(self) -> int:
        return len(self.image_index)

    def of_image(self, place: int) -> np.ndarray:
        """The indices (n,) of the faces on the image at index `place`."""
        return np.flatnonzero(self.image_index == place)

    def select(self, indices: np.ndarray) -> "FaceSamples":
        """The faces at `indices`, in that order; the list of images is not reduced."""
        indices = np.asarray(indices, dtype=np.int64)
        fields = ("image_index", "boxes_xyxy", "ignored", "landmarks")
        return replace(self, **{field: getattr(self, field)[indices] for field in fields})

    def select_images(self, places: np.ndarray) -> "FaceSamples":
        """The images at indices `places` (no duplicates), in that order, with their faces."""
        places = np.asarray(places, dtype=np.int64)
        number = np.full(len(self.image_paths), -1)
        number[places] = np.arange(len(places))
        chosen = self.select(np.flatnonzero(number[self.image_index] >= 0))
        return replace(
            chosen,
            image_paths=tuple(self.image_paths[place] for place in places),
            image_index=number[chosen.image_index],
        )
