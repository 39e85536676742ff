"""Sources of annotated persons and their pixels; here those that read the picture files."""

from typing import Protocol

import numpy as np
import tensorflow as tf

from kptkit import images
from kptkit.images.headers import check_file
from kptkit.samples import KeypointSamples, Orientation
from kptkit.wording import printable

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom; the last two are excluded


class SampleSource(Protocol):
    """Persons and their pixels: an `ImageSource` or a `kptkit.data.records.pose.RecordSource`."""

    samples: KeypointSamples

    def read(self, index: int, box: PixelBox) -> np.ndarray:
        """The pixels within a box of a person's picture: (h, w, 3) uint8 RGB.

        Args:
            index: of the person in `samples`.
            box: in pixels of the whole picture; inside it and not empty.

        Raises:
            ImageError: the picture cannot be used.
        """


class ImageSource:
    """A `SampleSource` that reads the picture files."""

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
    """A whole picture: (H, W, 3) uint8 RGB.

    Args:
        place: index of the picture in `samples.image_paths`.

    Raises:
        ImageError: it cannot be read, or its size is not the annotated one.
    """
    path = samples.image_paths[place]
    image = images.read_image(path, samples.orientation)
    found_wh = [image.shape[1], image.shape[0]]
    expected_wh = samples.image_wh[place].tolist()
    if found_wh != expected_wh:
        raise images.ImageError(
            f"{printable(path)}: width and height are {found_wh}, but its annotations say "
            f"{expected_wh}",
            "other size",
        )
    return image


def decode_jpeg_box(
    data: bytes, box: PixelBox, image_wh: tuple[int, int], orientation: Orientation
) -> np.ndarray | None:
    """Decodes only a box of a JPEG; that is about a third faster.

    Args:
        data: the file.
        box: in pixels of the whole picture; inside it and not empty.
        image_wh: annotated width and height of the picture.

    Returns:
        (h, w, 3) uint8 RGB, bit-equal to those of `images.decode_image`; None if the picture needs
        that function: it is broken, has another format or size, or must be rotated.
    """
    try:
        checked = check_file(data)
        turned = orientation == "exif" and checked.header.orientation != 1
        if turned or checked.header.size_wh != image_wh or not checked.parts_alike:
            return None
        # Chroma interpolation needs one more pixel on every side.
        left, top = max(box[0] - 1, 0), max(box[1] - 1, 0)
        right, bottom = min(box[2] + 1, image_wh[0]), min(box[3] + 1, image_wh[1])
        pixels = tf.io.decode_and_crop_jpeg(
            data, [top, left, bottom - top, right - left], 3, dct_method="INTEGER_ACCURATE"
        ).numpy()
    except (images.ImageError, tf.errors.InvalidArgumentError):
        return None
    return pixels[box[1] - top : box[3] - top, box[0] - left : box[2] - left]
