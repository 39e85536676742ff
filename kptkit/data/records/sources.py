"""Where the pixels of annotated persons come from."""

from typing import Protocol

import numpy as np
import tensorflow as tf

from kptkit import images
from kptkit.images.headers import is_plain_jpeg
from kptkit.samples import KeypointSamples, Orientation

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom; the last two are excluded


class SampleSource(Protocol):
    """Persons and their pixels: `ImageSource` here, `kptkit.data.records.RecordSource`."""

    samples: KeypointSamples

    def read(self, index: int, box: PixelBox) -> np.ndarray:
        """The pixels within a box of the picture of person `index`: uint8 (h, w, 3) RGB.

        Args:
            box: in pixels of the whole picture, inside it, not empty.

        Raises:
            ImageError: the picture cannot be used.
        """


class ImageSource:
    """Persons whose pixels are read from the pictures themselves."""

    def __init__(self, samples: KeypointSamples):
        self.samples = samples

    def read(self, index: int, box: PixelBox) -> np.ndarray:
        """See `SampleSource.read`."""
        samples, place = self.samples, int(self.samples.image_index[index])
        data = images.read_bytes(samples.image_paths[place])
        pixels = decode_jpeg_box(data, box, tuple(samples.image_wh[place]), samples.orientation)
        if pixels is None:
            left, top, right, bottom = box
            pixels = read_picture(samples, place)[top:bottom, left:right]
        return pixels


def read_picture(samples: KeypointSamples, place: int) -> np.ndarray:
    """The whole picture number `place`: uint8 (H, W, 3) RGB, of the size its annotations state.

    Raises:
        ImageError: it cannot be read, or has another size.
    """
    path = samples.image_paths[place]
    image = images.read_image(path, samples.orientation)
    found_wh = [image.shape[1], image.shape[0]]
    expected_wh = samples.image_wh[place].tolist()
    if found_wh != expected_wh:
        raise images.ImageError(
            f"{images.printable(path)}: width and height are {found_wh}, but its annotations say "
            f"{expected_wh}",
            "other size",
        )
    return image


def decode_jpeg_box(
    data: bytes, box: PixelBox, image_wh: tuple[int, int], orientation: Orientation
) -> np.ndarray | None:
    """The pixels within a box of a JPEG, without decoding the rest; about a third faster.

    Returns:
        uint8 (h, w, 3) RGB, equal to the bit to those of `images.decode_image`; None for all that
        needs that function's verdict: pictures of other formats, sizes or orientations, or broken.
    """
    try:
        turned = orientation == "exif" and images.exif_orientation(data) != 1
        if turned or images.image_size_wh(data) != image_wh or not is_plain_jpeg(data):
            return None
        # Chroma is interpolated from the next pixel on every side.
        left, top = max(box[0] - 1, 0), max(box[1] - 1, 0)
        right, bottom = min(box[2] + 1, image_wh[0]), min(box[3] + 1, image_wh[1])
        pixels = tf.io.decode_and_crop_jpeg(
            data, [top, left, bottom - top, right - left], 3, dct_method="INTEGER_ACCURATE"
        ).numpy()
    except (images.ImageError, tf.errors.InvalidArgumentError):
        return None
    return pixels[box[1] - top : box[3] - top, box[0] - left : box[2] - left]
