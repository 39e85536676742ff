"""Batches of person crops for pose networks, as tf.data datasets.

The persons of step s are a pure function of (seed, s), and their augmentation is one of (seed,
epoch, sample id). So a run that stops at any step and resumes sees exactly the same batches as
without the stop, from pictures or from records.

A batch is a dict of B rows:

    image          uint8 (B, H, W, 3)   RGB
    keypoints      float32 (B, K, 3)    x, y in crop pixels; weight in the loss, 0 if unlabelled
    sample_id      int64 (B,)
    image_to_crop  float32 (B, 2, 3)    affine map from image to crop pixels
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import tensorflow as tf

from kptkit import images
from kptkit.conventions import Convention
from kptkit.data.augment.pose import (
    Windows,
    crop_keypoints,
    draw_windows,
    person_windows,
    uniform_draws,
    window_matrices,
)
from kptkit.data.augment.settings import AugmentConfig
from kptkit.data.batches.shuffle import shuffled
from kptkit.data.records.sources import SampleSource
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.geometry import affine

# In evaluation, the sample id of rows that pad a batch or whose picture cannot be read.
NO_SAMPLE = -1

# Persons per call from tf.data into Python: enough to spread its cost, but they fit the CPU cache.
GROUP = 16

# The fields of a batch, in the order of the list above.
BatchArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pose_training_batches(
    source: SampleSource,
    *,
    size_wh: tuple[int, int],
    batch_size: int,
    augment: AugmentConfig,
    seed: int,
    start_step: int,
    stop_step: int,
    keypoint_weights: tuple[float, ...] | None = None,
    convention: Convention = "official",
    skipped: SkippedPictures,
) -> tf.data.Dataset:
    """Augmented training batches, for steps `start_step` to `stop_step` (excluded) of a run.

    Each epoch shows every person once, in an order of its own. A batch may extend into the next
    epoch, so a data set may be smaller than a batch. A person whose picture cannot be read becomes
    a black crop with weights 0, and the picture is recorded in `skipped`. Read the dataset within
    `clear_errors(skipped)`.

    Args:
        size_wh: width and height of the crops in pixels.
        augment: how strongly crops vary.
        seed: of the run; it decides the order and the augmentation.
        keypoint_weights: K loss weights of labelled keypoints; None means 1 for all.
        convention: of crop pixels, see `kptkit.geometry.affine`.

    Raises:
        InputError: there are no samples.
    """
    samples, schema = source.samples, source.samples.schema
    if not len(samples):
        raise InputError("training data: no samples; expected at least one annotated person")
    weights = np.asarray(keypoint_weights or np.ones(schema.num_keypoints), np.float32)
    if augment.photometric:
        from kptkit.data.augment.photometric import photometric_distortion

    def crops(epochs: np.ndarray, indices: np.ndarray) -> BatchArrays:
        keypoints, sample_ids = samples.keypoints[indices], samples.sample_ids[indices]
        draws = uniform_draws(seed, epochs, sample_ids)
        windows = draw_windows(
            augment, draws, samples.boxes_xyxy[indices], keypoints, schema, size_wh
        )
        wanted = np.ones(len(indices), bool)
        crops, matrices, readable = read_crops(
            source, indices, wanted, windows, size_wh, convention, skipped
        )
        if augment.photometric:
            for row in np.flatnonzero(readable):
                crops[row] = photometric_distortion(crops[row], seed=int(draws[row, -1] * 2**32))
        keypoints = crop_keypoints(keypoints, matrices, windows.mirrored, schema)
        labelled = (keypoints[..., 2] > 0) & readable[:, None]
        keypoints[..., 2] = np.where(labelled, weights, 0)
        return crops, keypoints, sample_ids, matrices.astype(np.float32)

    def places(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return shuffled(positions, len(samples), seed)

    steps = range(start_step, stop_step)
    return _batches(steps, places, crops, schema.num_keypoints, size_wh, batch_size)


def pose_evaluation_batches(
    source: SampleSource,
    *,
    size_wh: tuple[int, int],
    batch_size: int,
    convention: Convention = "official",
    skipped: SkippedPictures,
) -> tf.data.Dataset:
    """Every person once, in order, without augmentation.

    Black crops with weights 0 and sample id -1 pad the last batch and stand for persons whose
    picture cannot be read; these pictures are recorded in `skipped`. Read the dataset within
    `clear_errors(skipped)`.

    Args:
        size_wh: width and height of the crops in pixels.
        convention: of crop pixels, see `kptkit.geometry.affine`.
    """
    samples, schema = source.samples, source.samples.schema

    def crops(indices: np.ndarray) -> BatchArrays:
        wanted = indices < len(samples)
        indices = np.minimum(indices, len(samples) - 1)
        windows = person_windows(samples.boxes_xyxy[indices], size_wh)
        crops, matrices, readable = read_crops(
            source, indices, wanted, windows, size_wh, convention, skipped
        )
        keypoints = crop_keypoints(samples.keypoints[indices], matrices, windows.mirrored, schema)
        keypoints[..., 2] = (keypoints[..., 2] > 0) & readable[:, None]
        sample_ids = np.where(readable, samples.sample_ids[indices], NO_SAMPLE)
        return crops, keypoints, sample_ids, matrices.astype(np.float32)

    def places(positions: tf.Tensor) -> tuple[tf.Tensor]:
        return (positions,)

    steps = range(-(-len(samples) // batch_size))
    return _batches(steps, places, crops, schema.num_keypoints, size_wh, batch_size)


def read_crops(
    source: SampleSource,
    indices: np.ndarray,
    wanted: np.ndarray,
    windows: Windows,
    size_wh: tuple[int, int],
    convention: Convention,
    skipped: SkippedPictures,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts B crops.

    Args:
        indices: (B,) persons in `source.samples`.
        wanted: (B,) bool; the other crops stay black.
        windows: one for each person.
        size_wh: width and height of the crops in pixels.
        skipped: records the pictures that cannot be read.

    Returns:
        crops (B, H, W, 3) uint8; matrices (B, 2, 3) from image to crop pixels; readable (B,) bool,
        false for black crops: those not wanted, or whose picture cannot be read.

    Raises:
        InputError: too many pictures cannot be read, or a record is damaged.
    """
    samples = source.samples
    image_wh = samples.image_wh[samples.image_index[indices]]
    matrices = window_matrices(windows, image_wh[:, 0], size_wh, convention)
    boxes_xyxy = seen_pixels(matrices, size_wh, image_wh)
    pixels_to_image = np.tile(np.eye(2, 3), (len(indices), 1, 1))
    pixels_to_image[:, :, 2] = boxes_xyxy[:, :2]
    pixel_matrices = affine.compose(matrices, pixels_to_image)
    crops = np.zeros((len(indices), size_wh[1], size_wh[0], 3), np.uint8)
    readable = wanted.copy()
    for row in np.flatnonzero(wanted):
        index, box = int(indices[row]), tuple(boxes_xyxy[row].tolist())
        try:
            # The decoded pixels get no name, so that their memory is reused for the next picture.
            _warp(source.read(index, box), pixel_matrices[row], out=crops[row])
        except images.ImageError as error:
            skipped.record(samples.image_paths[samples.image_index[index]], error.reason)
            skipped.check()
            readable[row] = False
        except InputError as error:
            skipped.stop(error)
            raise
    return crops, matrices, readable


