"""Face detection with MTCNN, and crops of the faces for recognition."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from kptkit.errors import InputError
from kptkit.face.cascade import Cascade
from kptkit.face.crops import Resample, aligned_crops, box_crops, check_crops
from kptkit.images.arguments import (
    AnyPicture,
    Picture,
    Pictures,
    one_or_each,
    upright_image,
)
from kptkit.recipes.cascade import CascadeConfig
from kptkit.system import building, refuse_late_fork
from kptkit.weights.cascade import build_cascade, read_cascade


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
    """MTCNN with its weights. Threads may share a detector; it can be pickled and copied.

    Its graph is compiled at the first picture; detectors of equal weights share it. A process that
    has only constructed detectors may fork; one in which a picture was looked at may not (a
    detector in the child says so).

    The first picture takes some 130 MB for the graph, which stays; after 200 photos of a megapixel
    another 45 MB are held by the memory allocator of its threads, and no more later (with glibc,
    MALLOC_ARENA_MAX=1 in the environment saves them).

    Args:
        weights: ``default``, which comes with the package; ``original``, the authors', once
            converted; or a file or folder that training wrote.
        min_face_size: side in pixels of the smallest faces to find, at least 10.
        scale_factor: scale of each level of the image pyramid relative to the one before.
        score_thresholds: scores, 0 to 1, with which windows pass P-Net, R-Net and O-Net.
        max_faces: the most faces of a picture, the best-scored ones; it also bounds how many
            windows are looked at, and so time and memory.
        max_side: pixels; on pictures with a longer side the smallest faces to find grow in
            proportion.

    Raises:
        InputError: the weights cannot be used, or a number is out of range.
    """

    def __init__(
        self,
        weights: str | os.PathLike = "default",
        min_face_size: float = 20.0,
        scale_factor: float = 0.709,
        score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        max_faces: int = 500,
        max_side: int = 6000,
    ):
        self.config = CascadeConfig(
            min_face_size, scale_factor, score_thresholds, max_faces, max_side
        )
        self._arrays = read_cascade(weights)
        self._cascade: Cascade | None = None

    @property
    def cascade(self) -> Cascade:
        """The networks and their graph, which are built when they are first asked for."""
        refuse_late_fork()
        if self._cascade is None:
            with building():
                if self._cascade is None:
                    self._cascade = Cascade(build_cascade(self._arrays), self.config)
        return self._cascade

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cascade": None}

    @overload
    def detect(self, image: Picture) -> FacePrediction: ...
    @overload
    def detect(self, image: Pictures[AnyPicture]) -> list[FacePrediction]: ...
    def detect(self, image: Any) -> FacePrediction | list[FacePrediction]:
        """The faces of a picture, or of every picture in a list.

        Args:
            image: a picture: (H, W, 3) uint8 RGB as an array or tensor, a path, the bytes of a
                file, a file open for bytes, or a picture of PIL (EXIF orientation is applied); or
                a list or iterable of these, of any sizes, or an array (N, H, W, 3).

        Raises:
            InputError: a picture cannot be used; in a list, the message names its index.
        """
        return one_or_each(image, lambda one, _: self._detect(upright_image(one)))

    @overload
    def extract(
        self,
        image: Picture,
        faces: FacePrediction | None = None,
        size: int = 112,
        margin: int | None = None,
        resample: Resample = "area",
    ) -> np.ndarray: ...
    @overload
    def extract(
        self,
        image: Pictures[AnyPicture],
        faces: Iterable[FacePrediction] | None = None,
        size: int = 112,
        margin: int | None = None,
        resample: Resample = "area",
    ) -> list[np.ndarray]: ...
    def extract(
        self,
        image: Any,
        faces: Any = None,
        size: int = 112,
        margin: int | None = None,
        resample: Resample = "area",
    ) -> np.ndarray | list[np.ndarray]:
        """Crops (N, size, size, 3) uint8 RGB of the faces, for recognition networks.

        Args:
            image: as for `detect`; of several pictures, a list of crops is returned.
            faces: result of `detect` for the picture or pictures; default: it is called.
            size: side of the crops in pixels.
            margin: default: faces are aligned by their landmarks (`crops.aligned_crops`); a number:
                boxes are cut out as facenet-pytorch does, and so many pixels of a crop's side show
                their surroundings (`crops.box_crops`).
            resample: how boxes are resized, see `crops.box_crops`.

        Raises:
            InputError: a picture, a number or a face cannot be used.
        """
        check_crops(size, margin, resample)

        def extract_one(image: Any, faces: Any) -> np.ndarray:
            pixels = upright_image(image)
            faces = self._detect(pixels) if faces is None else _checked(faces)
            if margin is None:
                return aligned_crops(pixels, faces.landmarks, size)
            return box_crops(pixels, faces.boxes_xyxy, size, margin, resample)

        return one_or_each(image, extract_one, faces, "faces")

    def _detect(self, pixels: np.ndarray) -> FacePrediction:
        faces = {name: tensor.numpy() for name, tensor in self.cascade(pixels).items()}
        return FacePrediction(faces["boxes"], faces["scores"], faces["landmarks"])


def _checked(faces: Any) -> FacePrediction:
    """Faces that a caller passed.

    Raises:
        InputError: they are no result of `detect`.
    """
    if not isinstance(faces, FacePrediction):
        raise InputError(
            f"faces: {type(faces).__name__}, expected the result of detect for the same picture"
        )
    return faces
