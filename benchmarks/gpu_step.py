"""HRNet compiled for an accelerator: images per second, and the share of the chip's peak.

    python benchmarks/gpu_step.py
    KERAS_BACKEND=jax python benchmarks/gpu_step.py

runs with XLA on the device that Keras's backend finds; JAX runs the same `keras.ops` code on
machines without TensorFlow (with Keras's own Adam). It measures forward, flip test with decoding,
and a training step with encoding, loss and Adam, for W32 and W48, both input sizes, float32 and
bfloat16. Compilation takes most of the half hour; `--variants w32` and the like run a part. Without
an accelerator only the smallest case runs, on the CPU.

The shares compare the minimum arithmetic and traffic (benchmarks/counting.py) with the chip's peaks
(benchmarks/chips.py); `of bound` is the larger of the two minimum times over the measured time.
Images are on the device beforehand: transfers and the data pipeline are not included.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kptkit import flags, quiet

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    quiet.import_tensorflow()

import keras
import numpy as np
from chips import Chip, find_chip
from counting import NetworkCounts, Work, count_network

from kptkit.losses import HeatmapLoss
from kptkit.models.sizes import HRNetVariant
from kptkit.network import PoseNetwork, build_model, crops_to_heatmaps, heatmaps_to_crop
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.known import COCO_17

REPEATS = 7
# Minimum duration of a repeat, so that clock resolution and launch overhead do not matter.
REPEAT_SECONDS = 0.3
CPU_BATCH_SIZE = 2

Batch = dict[str, np.ndarray]
# By name: a function that runs the computation n times and returns when the device is done.
Programs = dict[str, Callable[[int], None]]


@dataclass(frozen=True)
class Config:
    """Which cases to run, and the chip's peaks if they are not in chips.py."""

    variants: tuple[HRNetVariant, ...] = ("w32", "w48")
    sizes_wh: tuple[tuple[int, int], ...] = ((192, 256), (288, 384))
    precisions: tuple[Literal["float32", "mixed_bfloat16"], ...] = ("float32", "mixed_bfloat16")
    batch_size: int = 64
    peak_tflops: tuple[float, float] | None = None
    """Peaks of float32 convolutions (TF32 where it is used) and of bfloat16."""
    peak_gbs: float | None = None
    """Memory bandwidth in GB/s."""


@dataclass(frozen=True)
class Backend:
    """Keras's backend on this machine."""

    name: str
    accelerator: str | None
    failure: type[Exception]
    """Raised if a case does not fit into the device's memory."""
    programs: Callable[[keras.Model, PoseRecipe, Batch], Programs]


def main(config: Config) -> None:
    backend = {"tensorflow": tensorflow_backend, "jax": jax_backend}[keras.backend.backend()]()
    if backend.accelerator is None:
        print(f"{backend.name} finds no accelerator: the smallest case, on the CPU")
        config = smallest_case(config)
    chip = peaks(config, backend.accelerator or "")
    known = (
        f"peaks {chip.float32_tflops:g} TFLOP/s float32, {chip.bfloat16_tflops:g} bfloat16, "
        f"{chip.gb_per_second:g} GB/s"
        if chip
        else "peaks unknown, shares left out (--peak-tflops and --peak-gbs)"
    )
    print(f"{backend.accelerator or 'CPU'}, {backend.name}, Keras {keras.__version__}; {known}")
    print(
        "network size    type     program      batch images/s ms/batch GFLOP/img MB/img"
        "  TFLOP/s share   GB/s share of bound compile s"
    )
    for recipe in cases(config):
        keras.utils.clear_session()
        model = build_model(recipe, COCO_17.num_keypoints)
        counts = count_network(model)
        label = "{} {}x{} {}".format(
            recipe.variant.ljust(7),
            *reversed(recipe.input_size_wh),
            recipe.precision.removeprefix("mixed_").ljust(8),
        )
        try:
            for name, program in backend.programs(model, recipe, random_batch(recipe)).items():
                first, seconds = seconds_per_call(program)
                work = program_work(name, counts, recipe)
                row = format_row(work, seconds, recipe, chip)
                print(f"{label} {name:12} {row} {first:9.1f}", flush=True)
        except backend.failure as error:
            print(f"{label} does not run: {str(error).splitlines()[0]}", flush=True)


