"""HRNet-W32 on this machine's CPU: inference and training in float32 and bfloat16; the first step.

    python benchmarks/network.py

takes a quarter of an hour on 2 cores. All cases alternate several times in one process; figures are
medians. The share is the speed of the convolutions' arithmetic (benchmarks/counting.py) over that
of a large matrix product of the same type, measured in the same turns. Required: inference in
bfloat16 at least 1.4 times as fast as in float32, if the CPU has the instructions; the first
training step, in a fresh process, at most 30 s after the start of training.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from counting import count_network

from kptkit.models.sizes import HRNetVariant
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.known import COCO_17
from kptkit.train import loop as train
from kptkit.train.flags import TrainOptions
from kptkit.train.pose import build_pose_step
from kptkit.train.step import TrainStep

MATRIX_SIZE = 4096
# Names in /proc/cpuinfo of the bfloat16 instructions.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

# Maps (case, precision) to a call that blocks until its result is ready.
Programs = dict[tuple[str, str], Callable[[], object]]


@dataclass(frozen=True)
class Config:
    """What to measure, and how many repeats."""

    variant: HRNetVariant = "w32"
    input_size_wh: tuple[int, int] = (192, 256)
    batch_size: int = 8
    repeats: int = 9
    """Number of alternating repeats."""
    first_steps: int = 3
    """Number of fresh processes that run one training step."""


def main(config: Config) -> None:
    print(describe_cpu())
    report_first_step(config)
    programs, flops = build_programs(config)
    report(config, take_turns(programs, config.repeats), flops)


def describe_cpu() -> str:
    """Cores, load, and bfloat16 instructions of the CPU."""
    cpuinfo = Path("/proc/cpuinfo")
    words = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return (
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, bfloat16 instructions: "
        f"{', '.join(sorted(words & BFLOAT16_FLAGS)) or 'none found'}"
    )


def report_first_step(config: Config) -> None:
    """Prints the seconds from the start of training to the end of its first step."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for _ in range(config.first_steps):
        with context.Pool(1) as pool:
            rows.append(pool.apply(first_step, (config,)))
    if rows:
        built, done, processor = np.median(rows, axis=0)
        print(
            f"first training step, {config.variant}: {done:.1f} s after the start of training, "
            f"{built:.1f} of them for model and optimizer; {processor:.1f} s of processor time"
        )


def first_step(config: Config) -> tuple[float, float, float]:
    """Seconds until the model was built and until the first step was done; CPU seconds."""
    batch = random_batch(config)
    start, processor = time.perf_counter(), time.process_time()
    step = training_step(config, "float32")
    built = time.perf_counter() - start
    step(batch).numpy()
    return built, time.perf_counter() - start, time.process_time() - processor


def training_step(config: Config, precision: str) -> TrainStep:
    """kptkit's training step, as a run with these constants sets it up."""
    recipe = PoseRecipe(
        variant=config.variant,
        input_size_wh=config.input_size_wh,
        batch_size=config.batch_size,
        precision=PRECISIONS[precision],
    )
    train.set_determinism(seed=0, deterministic=False)
    with redirect_stdout(None):
        return build_pose_step(recipe, COCO_17, TrainOptions(), steps_per_epoch=1000)


def random_batch(config: Config) -> dict[str, tf.Tensor]:
    """Crops of noise with random keypoints."""
    rng = np.random.default_rng(0)
    width, height = config.input_size_wh
    keypoints = rng.uniform(0, (width, height, 1), (config.batch_size, COCO_17.num_keypoints, 3))
    images = rng.integers(0, 256, (config.batch_size, height, width, 3), np.uint8)
    return {"image": tf.constant(images), "keypoints": tf.constant(keypoints, tf.float32)}


def build_programs(config: Config) -> tuple[Programs, dict[str, float]]:
    """The measured calls, and their floating-point operations by case."""
    batch = random_batch(config)
    programs: Programs = {}
    for precision in PRECISIONS:
        matrix = tf.cast(tf.random.normal((MATRIX_SIZE, MATRIX_SIZE)), precision)
        step = training_step(config, precision)
        forward = inference(step.model)
        programs["matrix product", precision] = lambda m=matrix: tf.matmul(m, m).numpy()
        programs["inference", precision] = lambda f=forward: f(batch["image"]).numpy()
        programs["training step", precision] = lambda s=step: s(batch).numpy()
    counts = count_network(step.model)
    return programs, {
        "matrix product": 2 * MATRIX_SIZE**3,
        "inference": counts.forward(config.batch_size, "float32").flops,
        "training step": counts.training_step(config.batch_size, "float32").flops,
    }


def inference(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """The network as a graph, as in the estimator and the SavedModel."""

    @tf.function(autograph=False)
    def forward(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    return forward


def take_turns(programs: Programs, repeats: int) -> dict[tuple[str, str], np.ndarray]:
    """Seconds of every call, without the first ones, which compile."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in programs}
    for turn in range(repeats + 1):
        for key, program in programs.items():
            start = time.perf_counter()
            program()
            if turn:
                seconds[key].append(time.perf_counter() - start)
    return {key: np.array(times) for key, times in seconds.items()}


def report(
    config: Config, seconds: dict[tuple[str, str], np.ndarray], flops: dict[str, float]
) -> None:
    """Prints median times, and medians of the ratios within a turn."""
    print(f"{config.variant}, batch {config.batch_size}, medians of {config.repeats} turns")
    print(f"{'':24}      ms  images/s  GFLOP/s  share of product  x float32")
    for (what, precision), times in seconds.items():
        peak = flops["matrix product"] / seconds["matrix product", precision]
        speed = flops[what] / times
        ratio = np.median(seconds[what, "float32"] / times)
        images = config.batch_size / np.median(times)
        print(
            f"{what:15}{precision:9}{np.median(times) * 1e3:8.0f}"
            f"{'' if what == 'matrix product' else f'{images:.2f}':>10}"
            f"{np.median(speed) / 1e9:9.0f}{np.median(speed / peak):18.0%}{ratio:11.2f}"
        )


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
