"""Annotated persons as a struct of arrays: what every reader gives and every pipeline takes."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kptkit.skeletons.schema import KeypointSchema

# Whether a picture's pixels are taken as its file stores them or turned as its EXIF tag says.
Orientation = Literal["stored", "exif"]

# How the field judges a data set: COCO by OKS; MPII by PCK in head sizes, FLIC and LSP in torso
# sizes; faces by the mean error in distances between the outer eye corners or the eyes' centres.
Protocol = Literal["oks", "pckh", "pck_torso", "nme_interocular", "nme_interpupil"]


@dataclass(frozen=True)
class KeypointSamples:
    """N persons on M images; coordinates in image pixels, the centre of the top-left one (0, 0).

    Attributes:
        schema: the K keypoints.
        image_paths: M paths, as `os.fsdecode` gives them (they may hold surrogates).
        image_ids: (M,) int64.
        image_wh: (M, 2) int32, in the orientation that `orientation` names.
        image_index: (N,) int64, the image of each person.
        sample_ids: (N,) int64, unique and not negative: the annotation's id.
        boxes_xyxy: (N, 4) float32.
        keypoints: (N, K, 3) float32: x, y and visibility (0 unlabelled, 1 hidden, 2 visible).
        box_scores: (N,) float32; 1 for ground truth.
        orientation: how the images are to be read.
        protocol: how the field judges these persons.
        reference_lengths: (N,) float32 pixels, in which the protocol measures errors where that
            length cannot be computed from keypoints (MPII's head sizes), NaN where unknown; None
            where no person has one.
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
        """The persons at `indices`, in that order; the list of images stays."""
        indices = np.asarray(indices, dtype=np.int64)
        fields = ["image_index", "sample_ids", "boxes_xyxy", "keypoints", "box_scores"]
        if self.reference_lengths is not None:
            fields.append("reference_lengths")
        return replace(self, **{field: getattr(self, field)[indices] for field in fields})


@dataclass(frozen=True)
class FaceSamples:
    """N faces on M images; images without faces count too.

    Boxes are edges (0 0 W H is the whole image), landmarks are points (the centre of the top-left
    pixel is (0, 0)), image left first: eye, eye, nose, mouth corner, mouth corner.

    Attributes:
        image_paths: M paths, as `os.fsdecode` gives them (they may hold surrogates).
        image_index: (N,) int64, the image of each face.
        boxes_xyxy: (N, 4) float32 pixels.
        ignored: (N,) bool: neither a face to learn nor background (flagged invalid, a crowd).
        landmarks: (N, 5, 2) float32 pixels, NaN for faces whose points are not annotated.
        complete: whether every face of the images is listed; only then is the rest background.
        orientation: how the images are to be read.
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
        """The indices of the faces on image number `place`."""
        return np.flatnonzero(self.image_index == place)

    def select(self, indices: np.ndarray) -> "FaceSamples":
        """The faces at `indices`, in that order; the list of images stays."""
        indices = np.asarray(indices, dtype=np.int64)
        fields = ("image_index", "boxes_xyxy", "ignored", "landmarks")
        return replace(self, **{field: getattr(self, field)[indices] for field in fields})

    def select_images(self, places: np.ndarray) -> "FaceSamples":
        """The images at `places`, each at most once, in that order, with their faces."""
        places = np.asarray(places, dtype=np.int64)
        number = np.full(len(self.image_paths), -1)
        number[places] = np.arange(len(places))
        chosen = self.select(np.flatnonzero(number[self.image_index] >= 0))
        return replace(
            chosen,
            image_paths=tuple(self.image_paths[place] for place in places),
            image_index=number[chosen.image_index],
        )
