"""The mean-pose baseline, which does not look at the picture."""

import numpy as np

from kptkit.samples import KeypointSamples


def mean_pose(samples: KeypointSamples) -> np.ndarray:
    """The mean position (K, 2) of each labelled keypoint, in units of its person's box."""
    low, size = _corner_and_size(samples)
    relative = (samples.keypoints[..., :2] - low) / size
    labelled = samples.keypoints[..., 2:] > 0
    return np.where(labelled, relative, 0).sum(axis=0) / labelled.sum(axis=0)


def place(pose: np.ndarray, samples: KeypointSamples) -> np.ndarray:
    """A pose (K, 2) placed in the box of each person: (N, K, 2) in image pixels."""
    low, size = _corner_and_size(samples)
    return low + pose * size


def _corner_and_size(samples: KeypointSamples) -> tuple[np.ndarray, np.ndarray]:
    corners = samples.boxes_xyxy.reshape(-1, 2, 2)
    return corners[:, :1], corners[:, 1:] - corners[:, :1]
