"""DARK decoding of a batch of heatmaps against the usual per-joint Python loop, side by side.

    python benchmarks/decode.py

Takes half a minute. 64 samples of 17 heatmaps, 64x48: the medians of alternating repeats, their
ratio (at least 8 is required of both rows), and how far each is from reading the heatmaps once.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import tensorflow as tf

from kptkit.decode import decode
from kptkit.encode import encode

SHAPE = (64, 64, 48, 17)  # samples, height, width, keypoints
HEATMAP_SIGMA = 2.0
KERNEL_SIZE = 11
REPEATS = 31


def decode_per_joint(heatmaps: np.ndarray) -> np.ndarray:
    """What the DARK paper describes, one joint at a time as it is usually written.

    Args:
        heatmaps: (B, K, H, W) float32.

    Returns:
        (B, K, 3): x, y, score.
    """
    keypoints = np.zeros((*heatmaps.shape[:2], 3), np.float32)
    for sample, maps in enumerate(heatmaps):
        for joint, heatmap in enumerate(maps):
            y, x = np.unravel_index(np.argmax(heatmap), heatmap.shape)
            highest = heatmap[y, x]
            blurred = cv2.GaussianBlur(
                heatmap, (KERNEL_SIZE, KERNEL_SIZE), 0, borderType=cv2.BORDER_CONSTANT
            )
            blurred *= highest / blurred.max()
            log = np.log(np.maximum(blurred, 1e-10))
            keypoints[sample, joint] = (*_taylor(log, x, y), highest)
    return keypoints


def _taylor(log: np.ndarray, x: int, y: int) -> tuple[float, float]:
    height, width = log.shape
    if not (1 < x < width - 2 and 1 < y < height - 2):
        return x, y
    dx = 0.5 * (log[y, x + 1] - log[y, x - 1])
    dy = 0.5 * (log[y + 1, x] - log[y - 1, x])
    dxx = 0.25 * (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2])
    dyy = 0.25 * (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x])
    dxy = 0.25 * (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1])
    hessian = np.array([[dxx, dxy], [dxy, dyy]])
    if np.linalg.det(hessian) == 0:
        return x, y
    step = -np.linalg.inv(hessian) @ np.array([dx, dy])
    return x + step[0], y + step[1]


def noisy_heatmaps() -> np.ndarray:
    """Gaussians inside the maps plus noise, (B, H, W, K)."""
    samples, height, width, num_keypoints = SHAPE
    rng = np.random.default_rng(0)
    keypoints = np.ones((samples, num_keypoints, 3))
    keypoints[..., :2] = rng.uniform(8, (width - 9, height - 9), (samples, num_keypoints, 2))
    heatmaps, _ = encode(keypoints, (width, height), HEATMAP_SIGMA)
    return np.asarray(heatmaps) + rng.normal(0, 0.02, SHAPE).astype(np.float32)


def medians(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds per call, the functions taking turns so that a busy machine slows all of them."""
    seconds = {name: [] for name in functions}
    for repeat in range(REPEATS + 2):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if repeat >= 2:
                seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def main() -> None:
    cv2.setNumThreads(1)
    heatmaps = noisy_heatmaps()
    per_joint_maps = np.ascontiguousarray(heatmaps.transpose(0, 3, 1, 2))
    tensor = tf.constant(heatmaps)
    graph = tf.function(lambda maps: decode(maps, "dark", HEATMAP_SIGMA))
    xla = tf.function(lambda maps: decode(maps, "dark", HEATMAP_SIGMA), jit_compile=True)
    seconds = medians(
        {
            "per-joint loop": lambda: decode_per_joint(per_joint_maps),
            "kptkit, graph": lambda: graph(tensor).numpy(),
            "kptkit, XLA": lambda: xla(tensor).numpy(),
            "reading once": lambda: heatmaps.max(),
        }
    )
    difference = np.abs(graph(tensor).numpy() - decode_per_joint(per_joint_maps))[..., :2].max()
    print(f"{tf.config.list_logical_devices()[-1].name}, heatmaps {SHAPE}, {heatmaps.nbytes} bytes")
    print(f"largest difference between the two: {difference:.1e} heatmap px")
    print("                     ms   x loop  x floor")
    for name, median in seconds.items():
        speed_up = seconds["per-joint loop"] / median
        distance = median / seconds["reading once"]
        print(f"{name:15} {median * 1e3:7.2f} {speed_up:8.1f} {distance:8.1f}")


if __name__ == "__main__":
    main()
