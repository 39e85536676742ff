"""From annotated persons to batches of crops, as tf.data datasets.

Which persons form step s of a run is a pure function of (seed, s), and how each of them is
augmented one of (seed, epoch, sample id). So a run that stops anywhere and starts again at that
step sees exactly the batches it would have seen, from pictures or from records.

A batch is a dict: image uint8 (B, H, W, 3) RGB crops; keypoints float32 (B, K, 3), x and y in crop
pixels and the weight in the loss, 0 where there is no label; sample_id int64 (B,); image_to_crop
float32 (B, 2, 3), from image to crop pixels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import cv2
import numpy as np
import tensorflow as tf

from kptkit import affine, images
from kptkit.data.augment import AugmentConfig, Window, crop_keypoints, draw_window, window_matrix
from kptkit.data.ledger import SkipLedger
from kptkit.data.samples import KeypointSamples
from kptkit.errors import InputError

# The sample id of rows that only fill up a batch, or whose picture cannot be read.
NO_SAMPLE = -1

Crop = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # in the order of a batch's fields


class SampleSource(Protocol):
    """Persons and their pixels: `ImageSource` here, `kptkit.data.records.RecordSource`."""

    samples: KeypointSamples

    def read(self, index: int, needed_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of the picture of person `index`, at least what of `needed_xyxy` lies in it.

        Returns:
            uint8 (h, w, 3) RGB and (2, 3), the map from image pixels to pixels of that array.

        Raises:
            ImageError: the picture cannot be used.
        """


