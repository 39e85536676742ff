"""DARK decoding of a batch of heatmaps against the usual per-joint Python loop, side by side.

    python benchmarks/decode.py

takes half a minute. For 64 samples of 17 heatmaps, 64x48, it prints medians of alternating repeats,
the speed-up over the loop (required: 8), and the ratio to the floor, reading the heatmaps once. On
a busy machine compare the CPU times, which are summed over threads.
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
    """DARK as in its paper and as usually implemented: joint by joint.

    Args:
        heatmaps: (B, K, H, W) float32.

    Returns:
        (B, K, 3): x, y, score.
    """
    samples, num_keypoints, _, width = heatmaps.shape
    flat = heatmaps.reshape(samples, num_keypoints, -1)
    highest, index = flat.max(axis=2), flat.argmax(axis=2)
    logs = np.log(np.maximum(_blur(heatmaps), 1e-10))
    keypoints = np.zeros((samples, num_keypoints, 3), np.float32)
    for sample in range(samples):
        for joint in range(num_keypoints):
            y, x = divmod(int(index[sample, joint]), width)
            keypoints[sample, joint, :2] = _taylor(logs[sample, joint], x, y)
    keypoints[..., 2] = highest
    return keypoints


def _blur(heatmaps: np.ndarray) -> np.ndarray:
    """Every map blurred with zero padding, then scaled to its previous maximum."""
    border = KERNEL_SIZE // 2
    blurred = np.zeros_like(heatmaps)
    for sample in range(heatmaps.shape[0]):
        for joint in range(heatmaps.shape[1]):
            padded = np.pad(heatmaps[sample, joint], border)
            padded = cv2.GaussianBlur(padded, (KERNEL_SIZE, KERNEL_SIZE), 0)
            inner = padded[border:-border, border:-border]
            blurred[sample, joint] = inner * (heatmaps[sample, joint].max() / inner.max())
    return blurred


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
    """Gaussians inside the maps plus noise, (B, H, W, K) float32."""
    samples, height, width, num_keypoints = SHAPE
    rng = np.random.default_rng(0)
    keypoints = np.ones((samples, num_keypoints, 3))
    keypoints[..., :2] = rng.uniform(8, (width - 9, height - 9), (samples, num_keypoints, 2))
    heatmaps, _ = encode(keypoints, (width, height), HEATMAP_SIGMA)
    return np.asarray(heatmaps) + rng.normal(0, 0.02, SHAPE).astype(np.float32)


def medians(functions: dict[str, Callable[[], object]]) -> dict[str, np.ndarray]:
    """Wall and CPU milliseconds per call; the functions alternate, so all see the same load."""
    times = {name: [] for name in functions}
    for _ in range(REPEATS):
        for name, function in functions.items():
            wall, processor = time.perf_counter(), time.process_time()
            function()
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: 1e3 * np.median(pairs, axis=0) for name, pairs in times.items()}


def main() -> None:
    cv2.setNumThreads(1)
    heatmaps = noisy_heatmaps()
    per_joint_maps = np.ascontiguousarray(heatmaps.transpose(0, 3, 1, 2))
    tensor = tf.constant(heatmaps)
    graph = tf.function(lambda maps: decode(maps, "dark", HEATMAP_SIGMA))
    xla = tf.function(lambda maps: decode(maps, "dark", HEATMAP_SIGMA), jit_compile=True)
    difference = np.abs(decode_per_joint(per_joint_maps) - [graph(tensor), xla(tensor)]).max()
    results = medians(
        {
            "per-joint loop": lambda: decode_per_joint(per_joint_maps),
            "kptkit, graph": lambda: graph(tensor).numpy(),
            "kptkit, XLA": lambda: xla(tensor).numpy(),
            "reading once": lambda: heatmaps.max(),
        }
    )
    print(f"{tf.config.list_logical_devices()[-1].name}, heatmaps {SHAPE}, {heatmaps.nbytes} bytes")
    print(f"largest difference: {difference:.1e} heatmap px")
    print("                 wall ms  faster  x floor   CPU ms  faster")
    loop, floor = results["per-joint loop"], results["reading once"]
    for name, (wall, processor) in results.items():
        row = f"{name:15} {wall:8.2f} {loop[0] / wall:7.1f} {wall / floor[0]:8.1f}"
        print(f"{row} {processor:8.2f} {loop[1] / processor:7.1f}")


if __name__ == "__main__":
    main()
