"""The training loop: exact over kills, honest about NaN, the same on one device and on two."""

import csv
import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from kptkit.errors import InputError
from kptkit.train import loop as train
from kptkit.train.checkpoint import Checkpoints, named_variables
from kptkit.train.optimizer import Adam
from kptkit.train.step import TrainStep
from kptkit.weights.arrays import load_arrays

pytestmark = pytest.mark.usefixtures("grappler")

EPOCHS, STEPS, BATCH = 4, 5, 4


def network():
    keras.utils.set_random_seed(7)
    image = keras.Input((6, 6, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv1")(image)
    x = keras.layers.BatchNormalization(name="bn1", momentum=0.9)(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    return keras.Model(image, keras.layers.Dense(2, name="final_layer")(x))


def batches(start_step):
    """Pure noise that depends on the step alone."""

    def batch(step):
        seed = tf.stack([step, 3])
        image = tf.random.stateless_uniform((BATCH, 6, 6, 3), seed)
        ids = tf.range(step * BATCH, (step + 1) * BATCH)
        return {"image": image, "target": image[:, 0, 0, :2], "sample_id": ids}

    return tf.data.Dataset.range(start_step, EPOCHS * STEPS).map(batch)


def sample_loss(batch, outputs):
    return tf.reduce_mean(tf.square(outputs - batch["target"]), axis=-1)


def make_step(strategy=None, learning_rate=1e-2, ema_decay=0.9, **options):
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = network()
        optimizer = Adam(learning_rate, epsilon=1e-8)
    return TrainStep(model, optimizer, sample_loss, strategy, ema_decay, **options)


CONFIG = train.LoopConfig(STEPS, EPOCHS, BATCH, evaluate_every=2, best_by="score")


def run(folder, step=None, evaluate=None):
    train.set_determinism(seed=7, deterministic=False)
    step = step or make_step()
    score = {"score": 0.5}
    metrics = train.train(step, batches, evaluate or (lambda epoch: score), folder, CONFIG)
    return step, metrics


def losses(folder):
    with open(folder / "history.csv") as file:
        return [row["loss"] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    step, _ = run(folder)
    return folder, step


def test_history_and_files(whole):
    folder, _ = whole
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["score"] for row in rows] == ["", "0.5", "", "0.5"]
    assert json.loads((folder / "metrics.json").read_text())["best"] == {"score": 0.5}
    assert {"best.npz", "last.npz", "history.csv", "metrics.json"} <= set(os.listdir(folder))
    assert len(os.listdir(folder / "checkpoints")) == 2


def test_the_first_loss_is_the_arithmetic_mean(tmp_path):
    step = make_step(ema_decay=0.0)
    batch = next(iter(batches(0)))
    outputs = step.model(batch["image"], training=True).numpy()
    expected = np.mean((outputs - batch["target"].numpy()) ** 2)
    np.testing.assert_allclose(step(batch), expected, rtol=1e-5)


def test_averages_follow_the_formula():
    step = make_step(ema_decay=0.9)
    kernel = step.model.get_layer("conv1").kernel
    average = kernel.numpy()
    for index, batch in enumerate(batches(0).take(3), start=1):
        step(batch)
        decay = min(0.9, (1 + index) / (10 + index))
        average = decay * average + (1 - decay) * kernel.numpy()
    own = kernel.numpy()
    with step.averaged():
        np.testing.assert_allclose(kernel, average, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(kernel, own)


PROGRAM = """
import sys; sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
import test_loop
print("start", flush=True)
test_loop.run(Path(sys.argv[1]))
"""


def child(folder):
    tests = os.path.dirname(__file__)
    program = PROGRAM.format(tests=tests, root=os.path.dirname(os.path.dirname(tests)))
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize(
    ("number", "seconds"), [(signal.SIGKILL, 1.5), (signal.SIGKILL, 2.5), (signal.SIGTERM, 2.0)]
)
def test_a_killed_run_goes_on_to_the_same_bits(whole, tmp_path, number, seconds):
    with child(tmp_path) as process:
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(number)
        process.communicate()
    if number == signal.SIGTERM:
        assert process.returncode in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    run(tmp_path)
    assert losses(tmp_path) == losses(whole[0])
    for name in ("best.npz", "last.npz"):
        mine, theirs = (load_arrays(f / name) for f in (tmp_path, whole[0]))
        assert all((mine[key] == theirs[key]).all() for key in theirs)


def crash_points(folder, monkeypatch, calls):
    """Runs until the n-th rename or write of a checkpoint, and 'dies' there."""
    step = make_step()
    count = 0
    original = os.fsync

    def fsync(handle):
        nonlocal count
        count += 1
        if count == calls:
            raise KeyboardInterrupt  # nothing of the loop runs after it
        original(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    try:
        run(folder, step)
    except KeyboardInterrupt:
        pass
    finally:
        monkeypatch.setattr(os, "fsync", original)
    return count >= calls


@pytest.mark.parametrize("calls", [1, 2, 5, 8, 13, 21, 34])
def test_a_death_inside_a_save_costs_nothing(whole, tmp_path, monkeypatch, calls):
    assert crash_points(tmp_path, monkeypatch, calls)
    run(tmp_path)
    assert losses(tmp_path) == losses(whole[0])
    mine, theirs = (load_arrays(f / "last.npz") for f in (tmp_path, whole[0]))
    assert all((mine[key] == theirs[key]).all() for key in theirs)


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(whole, tmp_path, capsys):
    def stop(epoch):
        if epoch == 4:
            raise KeyboardInterrupt
        return {"score": 0.5}

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, evaluate=stop)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1] / "state.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    run(tmp_path)
    assert "damaged" in capsys.readouterr().out
    assert losses(tmp_path) == losses(whole[0])


def test_damaged_checkpoints_only_are_an_error(tmp_path):
    variable = keras.Variable([1.0, 2.0])
    checkpoints = Checkpoints(tmp_path, named_variables("model", [variable]))
    assert checkpoints.restore() == (0, {}, [])
    checkpoints.save(3, {"a": 0.1})
    variable.assign([0.0, 0.0])
    assert checkpoints.restore() == (3, {"a": 0.1}, [])
    np.testing.assert_array_equal(variable, [1.0, 2.0])
    (tmp_path / "step-00000003" / "state.json").write_text("{")
    with pytest.raises(InputError, match="all 1 checkpoints are damaged"):
        checkpoints.restore()


def test_nan_stops_with_step_and_samples_and_keeps_the_best(tmp_path):
    step = make_step()

    def poisoned(batch, outputs):
        late = tf.cast(batch["sample_id"] >= 40, tf.float32)
        return sample_loss(batch, outputs) + 0 * tf.sqrt(-late)

    step.sample_loss = poisoned
    with pytest.raises(InputError, match=r"step 11: the loss is nan on the samples \[40, 41"):
        run(tmp_path, step)
    assert np.isfinite(load_arrays(tmp_path / "best.npz")["conv1/kernel"]).all()


def test_nan_is_never_best(tmp_path):
    scores = {2: math.nan, 4: 0.1}
    _, metrics = run(tmp_path, evaluate=lambda epoch: {"score": scores[epoch]})
    assert metrics == {"score": 0.1}


def test_xla_and_graph_agree():
    plain, compiled = make_step(), make_step(jit=True)
    for batch in batches(0).take(3):
        np.testing.assert_allclose(plain(batch), compiled(batch), rtol=1e-4)


def test_two_devices_are_one():
    """In a process of its own: logical devices can only be made before the first tensor."""
    tests = os.path.dirname(__file__)
    program = f"""
import sys; sys.path[:0] = [{tests!r}, {os.path.dirname(os.path.dirname(tests))!r}]
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import test_loop
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for strategy in (tf.distribute.get_strategy(), two):
    step = test_loop.make_step(strategy)
    for layer in step.model.layers:
        layer.synchronized = True
    data = iter(strategy.experimental_distribute_dataset(test_loop.batches(0)))
    print("losses", *[float(step(next(data))) for _ in range(10)])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (np.array(line.split()[1:], float) for line in re.findall("losses.*", done.stdout))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_terms_of_the_loss_are_added_up_learned_and_logged(tmp_path):
    """Two terms of half the loss each are the loss, to the bit."""
    whole = run(tmp_path / "whole")
    step = make_step()

    def halves(batch, outputs):
        loss = sample_loss(batch, outputs)
        return tf.stack([loss / 2, loss / 2], axis=1)

    step.sample_loss = halves
    config = dataclasses.replace(CONFIG, loss_terms=("first", "second"))
    train.train(step, batches, lambda epoch: {"score": 0.5}, tmp_path / "terms", config)
    with open(tmp_path / "terms" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["loss"] for row in rows] == losses(tmp_path / "whole")
    for row in rows:
        assert row["first"] == row["second"]
        assert float(row["first"]) * 2 == pytest.approx(float(row["loss"]))
    for ours, theirs in zip(step.model.variables, whole[0].model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("smallest", "best"), [(False, 0.9), (True, 0.1)])
def test_best_is_the_largest_or_the_smallest(tmp_path, smallest, best):
    scores = {2: 0.9, 4: 0.1}
    config = dataclasses.replace(CONFIG, smallest_is_best=smallest)
    metrics = train.train(
        make_step(), batches, lambda epoch: {"score": scores[epoch]}, tmp_path, config
    )
    assert metrics["score"] == best
