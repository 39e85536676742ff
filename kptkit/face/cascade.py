"""MTCNN's cascade as one TensorFlow graph: a picture in, faces out (Zhang et al. 2016).

P-Net scans an image pyramid for windows that may show a face, R-Net rejects most of them, O-Net
decides and finds five landmarks. A stage gets all windows that passed the one before, in chunks of
bounded size, and one trace serves pictures of all sizes. Evaluation, prediction, mining and export
all run this graph.

The arithmetic is that of the widely used implementations (davidsandberg/facenet's), except that
P-Net's windows are the whole pixels inside the area that it sees; theirs lack 1 / scale - 1 pixels
at the left and the top.
"""

from typing import Any, Literal, NamedTuple
from weakref import WeakValueDictionary

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kptkit.face.fast_network import FastNetwork
from kptkit.face.nms import best_first, iou_nms, min_area_nms
from kptkit.geometry.face_windows import apply_box_offsets, apply_landmark_offsets, square
from kptkit.images.area_resize import area_crops, area_resize
from kptkit.models.sizes import STAGES, Stage
from kptkit.recipes.cascade import MOST_FACES, CascadeConfig
from kptkit.system import building
from kptkit.weights.arrays import fingerprint
from kptkit.weights.assign import model_arrays

CELL, STRIDE = STAGES["pnet"].size, 2

# Thresholds of non-maximum suppression: within a level of the pyramid, over all levels and after
# R-Net (`iou_nms`), and after O-Net (`min_area_nms`).
NMS_THRESHOLDS = {"level": 0.5, "pyramid": 0.7, "rnet": 0.7, "onet": 0.7}

# The most candidates, by score, that are considered on a level, and that go on from the pyramid to
# R-Net and from R-Net to O-Net. A picture of a crowd has some thousands, some thousands and some
# hundreds.
MAX_CANDIDATES = {"level": 20_000, "pyramid": 20_000, "rnet": MOST_FACES}

# So many for each of `max_faces`. 133 photos with up to 202 faces had at most 4,772 on a level,
# 3,609 for R-Net and 672 for O-Net (with `min_face_size` 10: 6,902, 8,535 and 1,354). Where few
# faces are asked for, a photo of many must still give its best ones.
_CANDIDATES_A_FACE = {"level": 20, "pyramid": 20, "rnet": 4}
_LEAST_FACES = 250

# Windows along a side of the tiles in which P-Net scans a level, and windows in a batch of R-Net
# and O-Net: the feature maps stay below 100 MB.
_TILE = 512
_CHUNKS: dict[Stage, int] = {"rnet": 128, "onet": 64}

_HEADS: dict[Stage, tuple[str, ...]] = {
    "pnet": ("box",),
    "rnet": ("box",),
    "onet": ("box", "landmark"),
}

# Chunks are padded to a multiple of this: oneDNN compiles a kernel for every batch size.
_BATCH_MULTIPLE = 4

# Loops run two iterations in parallel: small operations leave a core idle.
_PARALLEL_ITERATIONS = 2

# Tolerance of rounding up or down, so that sides that are whole but for float errors are kept.
_ROUNDING = 1e-3

_IMAGE = tf.TensorSpec((None, None, 3), tf.uint8, "image")


