"""Where the pixels of annotated persons come from."""

from typing import Protocol

import numpy as np

from kptkit import images
from kptkit.data.samples import KeypointSamples

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
        left, top, right, bottom = box
        image = read_picture(self.samples, int(self.samples.image_index[index]))
        return image[top:bottom, left:right]


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
            "other size than annotated",
        )
    return image