def smallest_case(config: Config) -> Config:
    """The first of all cases in `config`, on a few images."""
    return replace(
        config,
        variants=config.variants[:1],
        sizes_wh=config.sizes_wh[:1],
        precisions=config.precisions[:1],
        batch_size=min(config.batch_size, CPU_BATCH_SIZE),
    )


def peaks(config: Config, device_name: str) -> Chip | None:
    """Peaks from the flags, or else from the table; None: unknown."""
    if config.peak_tflops and config.peak_gbs:
        return Chip(*config.peak_tflops, config.peak_gbs)
    return find_chip(device_name)


def cases(config: Config) -> Iterator[PoseRecipe]:
    """The papers' recipes, read by DARK."""
    for variant in config.variants:
        for size_wh in config.sizes_wh:
            for precision in config.precisions:
                yield PoseRecipe(
                    variant=variant,
                    input_size_wh=size_wh,
                    precision=precision,
                    batch_size=config.batch_size,
                    decoder="dark",
                )


def random_batch(recipe: PoseRecipe) -> Batch:
    """Crops of noise with random keypoints."""
    rng = np.random.default_rng(0)
    (width, height), size = recipe.input_size_wh, recipe.batch_size
    keypoints = rng.uniform(0, (width, height, 1), (size, COCO_17.num_keypoints, 3))
    return {
        "image": rng.integers(0, 256, (size, height, width, 3), np.uint8),
        "keypoints": keypoints.astype(np.float32),
    }


def program_work(name: str, counts: NetworkCounts, recipe: PoseRecipe) -> Work:
    """The work of one call of a program; decoding the heatmaps is negligible."""
    if name == "training":
        return counts.training_step(recipe.batch_size, recipe.precision)
    images = {"forward": 1, "flip, decode": 2}[name] * recipe.batch_size
    return counts.forward(images, recipe.precision)


def seconds_per_call(program: Callable[[int], None]) -> tuple[float, float]:
    """Seconds of the first call, with compilation, and the median of the later ones."""

    def seconds(times: int) -> float:
        start = time.perf_counter()
        program(times)
        return (time.perf_counter() - start) / times

    first = seconds(1)
    seconds(2)
    times = max(1, round(REPEAT_SECONDS / seconds(1)))
    return first, statistics.median(seconds(times) for _ in range(REPEATS))


def format_row(work: Work, seconds: float, recipe: PoseRecipe, chip: Chip | None) -> str:
    """A row of speed, counted work, and its shares of the peaks."""
    size = recipe.batch_size
    tflops, gbs = work.flops / seconds / 1e12, work.bytes / seconds / 1e9
    shares = ["-", "-", "-"]
    if chip:
        half = recipe.precision == "mixed_bfloat16"
        peak = chip.bfloat16_tflops if half else chip.float32_tflops
        computing, moving = tflops / peak, gbs / chip.gb_per_second
        shares = [f"{share:.0%}" for share in (computing, moving, max(computing, moving))]
    return (
        f"{size:5} {size / seconds:8.1f} {seconds * 1e3:8.1f} {work.flops / size / 1e9:9.1f} "
        f"{work.bytes / size / 1e6:6.1f} {tflops:8.2f} {shares[0]:>5} {gbs:6.0f} {shares[1]:>5} "
        f"{shares[2]:>8}"
    )


