"""Random colour changes and blur of person crops, by albumentations.

Operations and strengths are those of mmpose's recipes (photometric distortion, blur). They do not
move anything in the crop, so keypoints stay the same.
"""

import os
import threading

import numpy as np

# Otherwise albumentations asks the package index for a newer version when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations

_thread = threading.local()


def photometric_distortion(image: np.ndarray, seed: int) -> np.ndarray:
    """Returns a changed copy of a crop (H, W, 3) uint8 RGB; the change depends only on the seed."""
    if not hasattr(_thread, "transform"):
        # One transform per thread: threads that share one would mix up their random numbers.
        _thread.transform = albumentations.Compose(
            [
                albumentations.ColorJitter(
                    brightness=(0.875, 1.125),
                    contrast=(0.5, 1.5),
                    saturation=(0.5, 1.5),
                    hue=(-0.05, 0.05),
                    p=0.5,
                ),
                albumentations.Blur(blur_limit=(3, 7), p=0.1),
                albumentations.MedianBlur(blur_limit=(3, 7), p=0.1),
            ]
        )
    _thread.transform.set_random_seed(seed)
    return _thread.transform(image=image)["image"]
