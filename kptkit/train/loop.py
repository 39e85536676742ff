"""The training loop of every model: a killed and restarted run gives the same bits.

The loop's only state is its checkpoint (model, optimizer, moving average, step, history), and the
data are a pure function of the step, so a run that is killed anywhere and started again continues
exactly as it would have.
"""

import csv
import io
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kptkit.errors import InputError
from kptkit.files import remove_unfinished, write_text
from kptkit.sealed import write_sealed
from kptkit.system import STOP_SIGNALS
from kptkit.train.checkpoint import Checkpoints, named_variables
from kptkit.train.step import TrainStep
from kptkit.weights.assign import save_weights

Metrics = dict[str, float]


@dataclass(frozen=True)
class LoopConfig:
    """How long a run is, and when it evaluates and saves."""

    steps_per_epoch: int
    epochs: int
    batch_size: int
    evaluate_every: int = 1
    """Epochs between evaluations; the last epoch is always evaluated."""
    checkpoint_seconds: float = 300
    best_by: str = "AP"
    """The metric whose largest value marks the best weights."""
    smallest_is_best: bool = False
    """Whether the smallest value of `best_by` marks the best weights instead."""
    loss_terms: tuple[str, ...] = ()
    """Names of the terms of the loss, for the history; empty if there is only one."""


@dataclass
class Progress:
    """The state of the loop besides variables; part of every checkpoint."""

    history: list[dict[str, float]] = field(default_factory=list)
    epoch_losses: list[list[float]] = field(default_factory=list)
    """The loss terms of each step of this epoch."""
    best: float | None = None
    best_metrics: Metrics = field(default_factory=dict)

    def saved(self) -> dict[str, Any]:
        """The state as JSON types, for `SavedProgress`."""
        history = [
            {name: value if math.isfinite(value) else str(value) for name, value in row.items()}
            for row in self.history
        ]
        return vars(self) | {"history": history}


