"""Annotated persons as a struct of arrays: what every reader gives and every pipeline takes."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kptkit.skeletons import KeypointSchema

# Whether a picture's pixels are taken as its file stores them or turned as its EXIF tag says.
Orientation = Literal["stored", "exif"]


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

    def __len__(self) -> int:
        return len(self.sample_ids)

    def select(self, indices: np.ndarray) -> "KeypointSamples":
        """The persons at `indices`, in that order; the list of images stays."""
        indices = np.asarray(indices, dtype=np.int64)
        fields = ("image_index", "sample_ids", "boxes_xyxy", "keypoints", "box_scores")
        return replace(self, **{field: getattr(self, field)[indices] for field in fields})
