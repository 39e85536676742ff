"""Training samples per second and core: kptkit's pipelines against the official loader.

    python benchmarks/pipeline.py

takes five minutes on 2 cores. Persons come from $KPTKIT_DATA/coco, or from a small demo set. All
pipelines use full augmentation on one thread, like the official one, and alternate several times;
figures are medians of samples per second of CPU time. Required: records 3 times, pictures 1.3 times
the official loader. The last lines show how the pipelines scale to all cores, in samples per second
of wall time, which is meaningful on an idle machine only.
"""

from kptkit import quiet

quiet.import_tensorflow()

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from official_loader import SIZE_WH, OfficialLoader

from kptkit.data.augment.settings import HRNET_COCO
from kptkit.data.batches.pose import pose_training_batches
from kptkit.data.formats.coco import load_coco
from kptkit.data.records.pose import RecordSource
from kptkit.data.records.pose_writer import CutConfig, write_records
from kptkit.data.records.sources import ImageSource, SampleSource
from kptkit.data.skipped import SkippedPictures
from kptkit.data.to_samples import keypoint_samples
from kptkit.demo.dataset import write_demo_data
from kptkit.samples import KeypointSamples

BATCH_SIZE = 32
OFFICIAL_STEPS = 32
STEPS = 128
REPEATS = 5
DEMO_IMAGES = 200


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        samples, images_folder = load_samples(Path(folder))
        cores = os.cpu_count() or 1
        record_folder = Path(folder, "records")
        write_records(samples, record_folder, CutConfig(SIZE_WH), images_folder, {}, cores)
        official = OfficialLoader(samples)
        pictures, records = ImageSource(samples), RecordSource(record_folder)
        contestants: dict[str, Callable[[int], int]] = {
            "official loader": lambda seed: run_official(official, seed),
            "pictures": lambda seed: run_pipeline(pictures, seed, threads=1),
            "records": lambda seed: run_pipeline(records, seed, threads=1),
            f"pictures, {cores} threads": lambda seed: run_pipeline(pictures, seed, cores),
            f"records, {cores} threads": lambda seed: run_pipeline(records, seed, cores),
        }
        per_core, per_second = measure(contestants)
    made = (REPEATS + 1) * OFFICIAL_STEPS * BATCH_SIZE
    print("official loader, ms per sample: ", end="")
    print(", ".join(f"{step} {s / made * 1e3:.2f}" for step, s in official.seconds.items()))
    print(f"{'':20}{'samples/s/core':>15}{'ratio':>8}{'samples/s':>12}")
    for name in contestants:
        ratio = statistics.median(
            ours / theirs
            for ours, theirs in zip(per_core[name], per_core["official loader"], strict=True)
        )
        print(
            f"{name:20}{statistics.median(per_core[name]):15.0f}{ratio:8.2f}"
            f"{statistics.median(per_second[name]):12.0f}"
        )


def load_samples(folder: Path) -> tuple[KeypointSamples, Path]:
    """Persons and the folder of their pictures; a demo set is drawn into `folder`."""
    data = os.environ.get("KPTKIT_DATA")
    if data:
        annotations = Path(data, "coco/annotations/person_keypoints_train.json")
        images = Path(data, "coco/images")
    else:
        demo = write_demo_data(folder / "demo", DEMO_IMAGES, 0)
        annotations, images = demo / "annotations/person_keypoints_train.json", demo / "images"
    return keypoint_samples(load_coco(annotations), images), images


def measure(
    contestants: dict[str, Callable[[int], int]],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Samples per second of CPU time, and of wall time, of each contestant in each repeat."""
    per_core: dict[str, list[float]] = {name: [] for name in contestants}
    per_second: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(-1, REPEATS):  # the first warms up
        for name, run in contestants.items():
            cpu, wall = time.process_time(), time.perf_counter()
            count = run(repeat + 1)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if repeat >= 0:
                per_core[name].append(count / cpu)
                per_second[name].append(count / wall)
    return per_core, per_second


def run_official(loader: OfficialLoader, seed: int) -> int:
    """Loads samples; returns their number."""
    rng = np.random.default_rng(seed)
    count = BATCH_SIZE * OFFICIAL_STEPS
    for index in rng.integers(len(loader.samples), size=count):
        loader.load(int(index), rng)
    return count


def run_pipeline(source: SampleSource, seed: int, threads: int) -> int:
    """Builds the dataset and reads batches; returns the number of samples."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    batches = pose_training_batches(
        source,
        size_wh=SIZE_WH,
        batch_size=BATCH_SIZE,
        augment=HRNET_COCO,
        seed=seed,
        start_step=0,
        stop_step=STEPS,
        skipped=SkippedPictures(len(source.samples)),
    )
    return sum(len(batch["sample_id"]) for batch in batches.with_options(options))


if __name__ == "__main__":
    main()