class Cascade:
    """The cascade as functions of one picture (H, W, 3) uint8 RGB.

    The weights are copied: training a model later does not change its cascade. Cascades of equal
    weights share their compiled graph, whatever their pyramids and thresholds.

    Args:
        models: by stage; `proposals` needs only those up to its stage.
        config: pyramid and thresholds; default: those of `CascadeConfig`.
    """

    def __init__(self, models: dict[Stage, keras.Model], config: CascadeConfig | None = None):
        self.models, self.config = models, config or CascadeConfig()
        self._graph = _graph_of(models, _levels_compete(self.config))
        self.networks = self._graph.networks
        faces = max(self.config.max_faces, _LEAST_FACES)
        self._looks = _Looks(
            np.array(self.config.score_thresholds, np.float32),
            np.float64(CELL / self.config.min_face_size),
            np.float64(self.config.scale_factor),
            np.float64(self.config.max_side),
            np.int32(self.config.max_faces),
            {
                name: np.int32(min(most, faces * _CANDIDATES_A_FACE[name]))
                for name, most in MAX_CANDIDATES.items()
            },
        )

    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """The faces of a picture, best first.

        Returns:
            "boxes" (N, 4) and "landmarks" (N, 5, 2) in image pixels, "scores" (N,), all float32; N
            is at most the config's `max_faces`.
        """
        graph = self._graph
        if not graph.traced:
            with building():  # threads that trace at once are warned of retracing by TensorFlow
                graph.detect.get_concrete_function()
                graph.traced = True
        return graph.detect(image, self._looks)

    def proposals(self, image: tf.Tensor, stage: Literal["pnet", "rnet"]) -> tf.Tensor:
        """The windows that pass `stage`, which are the input of the next network.

        Returns:
            (N, 4) float32 squares x1 y1 x2 y2 in whole image pixels.
        """
        graph = self._graph
        propose = graph.propose_p if stage == "pnet" else graph.propose_r
        return propose(image, self._looks)


class _Looks(NamedTuple):
    """The settings of `CascadeConfig` as inputs of a graph."""

    thresholds: Any
    """(3,) float32, for P-Net, R-Net and O-Net."""
    first_scale: Any
    """Float64, of the first level of the pyramid."""
    scale_factor: Any
    """Float64, of each level relative to the one before."""
    max_side: Any
    """Float64, pixels."""
    max_faces: Any
    """Int32."""
    candidates: Any
    """Int32, by the names of `MAX_CANDIDATES`."""


_COUNT = tf.TensorSpec((), tf.int32)
_LOOKS = _Looks(
    tf.TensorSpec((3,), tf.float32),
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec((), tf.float64),
    _COUNT,
    dict.fromkeys(MAX_CANDIDATES, _COUNT),
)