@contextmanager
def clear_errors(skipped: SkippedPictures) -> Iterator[None]:
    """Raises the InputError that stopped a pipeline instead of TensorFlow's error.

    TensorFlow wraps exceptions from inside a dataset in an error and a traceback of its own.

    Args:
        skipped: the one that the pipeline was given.
    """
    try:
        yield
    except tf.errors.OpError:
        skipped.check()
        raise


def seen_pixels(matrices: np.ndarray, size_wh: tuple[int, int], image_wh: np.ndarray) -> np.ndarray:
    """The part of each picture that its crop is interpolated from, at least one pixel.

    Args:
        matrices: (B, 2, 3), from image to crop pixels.
        size_wh: width and height of the crops in pixels.
        image_wh: (B, 2), width and height of the pictures in pixels.

    Returns:
        (B, 4) int64 x1 y1 x2 y2 in image pixels, inside the picture, x2 and y2 excluded.
    """
    right, bottom = size_wh[0] - 1, size_wh[1] - 1
    corners_xy = np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], float)
    seen_xy = affine.transform_points(affine.invert(matrices), corners_xy)
    low = np.clip(np.floor(seen_xy.min(axis=1)), 0, image_wh - 1)
    high = np.clip(np.floor(seen_xy.max(axis=1)) + 1, low, image_wh - 1) + 1
    return np.concatenate([low, high], axis=1).astype(np.int64)


def _warp(pixels: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Resamples `pixels` (h, w, 3) by `matrix` (2, 3) into the crop `out` (H, W, 3), all uint8."""
    # OpenCV 5 resamples four channels twice as fast as three.
    four = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
    crop = affine.warp(four, matrix, (out.shape[1], out.shape[0]))
    cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB, dst=out)


def _group_size(batch_size: int) -> int:
    """The largest divisor of `batch_size` that is at most GROUP."""
    return max(size for size in range(1, GROUP + 1) if batch_size % size == 0)


def _batches(
    steps: range,
    places: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    crops: Callable[..., BatchArrays],
    num_keypoints: int,
    size_wh: tuple[int, int],
    batch_size: int,
) -> tf.data.Dataset:
    """The dataset of the batches `steps` of a stream of persons.

    A batch is made in equal groups of rows, which run in parallel.

    Args:
        places: maps positions (G,) int64 in the stream to the arguments of `crops`, in the graph.
        crops: makes the rows of a group from these, in Python, as NumPy arrays.
    """
    shapes = {
        "image": ((size_wh[1], size_wh[0], 3), tf.uint8),
        "keypoints": ((num_keypoints, 3), tf.float32),
        "sample_id": ((), tf.int64),
        "image_to_crop": ((2, 3), tf.float32),
    }
    group_size = _group_size(batch_size)
    parts = batch_size // group_size

    def load(group: tf.Tensor) -> dict[str, tf.Tensor]:
        positions = group * group_size + tf.range(group_size, dtype=tf.int64)
        dtypes = [dtype for _, dtype in shapes.values()]
        rows = tf.numpy_function(crops, places(positions), dtypes)
        return {
            name: tf.ensure_shape(value, (group_size, *shape))
            for (name, (shape, _)), value in zip(shapes.items(), rows, strict=True)
        }

    # Groups already run in parallel; OpenCV's own threads would only compete with them.
    cv2.setNumThreads(1)
    groups = tf.data.Dataset.range(steps.start * parts, steps.stop * parts)
    loaded = groups.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return loaded.rebatch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