@dataclass(frozen=True)
class SavedProgress:
    """`Progress` in a checkpoint: JSON has no number for a metric that is not finite.

    Whole numbers stay whole, so that a resumed run writes the same history.
    """

    history: list[dict[str, int | float | Literal["nan", "inf", "-inf"]]] = field(
        default_factory=list
    )
    epoch_losses: list[list[int | float]] = field(default_factory=list)
    best: int | float | None = None
    best_metrics: dict[str, int | float] = field(default_factory=dict)

    def progress(self) -> Progress:
        """The state as it was before it was saved."""
        history = [
            {name: float(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in self.history
        ]
        return Progress(history, self.epoch_losses, self.best, self.best_metrics)


def train(
    step: TrainStep,
    batches: Callable[[int], tf.data.Dataset],
    evaluate: Callable[[int], Metrics],
    folder: Path,
    config: LoopConfig,
) -> Metrics:
    """Trains, or resumes training, up to the last epoch; returns the best metrics.

    Args:
        step: model, optimizer and loss.
        batches: the data from a given global step on; elements are dicts with `image` and
            `sample_id`.
        evaluate: returns the metrics of the model after an epoch; where a moving average is kept,
            the model holds it during the call.
        folder: the run folder; the caller holds its lock.
        config: lengths and intervals.

    Raises:
        InputError: the loss is not finite (the message has step and sample ids), or all checkpoints
            are damaged.
        SystemExit: 128 + signal number after Ctrl+C or SIGTERM; a checkpoint is written first.
    """
    remove_unfinished(folder)
    remove_unfinished(folder / "checkpoints")
    checkpoints = Checkpoints(
        folder / "checkpoints",
        named_variables("model", step.model.variables)
        | named_variables("optimizer", step.optimizer.variables)
        | named_variables("average", step.averages),
    )
    done, saved, warnings = checkpoints.restore(SavedProgress)
    progress = saved.progress()
    for warning in warnings:
        print(f"warning: {warning}")
    _check_place(done, progress, config, checkpoints.folder)
    if len(progress.history) < config.epochs:
        if done:
            print(f"resuming after step {done} of {config.steps_per_epoch * config.epochs}")
        _Loop(step, evaluate, folder, config, checkpoints, progress, done).run(batches)
    with step.averaged():
        save_weights(step.model, folder / "last.npz")
    return progress.best_metrics


def _check_place(done: int, progress: Progress, config: LoopConfig, folder: Path) -> None:
    """Checks that a checkpoint's step, history and losses are of the same place in the run."""
    of_this_epoch = done - len(progress.history) * config.steps_per_epoch
    complete = len(progress.history) <= config.epochs
    if len(progress.epoch_losses) != of_this_epoch or not complete:
        raise InputError(
            f"{folder}: step {done} does not fit the epochs of this run; remove the folder to "
            "start over"
        )


class _Loop:
    """The steps from `done` to the end."""

    def __init__(
        self,
        step: TrainStep,
        evaluate: Callable[[int], Metrics],
        folder: Path,
        config: LoopConfig,
        checkpoints: Checkpoints,
        progress: Progress,
        done: int,
    ):
        self.step, self.evaluate, self.folder, self.config = step, evaluate, folder, config
        self.checkpoints, self.progress, self.done = checkpoints, progress, done
        self.compiled = False
        self.summary = tf.summary.create_file_writer(str(folder / "tensorboard"))
        self.signal = 0

    def run(self, batches: Callable[[int], tf.data.Dataset]) -> None:
        config = self.config
        handlers = {s: signal.signal(s, self._on_signal) for s in STOP_SIGNALS}
        try:
            data = self.step.strategy.experimental_distribute_dataset(batches(self.done))
            iterator = iter(data)
            for epoch in range(len(self.progress.history), config.epochs):
                self._epoch(epoch, iterator)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self.summary.close()

    def _epoch(self, epoch: int, iterator: Any) -> None:
        config = self.config
        started = last_saved = time.monotonic()
        first, waited, elapsed, pending = self.done, 0.0, 1e-9, None
        bar = tqdm(
            total=config.steps_per_epoch,
            initial=self.done - epoch * config.steps_per_epoch,
            desc=f"epoch {epoch + 1}/{config.epochs}",
            unit="step",
            leave=False,
            dynamic_ncols=True,
        )
        while self.done < (epoch + 1) * config.steps_per_epoch:
            before = time.monotonic()
            batch = next(iterator)
            waited += time.monotonic() - before
            loss = self.step(batch)
            # The previous step's loss is read while this one runs, so the device never waits.
            if pending is not None:
                self._record(*pending)
            self.done += 1
            pending = (self.done, loss, batch)
            elapsed = time.monotonic() - started
            bar.update()
            if self.compiled:
                figures = self._figures(self.done - first, waited, elapsed)
                finish = self._finish(figures["img/s"])
                bar.set_postfix(figures | {"finish": finish}, refresh=False)
            else:  # this step was compiled first, so its time says nothing about the others'
                loss.numpy()
                self.compiled = True
                first, waited, started = self.done, 0.0, time.monotonic()
            if self.signal or time.monotonic() - last_saved > config.checkpoint_seconds:
                self._record(*pending)
                pending = None
                self._save()
                last_saved = time.monotonic()
        if pending is not None:
            self._record(*pending)
        bar.refresh()  # tqdm does not draw quick last steps by itself
        bar.close()
        # If there was only the step that was compiled, its time is all that is known.
        self._end_epoch(epoch, self._figures(max(1, self.done - first), waited, elapsed))

    def _figures(self, steps: int, waited: float, elapsed: float) -> dict[str, float]:
        losses = self.progress.epoch_losses[-50:]
        return {
            "loss": float(f"{_mean([sum(terms) for terms in losses]):.4g}"),
            "img/s": round(steps * self.config.batch_size / elapsed, 1),
            "data_wait": round(waited / elapsed, 3),
        }

    def _finish(self, images_per_second: float) -> str:
        """The projected date and time of the last step, without evaluations."""
        steps = self.config.steps_per_epoch * self.config.epochs - self.done
        seconds = steps * self.config.batch_size / max(images_per_second, 1e-9)
        return f"{datetime.now() + timedelta(seconds=seconds):%d %b %H:%M}"

    def _record(self, number: int, loss: tf.Tensor, batch: Any) -> None:
        terms = np.atleast_1d(loss.numpy()).tolist()
        value = sum(terms)
        if not math.isfinite(value):
            ids = self.step.strategy.experimental_local_results(batch["sample_id"])
            names = [int(i) for part in ids for i in part.numpy()]
            raise InputError(
                f"{self.folder}: step {number}: the loss is {value} on the samples {names}; "
                "nothing was saved after the last checkpoint; lower the learning rate, or look at "
                "these samples"
            )
        self.progress.epoch_losses.append(terms)

    def _end_epoch(self, epoch: int, figures: dict[str, float]) -> None:
        config, progress = self.config, self.progress
        row: dict[str, float] = {
            "epoch": epoch + 1,
            "step": self.done,
            "loss": _mean([sum(terms) for terms in progress.epoch_losses]),
            **self._terms(),
            "learning_rate": float(self.step.optimizer.learning_rate.numpy()),
            "images_per_second": figures["img/s"],
            "data_wait": figures["data_wait"],
        }
        progress.epoch_losses = []
        last = epoch + 1 == config.epochs
        if last or (epoch + 1) % config.evaluate_every == 0:
            with self.step.averaged(), self.summary.as_default(step=epoch + 1):
                metrics = self.evaluate(epoch + 1)
                self._keep_best(metrics)
            row |= metrics
        progress.history.append(row)
        self._write_history()
        self._save()
        self._print(row)

    def _terms(self) -> Metrics:
        """The mean of each loss term over this epoch, if the loss has several."""
        columns = zip(*self.progress.epoch_losses, strict=True)
        names = self.config.loss_terms
        return {name: _mean(c) for name, c in zip(names, columns, strict=True)} if names else {}

    def _keep_best(self, metrics: Metrics) -> None:
        value = metrics[self.config.best_by]
        # Comparisons with NaN are false, so an undefined metric is never the best.
        best = self.progress.best
        better = best is None or (value < best if self.config.smallest_is_best else value > best)
        if better:
            if math.isfinite(value):
                self.progress.best = value
            self.progress.best_metrics = {k: v for k, v in metrics.items() if math.isfinite(v)}
            save_weights(self.step.model, self.folder / "best.npz")

    def _write_history(self) -> None:
        rows = self.progress.history
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.folder / "history.csv", text.getvalue())
        last = {k: v for k, v in rows[-1].items() if math.isfinite(v)}
        write_sealed(
            self.folder / "metrics.json", {"best": self.progress.best_metrics, "last": last}
        )
        with self.summary.as_default(step=rows[-1]["epoch"]):
            for key, value in rows[-1].items():
                tf.summary.scalar(key, value)

    def _save(self) -> None:
        self.checkpoints.save(self.done, self.progress.saved())
        if self.signal:
            tqdm.write(f"stopped after step {self.done}; the same command resumes from there")
            raise SystemExit(128 + self.signal)

    def _print(self, row: dict[str, float]) -> None:
        metric = self.config.best_by
        judged = f"  {metric} {row[metric]:.3f}" if metric in row else ""
        print(
            f"epoch {row['epoch']:.0f}/{self.config.epochs}  loss {row['loss']:.5f}{judged}  "
            f"{row['images_per_second']:.1f} images/s  {row['data_wait']:.0%} waiting for data  "
            f"finish about {self._finish(row['images_per_second'])}",
            flush=True,
        )

    def _on_signal(self, number: int, _frame: Any) -> None:
        self.signal = number


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def devices(
    strategy: Literal["one", "mirrored"],
    xla: Literal["auto", "on", "off"],
    synchronized_batch_norm: bool = False,
) -> tuple[tf.distribute.Strategy, bool]:
    """The devices that flags ask for, and whether XLA compiles the step; prints both."""
    mirrored = strategy == "mirrored"
    devices = tf.distribute.MirroredStrategy() if mirrored else tf.distribute.get_strategy()
    # By default XLA is used on a GPU, unless batch statistics are shared between GPUs.
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    jit = {"auto": has_gpu and not synchronized_batch_norm, "on": True, "off": False}[xla]
    print(describe_device(devices, jit))
    return devices, jit


def describe_device(strategy: tf.distribute.Strategy, jit: bool) -> str:
    """One line naming the device of the run, with a warning if a GPU is not used."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and os.path.exists("/proc/driver/nvidia/version"):
        return (
            "device: CPU. warning: this machine has an NVIDIA GPU that TensorFlow does not see; "
            'pip install "kptkit[gpu]" brings the CUDA libraries'
        )
    names = [tf.config.experimental.get_device_details(g).get("device_name", "GPU") for g in gpus]
    where = ", ".join(names) if names else f"CPU, {os.cpu_count()} cores"
    compiled = "compiled by XLA" if jit else "TensorFlow graph"
    return f"device: {where}; {strategy.num_replicas_in_sync} replica(s); {compiled}"


def set_determinism(seed: int, deterministic: bool) -> None:
    """Seeds the initial weights; makes CPU runs, and with `deterministic` GPU runs, bit-identical.

    For that Grappler is turned off: on large networks its memory optimizer adds gradients in the
    order in which they arrive. Without it W32's first step on a CPU takes a third less time, and
    later ones the same.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if deterministic or not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
