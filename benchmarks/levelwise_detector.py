"""MTCNN as usually implemented: level by level from Python, one crop after the other.

The arithmetic is that of davidsandberg/facenet's port of the published detector: inclusive pixel
coordinates from 1, areas with + 1, corners truncated to whole pixels, OpenCV's area interpolation.
It is written from that description and shares no code with `kptkit.face.cascade`; only the three
networks are the same.
"""

from collections.abc import Callable

import cv2
import keras
import numpy as np
import tensorflow as tf

CELL, STRIDE = 12, 2
Network = Callable[[np.ndarray], dict[str, np.ndarray]]


class LevelwiseDetector:
    """`detect(image)` returns boxes (N, 4) as edges, scores (N,) and landmarks (N, 5, 2)."""

    def __init__(
        self,
        models: dict[str, keras.Model],
        min_face_size: float = 20,
        scale_factor: float = 0.709,
        score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
    ):
        self.networks = {stage: _compiled(model) for stage, model in models.items()}
        self.min_face_size, self.scale_factor = min_face_size, scale_factor
        self.thresholds = score_thresholds

    def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = self._propose(image)
        rows = self._refine(image, rows)
        return self._finish(image, rows)

    def _propose(self, image: np.ndarray) -> np.ndarray:
        """Rows (N, 5), x1 y1 x2 y2 score, of whole-pixel squares for R-Net."""
        found = [np.zeros((0, 9))]
        for scale in self.scales(image):
            height, width = (int(np.ceil(side * scale)) for side in image.shape[:2])
            level = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            outputs = self.networks["pnet"](level[None])
            rows = _cells(_face_scores(outputs)[0], outputs["box"][0], scale, self.thresholds[0])
            found.append(rows[suppress(rows, 0.5, "union")])
        rows = np.concatenate(found)
        rows = rows[suppress(rows, 0.7, "union")]
        side = rows[:, 2:4] - rows[:, :2]
        corners = rows[:, :4] + rows[:, 5:9] * np.tile(side, 2)
        return _squared(np.column_stack([corners, rows[:, 4]]))

    def _refine(self, image: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return rows
        outputs = self.networks["rnet"](_crops(image, rows, 24))
        scores = _face_scores(outputs)
        passed = scores > self.thresholds[1]
        rows = np.column_stack([rows[passed, :4], scores[passed]])
        offsets = outputs["box"][passed]
        kept = suppress(rows, 0.7, "union")
        return _squared(_regressed(rows[kept], offsets[kept]))

    def _finish(
        self, image: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not len(rows):
            return np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))
        outputs = self.networks["onet"](_crops(image, rows, 48))
        scores = _face_scores(outputs)
        passed = scores > self.thresholds[2]
        rows = np.column_stack([rows[passed, :4], scores[passed]])
        side = rows[:, 2:4] - rows[:, :2] + 1
        points = outputs["landmark"][passed].reshape(-1, 5, 2)
        points = points * side[:, None] + rows[:, None, :2] - 1
        rows = _regressed(rows, outputs["box"][passed])
        kept = suppress(rows, 0.7, "min")
        # From inclusive, 1-based pixels to edges.
        return rows[kept, :4] - [1, 1, 0, 0], rows[kept, 4], points[kept]

    def scales(self, image: np.ndarray) -> list[float]:
        scales, scale = [], 12 / self.min_face_size
        while min(image.shape[:2]) * scale >= CELL:
            scales.append(scale)
            scale *= self.scale_factor
        return scales


def suppress(rows: np.ndarray, threshold: float, over: str) -> np.ndarray:
    """Greedy non-maximum suppression: the kept indices of rows x1 y1 x2 y2 score, best first.

    `over` is the denominator of the overlap: the "union", or the smaller box ("min").
    """
    low, high = rows[:, :2], rows[:, 2:4]
    areas = np.prod(high - low + 1, axis=1)
    order = np.argsort(rows[:, 4])[::-1]
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest]) + 1
        overlap = np.prod(np.maximum(sides, 0), axis=1)
        if over == "min":
            share = overlap / np.minimum(areas[best], areas[rest])
        else:
            share = overlap / (areas[best] + areas[rest] - overlap)
        order = rest[share <= threshold]
    return np.array(kept, np.int64)


def _compiled(model: keras.Model) -> Network:
    shape = (None, *model.input_shape[1:])
    graph = tf.function(
        lambda pixels: model(pixels, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32)],
        autograph=False,
    )
    return lambda pixels: {
        name: output.numpy() for name, output in graph(pixels.astype(np.float32)).items()
    }


def _face_scores(outputs: dict[str, np.ndarray]) -> np.ndarray:
    exponentials = np.exp(outputs["logits"] - outputs["logits"].max(axis=-1, keepdims=True))
    return exponentials[..., 1] / exponentials.sum(axis=-1)


def _cells(scores: np.ndarray, offsets: np.ndarray, scale: float, threshold: float) -> np.ndarray:
    """Rows x1 y1 x2 y2 score and four offsets of P-Net's windows with scores from `threshold`."""
    y, x = np.where(scores >= threshold)
    corner = STRIDE * np.stack([x, y], axis=1)
    low, high = np.fix((corner + 1) / scale), np.fix((corner + CELL) / scale)
    return np.column_stack([low, high, scores[y, x], offsets[y, x]])


def _regressed(rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    side = rows[:, 2:4] - rows[:, :2] + 1
    return np.column_stack([rows[:, :4] + offsets * np.tile(side, 2), rows[:, 4]])


def _squared(rows: np.ndarray) -> np.ndarray:
    low, high = rows[:, :2], rows[:, 2:4]
    side = (high - low).max(axis=1, keepdims=True, initial=0)
    corner = low + (high - low) * 0.5 - side * 0.5
    return np.column_stack([np.fix(corner), np.fix(corner + side), rows[:, 4]])


def _crops(image: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Crops (N, size, size, 3) of squares, zero outside the picture."""
    height, width = image.shape[:2]
    crops = np.zeros((len(rows), size, size, 3))
    for crop, (x1, y1, x2, y2) in zip(crops, rows[:, :4].astype(int), strict=True):
        square = np.zeros((y2 - y1 + 1, x2 - x1 + 1, 3))
        left, top, right, bottom = max(x1, 1), max(y1, 1), min(x2, width), min(y2, height)
        if left <= right and top <= bottom:
            square[top - y1 : bottom - y1 + 1, left - x1 : right - x1 + 1] = image[
                top - 1 : bottom, left - 1 : right
            ]
        crop[:] = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    return crops