class ImageSource:
    """Persons whose pixels are read from the pictures themselves."""

    def __init__(self, samples: KeypointSamples):
        self.samples = samples

    def read(self, index: int, needed_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `SampleSource.read`; the whole picture."""
        place = self.samples.image_index[index]
        path = self.samples.image_paths[place]
        image = images.read_image(path, self.samples.orientation)
        height, width = image.shape[:2]
        expected = tuple(self.samples.image_wh[place].tolist())
        if (width, height) != expected:
            raise images.ImageError(
                f"{path}: {width}x{height} pixels, but the annotations say "
                f"{expected[0]}x{expected[1]}",
                "other size than annotated",
            )
        return image, np.eye(2, 3)


def training_batches(
    source: SampleSource,
    *,
    size_wh: tuple[int, int],
    batch_size: int,
    augment: AugmentConfig,
    seed: int,
    start_step: int,
    stop_step: int,
    keypoint_weights: tuple[float, ...] | None = None,
    convention: affine.Convention = "official",
    ledger: SkipLedger,
) -> tf.data.Dataset:
    """The batches of steps `start_step` to `stop_step` (excluded) of the run with this seed.

    Each epoch shows every person once, in its own order; batches run on over its end, so a data set
    may be smaller than a batch. A person whose picture cannot be read becomes a black crop with
    weights 0 and is noted in `ledger`.

    Args:
        keypoint_weights: K loss weights of labelled keypoints; None is 1 for all.

    Raises:
        InputError: there are no samples.
    """
    samples = source.samples
    if not len(samples):
        raise InputError("training data: no samples; expected at least one annotated person")
    schema = samples.schema
    weights = np.asarray(keypoint_weights or np.ones(schema.num_keypoints), np.float32)

    def crop(epoch: int, index: int) -> Crop:
        sample_id = samples.sample_ids[index]
        rng = np.random.default_rng([seed, epoch, sample_id])
        box_xyxy, keypoints = samples.boxes_xyxy[index], samples.keypoints[index]
        window = draw_window(augment, rng, box_xyxy, keypoints, schema, size_wh)
        rendered = render(source, index, window, size_wh, convention, ledger)
        if rendered is None:
            return _empty_crop(schema.num_keypoints, size_wh, sample_id)
        image, matrix = rendered
        keypoints = crop_keypoints(keypoints, matrix, window.mirrored, schema)
        keypoints[:, 2] = np.where(keypoints[:, 2] > 0, weights, 0)
        return image, keypoints.astype(np.float32), sample_id, matrix.astype(np.float32)

    def place(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        epoch, offset = position // len(samples), position % len(samples)
        order = tf.stack([tf.constant(seed, tf.int64), epoch])
        last = tf.constant(len(samples) - 1, tf.int64)
        return epoch, tf.random.experimental.index_shuffle(offset, order, last)

    positions = tf.data.Dataset.range(start_step * batch_size, stop_step * batch_size)
    return _batched(positions.map(place), crop, schema.num_keypoints, size_wh, batch_size)


def evaluation_batches(
    source: SampleSource,
    *,
    size_wh: tuple[int, int],
    batch_size: int,
    convention: affine.Convention = "official",
    ledger: SkipLedger,
) -> tf.data.Dataset:
    """Every person once, in order, with nothing augmented.

    The last batch is filled up with black crops of weight 0 and sample id -1; so is the place of a
    person whose picture cannot be read, who is noted in `ledger`.
    """
    samples = source.samples
    num_keypoints = samples.schema.num_keypoints

    def crop(index: int) -> Crop:
        if index >= len(samples):
            return _empty_crop(num_keypoints, size_wh, NO_SAMPLE)
        window = Window(*affine.crop_window(samples.boxes_xyxy[index], size_wh))
        rendered = render(source, index, window, size_wh, convention, ledger)
        if rendered is None:
            return _empty_crop(num_keypoints, size_wh, NO_SAMPLE)
        image, matrix = rendered
        keypoints = crop_keypoints(samples.keypoints[index], matrix, False, samples.schema)
        keypoints[:, 2] = keypoints[:, 2] > 0
        return (
            image,
            keypoints.astype(np.float32),
            samples.sample_ids[index],
            matrix.astype(np.float32),
        )

    steps = -(-len(samples) // batch_size)
    return _batched(
        tf.data.Dataset.range(steps * batch_size), crop, num_keypoints, size_wh, batch_size
    )


def render(
    source: SampleSource,
    index: int,
    window: Window,
    size_wh: tuple[int, int],
    convention: affine.Convention,
    ledger: SkipLedger,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The crop of a window, uint8 (H, W, 3), and the (2, 3) map from image to crop pixels.

    None where the picture cannot be used, which `ledger` then knows.
    """
    samples = source.samples
    place = samples.image_index[index]
    matrix = window_matrix(window, int(samples.image_wh[place, 0]), size_wh, convention)
    last_x, last_y = size_wh[0] - 1, size_wh[1] - 1
    corners_xy = np.array([[0, 0], [last_x, 0], [0, last_y], [last_x, last_y]], float)
    seen_xy = affine.transform_points(affine.invert(matrix), corners_xy)
    needed_xyxy = np.concatenate([seen_xy.min(axis=0), seen_xy.max(axis=0)])
    try:
        pixels, image_to_pixels = source.read(index, needed_xyxy)
    except images.ImageError as error:
        ledger.record(samples.image_paths[place], error.reason)
        ledger.check()
        return None
    except InputError as error:
        ledger.stop(error)
        raise
    pixels_to_crop = affine.compose(matrix, affine.invert(image_to_pixels))
    return affine.warp(pixels, pixels_to_crop, size_wh), matrix


@contextmanager
def clear_errors(ledger: SkipLedger) -> Iterator[None]:
    """Within it, what stops a pipeline reaches its reader as the InputError it was.

    TensorFlow wraps whatever is raised inside a dataset in an error and a traceback of its own.
    """
    try:
        yield
    except tf.errors.OpError:
        ledger.check()
        raise


def _empty_crop(num_keypoints: int, size_wh: tuple[int, int], sample_id: int) -> Crop:
    """A black crop without labels."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    keypoints = np.zeros((num_keypoints, 3), np.float32)
    return image, keypoints, np.int64(sample_id), np.eye(2, 3, dtype=np.float32)


def _batched(
    places: tf.data.Dataset,
    crop: Callable[..., Crop],
    num_keypoints: int,
    size_wh: tuple[int, int],
    batch_size: int,
) -> tf.data.Dataset:
    """Batches of `crop` at each of `places`, in their order and of static shapes."""
    shapes = {
        "image": ((size_wh[1], size_wh[0], 3), tf.uint8),
        "keypoints": ((num_keypoints, 3), tf.float32),
        "sample_id": ((), tf.int64),
        "image_to_crop": ((2, 3), tf.float32),
    }

    def load(*place: tf.Tensor) -> dict[str, tf.Tensor]:
        row = tf.numpy_function(crop, place, [dtype for _, dtype in shapes.values()])
        return {
            name: tf.ensure_shape(value, shape)
            for (name, (shape, _)), value in zip(shapes.items(), row, strict=True)
        }

    # The crops are what runs in parallel; OpenCV's own threads would only get in their way.
    cv2.setNumThreads(1)
    crops = places.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return crops.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