class _Graph:
    """The cascade's functions of a picture and of how it is looked at; it keeps no Keras model.

    Args:
        levels_compete: see `_levels_compete`.
    """

    def __init__(self, models: dict[Stage, keras.Model], levels_compete: bool):
        self._levels_compete, self.traced = levels_compete, False
        self.networks = {
            stage: FastNetwork(model, _HEADS[stage]) for stage, model in models.items()
        }
        self.detect, self.propose_p, self.propose_r = (
            tf.function(function, input_signature=[_IMAGE, _LOOKS], autograph=False)
            for function in (self._faces, self._windows_for_r, self._windows_for_o)
        )

    def _windows_for_r(self, image: tf.Tensor, looks: _Looks) -> tf.Tensor:
        found = self._scan_pyramid(image, looks)
        windows, scores, offsets = tf.split(found, [4, 1, 4], axis=1)
        most = looks.candidates["pyramid"]
        if self._levels_compete:
            kept = iou_nms(windows, scores[:, 0], NMS_THRESHOLDS["pyramid"], most)
        else:
            kept = best_first(scores[:, 0], most)
        boxes = apply_box_offsets(tf.gather(offsets, kept), tf.gather(windows, kept), ops)
        return _squares(boxes, image)

    def _windows_for_o(self, image: tf.Tensor, looks: _Looks) -> tf.Tensor:
        windows, scores, offsets = self._filter_windows(
            "rnet", image, self._windows_for_r(image, looks), looks.thresholds[1]
        )
        kept = iou_nms(windows, scores, NMS_THRESHOLDS["rnet"], looks.candidates["rnet"])
        boxes = apply_box_offsets(tf.gather(offsets, kept), tf.gather(windows, kept), ops)
        return _squares(boxes, image)

    def _faces(self, image: tf.Tensor, looks: _Looks) -> dict[str, tf.Tensor]:
        windows, scores, offsets = self._filter_windows(
            "onet", image, self._windows_for_o(image, looks), looks.thresholds[2]
        )
        box_offsets, landmark_offsets = tf.split(offsets, [4, 10], axis=1)
        boxes = apply_box_offsets(box_offsets, windows, ops)
        landmarks = apply_landmark_offsets(landmark_offsets, windows, ops)
        kept = min_area_nms(boxes, scores, NMS_THRESHOLDS["onet"], looks.candidates["rnet"])
        kept = kept[: looks.max_faces]
        return {
            "boxes": tf.gather(boxes, kept),
            "scores": tf.gather(scores, kept),
            "landmarks": tf.gather(landmarks, kept),
        }

    def _scan_pyramid(self, image: tf.Tensor, looks: _Looks) -> tf.Tensor:
        """P-Net's windows on all levels: rows (N, 9) as of `_scan`, but in image pixels."""
        sides_hw = tf.cast(tf.shape(image)[:2], tf.float64)
        pixels = tf.cast(image, tf.float32)  # resized in half the time of uint8

        def fits(_: tf.Tensor, scale: tf.Tensor, __: tf.TensorArray) -> tf.Tensor:
            return tf.reduce_min(sides_hw) * scale >= CELL - _ROUNDING

        def scan(
            level: tf.Tensor, scale: tf.Tensor, found: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
            size_hw = tf.math.ceil(sides_hw * scale - _ROUNDING)
            # Rounded to whole grey levels, as in the crops of training.
            rows = self._scan(
                tf.round(area_resize(pixels, tf.cast(size_hw, tf.int32))), looks.thresholds[0]
            )
            to_image = tf.cast(1 / scale, tf.float32)
            # The whole image pixels inside a window.
            low = tf.math.ceil(rows[:, :2] * to_image - _ROUNDING)
            high = tf.math.floor(rows[:, 2:4] * to_image + _ROUNDING)
            rows = tf.concat([low, high, rows[:, 4:]], axis=1)
            kept = iou_nms(
                rows[:, :4], rows[:, 4], NMS_THRESHOLDS["level"], looks.candidates["level"]
            )
            return (
                level + 1,
                scale * looks.scale_factor,
                found.write(level, tf.gather(rows, kept)),
            )

        shrink = tf.minimum(looks.max_side / tf.reduce_max(sides_hw), 1.0)
        start = (tf.constant(0), looks.first_scale * shrink, _rows(9))
        _, _, found = tf.while_loop(fits, scan, start, parallel_iterations=_PARALLEL_ITERATIONS)
        return found.concat()

    def _scan(self, level: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """The windows of a level (h, w, 3) float32 that reach P-Net's threshold.

        Returns:
            Rows (N, 9): window x1 y1 x2 y2 in level pixels, score, four box offsets.
        """
        network = self.networks["pnet"]
        tiles_hw = (_count_windows(tf.shape(level)[:2]) + _TILE - 1) // _TILE
        count = tf.reduce_prod(tiles_hw)

        def scan(index: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            corner = tf.stack([index // tiles_hw[1], index % tiles_hw[1]]) * (_TILE * STRIDE)
            end = corner + (_TILE - 1) * STRIDE + CELL
            tile = level[corner[0] : end[0], corner[1] : end[1]]
            features = network.features(tile[None])
            scores = network.scores(features)
            passed = tf.cast(tf.where(scores[:, 0] >= threshold)[:, 0], tf.int32)
            columns = _count_windows(tf.shape(tile)[1])
            low = tf.stack([passed % columns, passed // columns], axis=1) * STRIDE
            low = tf.cast(low + tf.reverse(corner, [0]), tf.float32)
            offsets = network.offsets(tf.gather(features, passed))
            rows = tf.concat([low, low + CELL, tf.gather(scores, passed), offsets], axis=1)
            return index + 1, found.write(index, rows)

        start = (tf.constant(0), _rows(9))
        _, found = tf.while_loop(lambda index, _: index < count, scan, start, parallel_iterations=1)
        return found.concat()

    def _filter_windows(
        self, stage: Stage, image: tf.Tensor, windows: tf.Tensor, threshold: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The windows (N, 4) whose scores by R-Net or O-Net are above a threshold.

        Returns:
            Windows (M, 4), scores (M,) and offsets: of the box (M, 4) from R-Net, of the box and
            the landmarks (M, 14) from O-Net.
        """
        network, size, chunk = self.networks[stage], STAGES[stage].size, _CHUNKS[stage]
        count = tf.shape(windows)[0]
        filled = tf.concat(
            [windows, tf.tile([[0.0, 0, 1, 1]], [-count % _BATCH_MULTIPLE, 1])], axis=0
        )
        filled = tf.cast(filled, tf.int32)

        def score(index: tf.Tensor, scored: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            crops = area_crops(image, filled[index * chunk : (index + 1) * chunk], size)
            features = network.features(crops)
            columns = [network.scores(features), network.offsets(features)]
            return index + 1, scored.write(index, tf.concat(columns, axis=1))

        start = (tf.constant(0), _rows(5 if stage == "rnet" else 15))
        _, scored = tf.while_loop(
            lambda index, _: index * chunk < count,
            score,
            start,
            parallel_iterations=_PARALLEL_ITERATIONS,
        )
        rows = scored.concat()[:count]
        passed = tf.where(rows[:, 0] > threshold)[:, 0]
        rows = tf.gather(rows, passed)
        return tf.gather(windows, passed), rows[:, 0], rows[:, 1:]


# Graphs in use, by the SHA-256 of their weights.
_graphs: WeakValueDictionary[tuple[str, bool], _Graph] = WeakValueDictionary()


def _graph_of(models: dict[Stage, keras.Model], levels_compete: bool) -> _Graph:
    """A graph of the models' weights: one that is in use, or else a new one."""
    arrays = {
        f"{stage}/{name}": array
        for stage, model in models.items()
        for name, array in model_arrays(model).items()
    }
    key = fingerprint(arrays), levels_compete
    with building():
        graph = _graphs.get(key)
        if graph is None:
            graph = _graphs[key] = _Graph(models, levels_compete)
        return graph


def _rows(columns: int) -> tf.TensorArray:
    """An array for the results (any number, columns) of a loop's iterations."""
    return tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=(None, columns))


def _count_windows(side: tf.Tensor) -> tf.Tensor:
    """The number of P-Net's windows along `side` pixels; the last may exceed the side by one."""
    return (side - 1) // STRIDE - (CELL // STRIDE - 2)


def _levels_compete(config: CascadeConfig) -> bool:
    """Whether two windows of different levels can overlap enough for one to be suppressed.

    Rounding to whole pixels shortens a side by up to two, which matters most on the first levels.
    """
    first, second = config.min_face_size, config.min_face_size / config.scale_factor - 2
    return (first / second) ** 2 > NMS_THRESHOLDS["pyramid"]


def _squares(boxes: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """The squares (M, 4) around boxes (N, 4), without those that are mostly outside the picture.

    At least an eighth of a square must be inside. No face is found in the others, and a far-off
    offset of a network could require gigabytes of padding.
    """
    windows = square(boxes, ops)
    # Not [1::-1], which makes TensorFlow's layout optimizer skip the whole graph.
    size_wh = tf.cast(tf.reverse(tf.shape(image)[:2], [0]), tf.float32)
    low, high = tf.maximum(windows[:, :2], 0.0), tf.minimum(windows[:, 2:], size_wh)
    inside = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)
    return tf.boolean_mask(windows, 8 * inside >= (windows[:, 2] - windows[:, 0]) ** 2)
