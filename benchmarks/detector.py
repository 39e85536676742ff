"""MTCNN on photos: agreement with the published detector, and time relative to it.

    python benchmarks/detector.py
    python benchmarks/detector.py --mtcnn-python ENVIRONMENT/bin/python

takes two minutes on 2 cores, with the converted published weights (`kptkit convert`). The
same three networks also run level by level from Python (levelwise_detector.py), and, if the Python
of `--mtcnn-python` has it (`pip install mtcnn tensorflow`), the `mtcnn` package of PyPI runs in a
process of its own. All alternate on each photo, so that they see the same load; figures are
medians. Required: 98 % of the faces matched at an IoU of 0.7 both ways, and at most 40 % of
either's time on 2 idle cores. On a busy machine wall times mislead, and CPU times favour the
others, most of whose work leaves one core waiting; the load is printed.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from levelwise_detector import LevelwiseDetector

from kptkit import images
from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector
from kptkit.face.fast_network import FastNetwork
from kptkit.geometry import boxes
from kptkit.images.area_resize import area_crops, area_resize
from kptkit.models.sizes import STAGES

MATCH = 0.7  # minimum IoU of two boxes of the same face

# (2,) wall and CPU milliseconds.
Times = np.ndarray


@dataclass(frozen=True)
class Config:
    """Which photos to use, and how many repeats."""

    photos: Path | None = None
    """Folder of pictures; default: $KPTKIT_DATA/photos."""
    weights: str = "original"
    mtcnn_python: Path | None = None
    """The Python of an environment with the mtcnn package."""
    repeats: int = 5


def main(config: Config) -> None:
    detector = FaceDetector(config.weights)
    levelwise = LevelwiseDetector(detector.cascade.models)
    package = start_package(config.mtcnn_python)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    photos = {path: images.read_image(path) for path in find_photos(config.photos)}
    print_agreement(levelwise, detector, photos)
    totals = print_speed(levelwise, detector, package, photos, config.repeats)
    print_stages(detector, levelwise, photos, config.repeats)
    print(f"load {os.getloadavg()[0]:.1f}")
    for name, times in totals.items():
        if name != "kptkit":
            wall, processor = totals["kptkit"] / times
            print(f"of {name}'s time: wall {wall:.0%} (required: 40 %), CPU {processor:.0%}")


def find_photos(folder: Path | None) -> list[Path]:
    if folder is None and "KPTKIT_DATA" not in os.environ:
        raise InputError("--photos: none given, and $KPTKIT_DATA is not set")
    folder = folder or Path(os.environ["KPTKIT_DATA"]) / "photos"
    photos = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not photos:
        raise InputError(f"{folder}: no .jpg, .jpeg or .png in it")
    return photos


def print_agreement(
    levelwise: LevelwiseDetector, detector: FaceDetector, photos: dict[Path, np.ndarray]
) -> None:
    """Prints the numbers of faces, and how many of each have a match in the other."""
    counts = []
    for image in photos.values():
        expected, _, _ = levelwise.detect(image)
        found = detector.detect(image).boxes_xyxy
        same = boxes.iou(expected, found) >= MATCH
        counts.append((len(expected), same.any(axis=1).sum(), len(found), same.any(axis=0).sum()))
    print(f"\n{'':30}{'level by level':>16}{'matched':>9}{'kptkit':>9}{'matched':>9}")
    for path, row in zip(photos, counts, strict=True):
        print(f"{path.stem[:30]:30}{row[0]:16}{row[1]:9}{row[2]:9}{row[3]:9}")
    expected, matched, found, back = np.sum(counts, axis=0)
    print(f"{'all':30}{expected:16}{matched:9}{found:9}{back:9}")
    print(f"agreement: {matched / expected:.2%} and {back / found:.2%} (required: 98 %)")


def print_speed(
    levelwise: LevelwiseDetector,
    detector: FaceDetector,
    package: subprocess.Popen | None,
    photos: dict[Path, np.ndarray],
    repeats: int,
) -> dict[str, Times]:
    """Prints the times of all detectors, photo by photo; returns the sums."""
    totals = {}
    print("\nms: wall, CPU")
    for path, image in photos.items():
        tensor = tf.constant(image)
        detectors = {
            "kptkit": lambda tensor=tensor: timed(lambda: detector.cascade(tensor)),
            "level by level": lambda image=image: timed(lambda: levelwise.detect(image)),
        }
        if package:
            detectors["mtcnn package"] = lambda path=path: ask(package, path)
        times = medians(detectors, repeats)
        totals = {name: totals.get(name, 0) + spent for name, spent in times.items()}
        cells = "".join(f"  {name} {t[0]:6.0f} {t[1]:6.0f}" for name, t in times.items())
        print(f"{path.stem[:24]:24} {image.shape[1]:4}x{image.shape[0]:<5}{cells}")
    return totals


def print_stages(
    detector: FaceDetector,
    levelwise: LevelwiseDetector,
    photos: dict[Path, np.ndarray],
    repeats: int,
) -> None:
    """Prints the time of each part, run alone on its inputs, summed over the photos."""
    totals, windows = {}, np.zeros(2, int)
    for image in photos.values():
        parts, counts = stages(detector, levelwise.scales(image), tf.constant(image))
        windows += counts
        times = medians({k: lambda part=part: timed(part) for k, part in parts.items()}, repeats)
        totals = {name: totals.get(name, 0) + spent for name, spent in times.items()}
    whole = totals.pop("whole")
    floor = sum(totals[stage] for stage in STAGES)
    print(f"\nkptkit's time; {windows[0]} windows for R-Net, {windows[1]} for O-Net")
    rest = whole - sum(totals.values())
    for name, spent in {**totals, "rest (NMS, geometry, graph)": rest, "whole": whole}.items():
        print(f"{name:30} wall {spent[0]:6.0f} ms {spent[0] / whole[0]:5.0%}", end="")
        print(f"   CPU {spent[1]:6.0f} ms {spent[1] / whole[1]:5.0%}")
    print(f"the networks alone: wall {floor[0] / whole[0]:.0%}, CPU {floor[1] / whole[1]:.0%}")


def stages(
    detector: FaceDetector, scales: list[float], image: tf.Tensor
) -> tuple[dict[str, Callable[[], object]], tuple[int, int]]:
    """The parts of one detection as calls, and the numbers of R-Net and O-Net windows."""
    cascade = detector.cascade
    pixels = tf.cast(image, tf.float32)
    sizes = [np.ceil(np.multiply(image.shape[:2], scale)).astype(np.int32) for scale in scales]
    resize = compiled(area_resize, (None, None, 3), (2,))
    levels = [resize(pixels, size)[None] for size in sizes]
    windows = {
        "rnet": tf.cast(cascade.proposals(image, "pnet"), tf.int32),
        "onet": tf.cast(cascade.proposals(image, "rnet"), tf.int32),
    }
    pnet = compiled(judged_by(cascade.networks["pnet"]), (None, None, None, 3))
    parts = {
        "whole": lambda: cascade(image),
        "pyramid": lambda: [resize(pixels, size) for size in sizes],
        "pnet": lambda: [pnet(level) for level in levels],
    }
    for stage, own in windows.items():
        size = STAGES[stage].size
        crop = compiled(lambda p, w, size=size: area_crops(p, w, size), (None, None, 3), (None, 4))
        network = compiled(judged_by(cascade.networks[stage]), (None, size, size, 3))
        crops = [crop(pixels, own[first : first + 128]) for first in range(0, len(own), 128)]
        parts[f"crops for {stage}"] = lambda crop=crop, own=own: crop(pixels, own)
        parts[stage] = lambda network=network, crops=crops: [network(batch) for batch in crops]
    return parts, (len(windows["rnet"]), len(windows["onet"]))


def judged_by(network: FastNetwork) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """One call for scores and offsets of windows."""

    def judged(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = network.features(images)
        return network.scores(features), network.offsets(features)

    return judged


def compiled(function: Callable, *shapes: tuple) -> Callable:
    """A function traced for these shapes; the first argument is float32, the second int32."""
    specs = [
        tf.TensorSpec(shape, dtype)
        for shape, dtype in zip(shapes, (tf.float32, tf.int32), strict=False)
    ]
    return tf.function(function, input_signature=specs, autograph=False)


def start_package(python: Path | None) -> subprocess.Popen | None:
    if python is None:
        print("the mtcnn package is skipped: --mtcnn-python gives no Python that has it")
        return None
    return subprocess.Popen(
        [str(python), str(Path(__file__).with_name("package_detector.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ask(package: subprocess.Popen, path: Path) -> tuple[float, float]:
    package.stdin.write(f"{path}\n")
    package.stdin.flush()
    answer = package.stdout.readline()
    if not answer:
        raise InputError("--mtcnn-python: the mtcnn package did not start there, or it failed")
    return tuple(json.loads(answer)["milliseconds"])


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU milliseconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)


def medians(timers: dict[str, Callable[[], tuple[float, float]]], repeats: int) -> dict[str, Times]:
    """Median times of alternating calls; the first turn is a warm-up."""
    turns = [{name: timer() for name, timer in timers.items()} for _ in range(repeats + 1)]
    return {name: np.median([turn[name] for turn in turns[1:]], axis=0) for name in timers}


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
