"""From pictures and boxes to keypoints, for prediction, evaluation and export."""

import os
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, overload
from weakref import WeakSet, WeakValueDictionary

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kptkit import opener
from kptkit.errors import InputError
from kptkit.geometry import affine, boxes
from kptkit.images.arguments import (
    AnyPicture,
    Picture,
    Pictures,
    one_or_each,
    upright_image,
)
from kptkit.network import PoseNetwork, crops_to_heatmaps, heatmaps_to_crop, stacks_to_crop
from kptkit.opener import PoseSource
from kptkit.pose.crops import cut_persons, to_image
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema
from kptkit.system import building, refuse_late_fork
from kptkit.weights.arrays import fingerprint
from kptkit.weights.assign import model_arrays


@dataclass(frozen=True)
class PosePrediction:
    """The persons of one picture."""

    keypoints: np.ndarray
    """(N, K, 3) float32: x and y in image pixels, and the peak of the heatmap as a score."""
    scores: np.ndarray
    """(N,) float32: the mean score of a person's keypoints."""
    boxes_xyxy: np.ndarray
    """(N, 4) float32 in image pixels: the boxes that were given."""


class _Compiled:
    """A pose network with its compiled graphs.

    Args:
        key: by which estimators find it, to share it.
    """

    def __init__(self, network: PoseNetwork, key: Hashable = None):
        self.network, self.key, self.traced = network, key, False
        self.users: WeakSet[PoseEstimator] = WeakSet()
        width, height = network.recipe.input_size_wh
        self.predict, self.predict_stacks = (
            tf.function(
                function,
                input_signature=[tf.TensorSpec((None, height, width, 3), tf.uint8)],
                autograph=False,
            )
            for function in (self._crops_to_keypoints, self._crops_to_stacks)
        )

    def _crops_to_keypoints(self, crops: tf.Tensor) -> tf.Tensor:
        network = self.network
        return heatmaps_to_crop(crops_to_heatmaps(network, crops), network.recipe)

    def _crops_to_stacks(self, crops: tf.Tensor) -> tf.Tensor:
        return stacks_to_crop(self.network, crops)


# Compiled networks in use, by what they were built from.
_shared: WeakValueDictionary[Hashable, _Compiled] = WeakValueDictionary()


