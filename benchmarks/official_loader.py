"""The official HRNet code's way to make a training sample, reimplemented as a baseline.

It follows `JointsDataset` step by step: the whole picture is decoded and converted, flipped by a
copy, warped through a matrix from three point pairs, turned into normalised float32 channels-first
(ToTensor, Normalize), and the heatmaps are drawn joint by joint.
"""

import time
from collections import defaultdict

import cv2
import numpy as np

from kptkit.samples import KeypointSamples

SIZE_WH = (192, 256)
HEATMAP_WH = (48, 64)
SIGMA = 2
MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
STD = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


class OfficialLoader:
    """Makes samples, and sums the CPU time of each step on this thread in `seconds`."""

    def __init__(self, samples: KeypointSamples):
        self.samples = samples
        self.seconds: dict[str, float] = defaultdict(float)

    def load(self, index: int, rng: np.random.Generator) -> Sample:
        """Image (3, H, W), heatmaps (K, h, w) and weights (K, 1) of one person, all float32."""
        samples, schema = self.samples, self.samples.schema
        self._since = time.thread_time()
        image = self._read(samples.image_paths[samples.image_index[index]])
        joints = samples.keypoints[index, :, :2].astype(float)
        visible = samples.keypoints[index, :, 2] > 0
        centre, scale = _centre_and_scale(samples.boxes_xyxy[index])
        if visible.sum() > 8 and rng.random() < 0.3:
            centre, scale = _half_body(rng, joints, visible, schema.upper_body) or (centre, scale)
        scale = scale * np.clip(rng.standard_normal() * 0.35 + 1, 0.65, 1.35)
        rotation = 0.0
        if rng.random() <= 0.6:
            rotation = np.clip(rng.standard_normal() * 45, -90, 90)
        self._lap("augmentation")
        if rng.random() <= 0.5:
            # The official code passes the mirrored view on; OpenCV then makes this copy.
            image = np.ascontiguousarray(image[:, ::-1, :])
            joints, visible = _flip(joints, visible, image.shape[1], schema.flip_pairs)
            centre[0] = image.shape[1] - centre[0] - 1
        self._lap("mirror")
        matrix = _three_point_matrix(centre, scale, rotation)
        crop = cv2.warpAffine(image, matrix, SIZE_WH, flags=cv2.INTER_LINEAR)
        self._lap("warp")
        tensor = np.ascontiguousarray(crop.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        tensor = (tensor - MEAN) / STD
        self._lap("normalise")
        for joint in range(len(joints)):
            if visible[joint]:
                joints[joint] = matrix @ np.array([joints[joint, 0], joints[joint, 1], 1.0])
        heatmaps, weights = _targets(joints, visible)
        self._lap("targets")
        return tensor, heatmaps, weights

    def _read(self, path: str) -> np.ndarray:
        with open(path, "rb") as file:
            data = np.frombuffer(file.read(), np.uint8)
        self._lap("read")
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        self._lap("decode")
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        self._lap("colour")
        return image

    def _lap(self, step: str) -> None:
        now = time.thread_time()
        self.seconds[step] += now - self._since
        self._since = now


def _centre_and_scale(box_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The official centre and scale: in units of 200 pixels, including the factor 1.25."""
    left, top, right, bottom = box_xyxy.tolist()
    centre = np.array([(left + right) / 2, (top + bottom) / 2], np.float32)
    return centre, _scale_of(right - left, bottom - top) * 1.25


def _scale_of(width: float, height: float) -> np.ndarray:
    aspect = SIZE_WH[0] / SIZE_WH[1]
    if width > aspect * height:
        height = width / aspect
    elif width < aspect * height:
        width = height * aspect
    return np.array([width / 200, height / 200], np.float32)


def _half_body(
    rng: np.random.Generator, joints: np.ndarray, visible: np.ndarray, upper_body: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray] | None:
    upper, lower = [], []
    for joint in range(len(joints)):
        if visible[joint]:
            (upper if joint in upper_body else lower).append(joints[joint])
    if rng.standard_normal() < 0.5 and len(upper) > 2:
        chosen = upper
    else:
        chosen = lower if len(lower) > 2 else upper
    if len(chosen) < 2:
        return None
    chosen = np.array(chosen, np.float32)
    extent = chosen.max(axis=0) - chosen.min(axis=0)
    return chosen.mean(axis=0), _scale_of(extent[0], extent[1]) * 1.5


def _flip(
    joints: np.ndarray, visible: np.ndarray, width: int, pairs: tuple[tuple[int, int], ...]
) -> tuple[np.ndarray, np.ndarray]:
    joints, visible = joints.copy(), visible.copy()
    joints[:, 0] = width - joints[:, 0] - 1
    for a, b in pairs:
        joints[a], joints[b] = joints[b].copy(), joints[a].copy()
        visible[a], visible[b] = visible[b], visible[a]
    return joints * visible[:, None], visible


def _three_point_matrix(centre: np.ndarray, scale: np.ndarray, rotation: float) -> np.ndarray:
    width, height = SIZE_WH
    radians = np.pi * rotation / 180
    up = np.array([np.sin(radians), -np.cos(radians)]) * scale[0] * 200 / 2
    source = np.zeros((3, 2), np.float32)
    target = np.zeros((3, 2), np.float32)
    source[0], source[1] = centre, centre + up
    target[0], target[1] = [width / 2, height / 2], [width / 2, height / 2 - width / 2]
    for points in (source, target):
        along = points[0] - points[1]
        points[2] = points[1] + np.array([-along[1], along[0]])
    return cv2.getAffineTransform(source, target)


def _targets(joints: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian patch of 6 sigma around each joint's rounded position."""
    weights = visible.astype(np.float32)[:, None]
    heatmaps = np.zeros((len(joints), HEATMAP_WH[1], HEATMAP_WH[0]), np.float32)
    radius = SIGMA * 3
    for joint in range(len(joints)):
        x = int(joints[joint, 0] * HEATMAP_WH[0] / SIZE_WH[0] + 0.5)
        y = int(joints[joint, 1] * HEATMAP_WH[1] / SIZE_WH[1] + 0.5)
        left, top, right, bottom = x - radius, y - radius, x + radius + 1, y + radius + 1
        if left >= HEATMAP_WH[0] or top >= HEATMAP_WH[1] or right < 0 or bottom < 0:
            weights[joint] = 0
            continue
        grid = np.arange(0, 2 * radius + 1, 1, np.float32)
        patch = np.exp(-((grid - radius) ** 2 + (grid[:, None] - radius) ** 2) / (2 * SIGMA**2))
        if weights[joint] > 0.5:
            x0, x1 = max(0, left), min(right, HEATMAP_WH[0])
            y0, y1 = max(0, top), min(bottom, HEATMAP_WH[1])
            heatmaps[joint, y0:y1, x0:x1] = patch[y0 - top : y1 - top, x0 - left : x1 - left]
    return heatmaps, weights