def tensorflow_backend() -> Backend:
    """TensorFlow: `tf.function` with XLA, and kptkit's training step and Adam."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu)["device_name"] for gpu in gpus]
    return Backend(
        name=f"TensorFlow {tf.__version__}",
        accelerator=names[0] if names else None,
        failure=tf.errors.ResourceExhaustedError,
        programs=tensorflow_programs,
    )


def tensorflow_programs(model: keras.Model, recipe: PoseRecipe, batch: Batch) -> Programs:
    """The three programs of a recipe, compiled by TensorFlow."""
    import tensorflow as tf

    from kptkit.train.optimizer import Adam
    from kptkit.train.step import TrainStep

    loss = HeatmapLoss(recipe.input_size_wh, recipe.loss, recipe.target)
    step = TrainStep(
        model,
        Adam(recipe.learning_rate, epsilon=1e-8),
        lambda batch, heatmaps: loss.call(batch["keypoints"], heatmaps),
        tf.distribute.get_strategy(),
        jit=True,
    )

    @tf.function(jit_compile=True, autograph=False)
    def forward(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    @tf.function(jit_compile=True, autograph=False)
    def flip_and_decode(images: tf.Tensor) -> tf.Tensor:
        heatmaps = crops_to_heatmaps(PoseNetwork(model, recipe, COCO_17), images)
        return heatmaps_to_crop(heatmaps, recipe)

    def repeated(function: Callable, argument: Any) -> Callable[[int], None]:
        def run(times: int) -> None:
            for _ in range(times):
                function(argument)
            tf.test.experimental.sync_devices()

        return run

    tensors = {name: tf.constant(values) for name, values in batch.items()}
    return {
        "forward": repeated(forward, tensors["image"]),
        "flip, decode": repeated(flip_and_decode, tensors["image"]),
        "training": repeated(step, tensors),
    }


def jax_backend() -> Backend:
    """JAX, without TensorFlow."""
    import jax

    device = jax.devices()[0]
    return Backend(
        name=f"JAX {jax.__version__}",
        accelerator=None if device.platform == "cpu" else device.device_kind,
        failure=jax.errors.JaxRuntimeError,
        programs=jax_programs,
    )


def jax_programs(model: keras.Model, recipe: PoseRecipe, batch: Batch) -> Programs:
    """The three programs of a recipe, compiled by JAX; `training` must run last (see below)."""
    import jax

    loss = HeatmapLoss(recipe.input_size_wh, recipe.loss, recipe.target)
    optimizer = keras.optimizers.Adam(recipe.learning_rate, epsilon=1e-8)
    optimizer.build(model.trainable_variables)

    @jax.jit
    def forward(state: list[jax.Array], images: jax.Array) -> jax.Array:
        with keras.StatelessScope(list(zip(model.variables, state, strict=True))):
            return model(images, training=False)

    @jax.jit
    def flip_and_decode(state: list[jax.Array], images: jax.Array) -> jax.Array:
        with keras.StatelessScope(list(zip(model.variables, state, strict=True))):
            heatmaps = crops_to_heatmaps(PoseNetwork(model, recipe, COCO_17), images)
            return heatmaps_to_crop(heatmaps, recipe)

    def mean_loss(
        weights: list[jax.Array], statistics: list[jax.Array], batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, list[jax.Array]]:
        heatmaps, statistics = model.stateless_call(
            weights, statistics, batch["image"], training=True
        )
        return loss.call(batch["keypoints"], heatmaps).mean(), statistics

    def step(
        weights: list[jax.Array],
        statistics: list[jax.Array],
        moments: list[jax.Array],
        batch: dict[str, jax.Array],
    ) -> tuple[list[jax.Array], list[jax.Array], list[jax.Array]]:
        gradients, statistics = jax.grad(mean_loss, has_aux=True)(weights, statistics, batch)
        weights, moments = optimizer.stateless_apply(moments, gradients, weights)
        return weights, statistics, moments

    # Weights, batch statistics and moments are overwritten in place, so the model is used up.
    step = jax.jit(step, donate_argnums=(0, 1, 2))

    def values(variables: list[keras.Variable]) -> list[jax.Array]:
        return [variable.value for variable in variables]

    def repeated(function: Callable) -> Callable[[int], None]:
        state = values(model.variables)

        def run(times: int) -> None:
            for _ in range(times):
                result = function(state, tensors["image"])
            jax.block_until_ready(result)

        return run

    trained = tuple(
        values(v)
        for v in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    )

    def train(times: int) -> None:
        nonlocal trained
        for _ in range(times):
            trained = step(*trained, tensors)
        jax.block_until_ready(trained)

    tensors = jax.device_put(batch)
    return {
        "forward": repeated(forward),
        "flip, decode": repeated(flip_and_decode),
        "training": train,
    }


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
