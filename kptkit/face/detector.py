"""Face detection with MTCNN, and crops of the faces for recognition."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

from kptkit.errors import InputError
from kptkit.face.cascade import Cascade
from kptkit.face.crops import Resample, aligned_crops, box_crops
from kptkit.images.codec import upright_image
from kptkit.recipes.cascade import CascadeConfig
from kptkit.weights.cascade import load_cascade

Picture = np.ndarray | str | os.PathLike
# The type of the pictures in a list, which may be narrower: a `list[Path]` is no `list[Picture]`.
AnyPicture = TypeVar("AnyPicture", bound=Picture)


@dataclass(frozen=True)
class FacePrediction:
    """The N faces of one picture, best first."""

    boxes_xyxy: np.ndarray
    """(N, 4) float32 x1 y1 x2 y2 in image pixels; they may reach beyond the picture."""
    scores: np.ndarray
    """(N,) float32, 0 to 1."""
    landmarks: np.ndarray
    """(N, 5, 2) float32 x and y in image pixels, where the centre of the top-left pixel is (0, 0):
    left eye, right eye, nose, left and right mouth corner, as seen in the image."""

    def __len__(self) -> int:
        return len(self.scores)


class FaceDetector:
    """MTCNN with its weights. Threads may share a detector.

    Args:
        weights: ``default``, which comes with the package; ``original``, the authors', once
            converted; or a file or folder that training wrote.
        min_face_size: side in pixels of the smallest faces to find, at least 10.
        scale_factor: scale of each level of the image pyramid relative to the one before.
        score_thresholds: scores, 0 to 1, with which windows pass P-Net, R-Net and O-Net.

    Raises:
        InputError: the weights cannot be used, or a number is out of range.
    """

    def __init__(
        self,
        weights: str | os.PathLike = "default",
        min_face_size: float = 20.0,
        scale_factor: float = 0.709,
        score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
    ):
        config = CascadeConfig(min_face_size, scale_factor, score_thresholds)
        self.cascade = Cascade(load_cascade(weights), config)

    @overload
    def detect(self, image: Picture) -> FacePrediction: ...
    @overload
    def detect(self, image: list[AnyPicture] | tuple[Picture, ...]) -> list[FacePrediction]: ...
    def detect(
        self, image: Picture | list[AnyPicture] | tuple[Picture, ...]
    ) -> FacePrediction | list[FacePrediction]:
        """The faces of a picture, or of every picture in a list.

        Args:
            image: (H, W, 3) uint8 RGB, or a path (EXIF orientation is applied), or a list of these,
                of any sizes.

        Raises:
            InputError: a picture cannot be used; in a list, the message names its index.
        """
        if isinstance(image, (list, tuple)):
            return [self._detect_one_of(image, index) for index in range(len(image))]
        return self._detect(upright_image(image))

    def extract(
        self,
        image: Picture,
        faces: FacePrediction | None = None,
        size: int = 112,
        margin: int | None = None,
        resample: Resample = "area",
    ) -> np.ndarray:
        """Crops (N, size, size, 3) uint8 RGB of the faces, for recognition networks.

        Args:
            image: as for `detect`.
            faces: result of `detect` for the picture; default: it is called.
            size: side of the crops in pixels.
            margin: default: faces are aligned by their landmarks (`crops.aligned_crops`); a number:
                boxes are cut out as facenet-pytorch does, and so many pixels of a crop's side show
                their surroundings (`crops.box_crops`).
            resample: how boxes are resized, see `crops.box_crops`.

        Raises:
            InputError: the picture, a number or a face cannot be used.
        """
        pixels = upright_image(image)
        faces = self._detect(pixels) if faces is None else faces
        if margin is None:
            return aligned_crops(pixels, faces.landmarks, size)
        return box_crops(pixels, faces.boxes_xyxy, size, margin, resample)

    def _detect(self, pixels: np.ndarray) -> FacePrediction:
        faces = {name: tensor.numpy() for name, tensor in self.cascade(pixels).items()}
        return FacePrediction(faces["boxes"], faces["scores"], faces["landmarks"])

    def _detect_one_of(self, images: Sequence[Picture], index: int) -> FacePrediction:
        try:
            pixels = upright_image(images[index])
        except InputError as error:
            raise InputError(f"images[{index}]: {error}") from None
        return self._detect(pixels)
