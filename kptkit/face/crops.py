"""Face crops for recognition networks: aligned by landmarks, or cut as facenet-pytorch does."""

from typing import Any, Literal, get_args

import cv2
import numpy as np

from kptkit.checks import check_choice, check_number
from kptkit.errors import InputError
from kptkit.geometry import affine

Resample = Literal["area", "bilinear"]

# Where recognition networks since ArcFace (Deng et al. 2019) expect the five landmarks, x y in
# pixels of a crop of 112 pixels.
TEMPLATE = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)

# The largest crops; their memory grows with the square.
MAX_SIZE = 4096

# Pillow's resampling weights are fixed-point numbers with this many fractional bits.
_PILLOW_BITS = 22


def check_crops(size: int, margin: int | None, resample: Resample = "area") -> None:
    """Checks what `aligned_crops` (margin None) and `box_crops` are asked for.

    Raises:
        InputError: a value is out of range.
    """
    check_number(
        "size",
        size,
        f"a whole number from 1 to {MAX_SIZE:,}, the crops' side",
        1,
        MAX_SIZE,
        whole=True,
    )
    check_choice("resample", resample, get_args(Resample))
    if margin is not None:
        what = "a whole number of pixels from 0 to below the size"
        check_number("margin", margin, what, 0, size - 1, whole=True)
    elif size % 112 and size % 128:
        raise InputError(
            f"size: {size}, expected a multiple of 112 or 128 for faces aligned by landmarks; for "
            "boxes cut out in any size, as FaceNet's networks expect 160, give a margin, such as 0"
        )


def aligned_crops(image: np.ndarray, landmarks: np.ndarray, size: int = 112) -> np.ndarray:
    """Faces turned, scaled and shifted so that their landmarks match `TEMPLATE`.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (N, 5, 2) in image pixels.
        size: side of the crops in pixels, a multiple of 112 or 128. Of 128 pixels, 8 at the left, 8
            at the right and 16 at the bottom are additional surroundings.

    Returns:
        (N, size, size, 3) uint8, bilinear, black outside the picture.

    Raises:
        InputError: another size, or a face's landmarks coincide or are not finite.
    """
    check_crops(size, None)
    landmarks = _numbers("landmarks", landmarks, (5, 2))
    scale, left = (size / 112, 0) if size % 112 == 0 else (size / 128, 8)
    matrices = similarity(landmarks, (TEMPLATE + np.array([left, 0])) * scale)
    for index, matrix in enumerate(matrices):
        if not np.isfinite(matrix).all():
            raise InputError(f"faces: landmarks[{index}]: one point, or not finite; cannot align")
    crops = [affine.warp(image, matrix, (size, size)) for matrix in matrices]
    return np.array(crops, np.uint8).reshape(-1, size, size, 3)


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity transforms that map points to a target with the least squared error.

    Similarities without mirroring (Umeyama 1991). With points as complex numbers, turning and
    scaling are one complex factor, found by linear regression.

    Args:
        points: (N, K, 2).
        target: (K, 2).

    Returns:
        (N, 2, 3) float64 affine matrices; not finite where the points coincide.
    """
    points = np.asarray(points, np.float64)
    centre, target_centre = points.mean(axis=1), target.mean(axis=0)
    from_centre = points - centre[:, None]
    x, y = from_centre[..., 0], from_centre[..., 1]
    u, v = (target - target_centre).T
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (x**2 + y**2).sum(axis=1)
        real, imaginary = (x * u + y * v).sum(axis=1) / spread, (x * v - y * u).sum(axis=1) / spread
        linear = np.stack([real, -imaginary, imaginary, real], axis=1).reshape(-1, 2, 2)
        shift = target_centre - np.einsum("nij,nj->ni", linear, centre)
    return np.concatenate([linear, shift[..., None]], axis=2)


def box_crops(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    size: int,
    margin: int = 0,
    resample: Resample = "area",
) -> np.ndarray:
    """Boxes cut out and resized exactly as `extract_face` of facenet-pytorch does.

    Boxes are enlarged by the margin, clipped to the picture, truncated to whole pixels and resized
    to squares.

    Args:
        image: (H, W, 3) uint8.
        boxes_xyxy: (N, 4) in image pixels.
        size: side of the crops in pixels.
        margin: pixels of a crop's side that are surroundings of the box.
        resample: ``area``, as facenet-pytorch resizes arrays (by OpenCV), or ``bilinear``, as it
            resizes Pillow images.

    Returns:
        (N, size, size, 3) uint8.

    Raises:
        InputError: the size or margin is out of range, or a box has no whole pixel of the picture.
    """
    check_crops(size, margin, resample)
    resize = _area if resample == "area" else _bilinear
    # In float32 as facenet-pytorch: another rounding could move an edge by a pixel.
    boxes = _numbers("boxes", boxes_xyxy, (4,)).astype(np.float32)
    low, high = boxes[:, :2], boxes[:, 2:]
    border = margin * (high - low) / (size - margin) / 2
    size_wh = np.array(image.shape[1::-1], np.float32)
    edges = np.concatenate([np.maximum(low - border, 0), np.minimum(high + border, size_wh)], 1)
    crops = np.zeros((len(boxes), size, size, 3), np.uint8)
    for index, edge in enumerate(edges):
        if not np.isfinite(edge).all() or (edge[2:].astype(int) <= edge[:2].astype(int)).any():
            raise InputError(f"boxes[{index}]: {boxes[index].tolist()}: shows no whole pixel")
        left, top, right, bottom = edge.astype(int)
        crops[index] = resize(image[top:bottom, left:right], size)
    return crops


def _numbers(name: str, values: Any, sides: tuple[int, ...]) -> np.ndarray:
    """An array (N, ...) of numbers; N is 0 for an empty one of any shape.

    Raises:
        InputError: it has another shape, or is none.
    """
    expected = f"faces: {name}: expected numbers (N, {', '.join(map(str, sides))})"
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise InputError(f"{expected}, got rows of different lengths") from None
    if array.size == 0:
        return np.zeros((0, *sides), np.float32)
    if array.dtype.kind not in "iuf" or array.ndim != 1 + len(sides) or array.shape[1:] != sides:
        raise InputError(f"{expected}, got {array.dtype} of shape {array.shape}")
    return array


def _area(pixels: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)


def _bilinear(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resizes as Pillow's bilinear filter does: along rows first, rounded, then along columns.

    From Pillow 13 on, some shapes are resized along columns first; facenet-pytorch requires 10.
    """
    for axis in (1, 0):
        if pixels.shape[axis] != size:
            weights = _pillow_weights(pixels.shape[axis], size)
            sums = np.tensordot(weights, pixels.astype(np.int64), axes=(1, axis))
            rounded = (sums + (1 << (_PILLOW_BITS - 1))) >> _PILLOW_BITS
            pixels = np.moveaxis(np.clip(rounded, 0, 255).astype(np.uint8), 0, axis)
    return pixels


def _pillow_weights(length: int, size: int) -> np.ndarray:
    """Fixed-point weights (size, length) int64 of a row: a triangle around each new pixel."""
    scale = length / size
    reach = max(scale, 1.0)
    centre = (np.arange(size)[:, None] + 0.5) * scale
    first, last = np.floor(centre - reach + 0.5), np.floor(centre + reach + 0.5)
    pixel = np.arange(length)
    weights = np.maximum(1 - np.abs((pixel - centre + 0.5) / reach), 0)
    weights *= (pixel >= first) & (pixel < last)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.floor(weights * (1 << _PILLOW_BITS) + 0.5).astype(np.int64)