class PoseEstimator:
    """A trained pose network with its geometry: boxes to crops, crops to keypoints, and back.

    Threads may share an estimator, and it can be pickled and copied. Opened by a folder, file or
    name, it is built and compiled at the first picture, and shares its graph with estimators of
    equal weights and recipe. A process that has only constructed such estimators may fork; one that
    predicted or loaded a network may not (an estimator in the child says so).

    Args:
        source: a run folder, a weights file or a published name, as in `kptkit.load`; or a loaded
            network.

    Raises:
        InputError: the network cannot be loaded; see `kptkit.load`.
    """

    def __init__(self, source: PoseNetwork | str | os.PathLike):
        self._compiled: _Compiled | None = None
        self._arrays: dict[str, np.ndarray] | None = None
        if isinstance(source, PoseNetwork):
            self._source: PoseNetwork | PoseSource = source
        else:
            self._open(opener.find(source))

    @classmethod
    def from_run(cls, folder: str | os.PathLike, weights: str = "best.npz") -> "PoseEstimator":
        """The estimator of a run folder, with the weights file `weights` in it."""
        estimator = cls.__new__(cls)
        estimator._compiled = None
        estimator._open(opener.find(folder, weights))
        return estimator

    @classmethod
    def from_weights(cls, source: str | os.PathLike) -> "PoseEstimator":
        """Earlier name of `PoseEstimator(source)`."""
        return cls(source)

    def _open(self, source: PoseSource) -> None:
        self._source, self._arrays = source, opener.checked_arrays(source)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__ | {"_compiled": None}
        if self._arrays is None and isinstance(self._source, PoseSource):
            state["_arrays"] = model_arrays(self._ready().network.model)
        return state

    @property
    def network(self) -> PoseNetwork:
        """The network, no other estimator's: its weights may be changed."""
        if isinstance(self._source, PoseNetwork):
            return self._source
        compiled = self._ready()
        with building():
            if _shared.get(compiled.key) is compiled:
                del _shared[compiled.key]
            if len(compiled.users) > 1:
                arrays = model_arrays(compiled.network.model)
                compiled.users.discard(self)
                compiled = _Compiled(opener.build_from(self._source, arrays))
                compiled.users.add(self)
                self._compiled = compiled
        return compiled.network

    @property
    def model(self) -> keras.Model:
        """The Keras model, from crops to heatmaps, no other estimator's."""
        return self.network.model

    @property
    def recipe(self) -> PoseRecipe:
        """Input size, convention, decoder and flip test."""
        return self._source.recipe

    @property
    def schema(self) -> KeypointSchema:
        """The keypoints."""
        return self._source.schema

    def _ready(self) -> _Compiled:
        """The compiled network, which is built when it is first asked for."""
        refuse_late_fork()
        if self._compiled is None:
            with building():
                if self._compiled is None:
                    self._compiled = self._built()
        return self._compiled

    def _built(self) -> _Compiled:
        source, arrays = self._source, self._arrays or {}
        key: Hashable = id(source)
        if isinstance(source, PoseSource):
            key = fingerprint(dict(sorted(arrays.items()))), source.recipe, source.schema
        compiled = _shared.get(key)
        if compiled is None:
            if isinstance(source, PoseSource):
                source = opener.build_from(source, arrays)
            compiled = _shared[key] = _Compiled(source, key)
        compiled.users.add(self)
        self._arrays = None  # the model has them now
        return compiled

    @overload
    def predict(
        self, image: Picture, boxes_xyxy: npt.ArrayLike | None = None
    ) -> PosePrediction: ...
    @overload
    def predict(
        self,
        image: Pictures[AnyPicture],
        boxes_xyxy: Iterable[npt.ArrayLike | None] | None = None,
    ) -> list[PosePrediction]: ...
    def predict(
        self, image: Picture | Pictures[AnyPicture], boxes_xyxy: Any = None
    ) -> PosePrediction | list[PosePrediction]:
        """The keypoints of one picture, or of every picture in a list.

        Args:
            image: a picture: (H, W, 3) uint8 RGB as an array or tensor, a path, the bytes of a
                file, a file open for bytes, or a picture of PIL (EXIF orientation is applied); or
                a list or iterable of these, or an array (N, H, W, 3).
            boxes_xyxy: (N, 4) persons in image pixels; default: one person, the whole picture. For
                several pictures, one such array, or None, for each of them.

        Raises:
            InputError: a picture cannot be used, or a box is empty or not finite; in a list, the
                message names the index of the picture.
        """
        return one_or_each(image, self._predict_one, boxes_xyxy, "boxes_xyxy")

    def _predict_one(self, image: Any, boxes_xyxy: npt.ArrayLike | None) -> PosePrediction:
        image = upright_image(image)
        if boxes_xyxy is None:
            boxes_xyxy = np.array([[0, 0, image.shape[1], image.shape[0]]])
        boxes_xyxy = boxes.checked(boxes_xyxy)
        crops, crop_to_image = self.cut(image, boxes_xyxy)
        keypoints = to_image(self.predict_crops(crops), crop_to_image).astype(np.float32)
        return PosePrediction(keypoints, keypoints[..., 2].mean(axis=1), boxes_xyxy)

    def cut(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Crops persons out of a picture (H, W, 3) uint8; boxes (N, 4) are in image pixels.

        Returns:
            Crops (N, h, w, 3) uint8, and affine maps (N, 2, 3) from crop to image pixels.
        """
        return cut_persons(image, boxes_xyxy, self.recipe.input_size_wh, self.recipe.convention)

    def predict_crops(self, crops: np.ndarray) -> np.ndarray:
        """Keypoints (B, K, 3) of crops (B, H, W, 3) uint8: x, y in crop pixels, score.

        Raises:
            InputError: the crops have another type or shape.
        """
        width, height = self.recipe.input_size_wh
        shape, kind = getattr(crops, "shape", ()), getattr(crops, "dtype", type(crops).__name__)
        if len(shape) != 4 or tuple(shape[1:]) != (height, width, 3) or kind != np.uint8:
            raise InputError(
                f"crops: {kind} of shape {tuple(shape)}, expected uint8 (B, {height}, {width}, 3); "
                "predict cuts them out of pictures"
            )
        if len(crops) == 0:  # TensorFlow's convolutions on a CPU refuse an empty batch
            return np.zeros((0, self.schema.num_keypoints, 3), np.float32)
        compiled = self._ready()
        if not compiled.traced:
            with building():  # threads that trace at once are warned of retracing by TensorFlow
                compiled.predict.get_concrete_function()
                compiled.traced = True
        return compiled.predict(crops).numpy()

    def predict_batches(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sample ids (N,) and keypoints (N, K, 3), in image pixels, of evaluation batches."""
        return self._over(batches, self._ready().predict, self.schema.num_keypoints)

    def predict_stacks(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `predict_batches`, for every stack of an hourglass, without the flip test.

        Returns:
            Sample ids (N,) and keypoints (N, S, K, 3).
        """
        stacks, num_keypoints = self.recipe.num_stacks, self.schema.num_keypoints
        ids, keypoints = self._over(batches, self._ready().predict_stacks, stacks * num_keypoints)
        return ids, keypoints.reshape(-1, stacks, num_keypoints, 3)

    def _over(
        self,
        batches: Iterable[dict[str, tf.Tensor]],
        predict: tf.types.experimental.Callable,
        num_points: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        ids, points = [np.zeros(0, np.int64)], [np.zeros((0, num_points, 3), np.float32)]
        for batch in batches:
            real = batch["sample_id"].numpy() >= 0
            in_crop = predict(batch["image"]).numpy()
            image_to_crop = batch["image_to_crop"].numpy().astype(np.float64)
            in_image = to_image(in_crop, affine.invert(image_to_crop)).astype(np.float32)
            ids.append(batch["sample_id"].numpy()[real])
            points.append(in_image[real])
        return np.concatenate(ids), np.concatenate(points)
