"""The training loop: exact over kills, honest about NaN, the same on one device and on two."""

import csv
import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kptkit.arrays import save_arrays
from kptkit.errors import InputError
from kptkit.files import sha256
from kptkit.sealed import convert, sealed_text
from kptkit.train import loop as train
from kptkit.train.checkpoint import Checkpoints, named_variables
from kptkit.train.loop import Progress, SavedProgress
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


@dataclass(frozen=True)
class Noted:
    """The state of some loop."""

    a: float = 0.0


@pytest.fixture
def variable():
    return keras.Variable([1.0, 2.0])


@pytest.fixture
def checkpoints(tmp_path, variable):
    """Two checkpoints, of steps 3 and 100,000,000; the variable is 3 and 1 afterwards."""
    checkpoints = Checkpoints(tmp_path, named_variables("model", [variable]))
    assert checkpoints.restore(Noted) == (0, Noted(), [])
    checkpoints.save(3, {"a": 0.1})
    variable.assign([0.0, 5.0])
    checkpoints.save(100_000_000, {"a": 0.2})
    variable.assign([3.0, 1.0])
    return checkpoints


def test_the_newest_of_two_checkpoints_is_restored(checkpoints, variable):
    assert checkpoints.restore(Noted) == (100_000_000, Noted(0.2), [])
    np.testing.assert_array_equal(variable, [0.0, 5.0])


def digit(folder):
    path = folder / "state.json"
    path.write_text(path.read_text().replace('"step": 1', '"step": 2'))


def key(folder):
    path = folder / "state.json"
    path.write_text(path.read_text().replace('"sha256"', '"sha257"'))


def resealed(**changes):
    def change(folder):
        content = json.loads((folder / "state.json").read_text()) | changes
        content.pop("seal")
        (folder / "state.json").write_text(sealed_text(content))

    return change


def other_arrays(**arrays):
    def change(folder):
        save_arrays(folder / "state.npz", arrays)
        resealed(sha256=sha256(folder / "state.npz"))(folder)

    return change


def instead(name, make):
    def change(folder):
        (folder / name).unlink()
        make(folder / name)

    return change


DAMAGES = {
    "another step": (digit, "state.json: altered"),
    "another key": (key, "state.json: altered"),
    "cut": (lambda f: os.truncate(f / "state.json", 50), "state.json: line 1"),
    "empty": (lambda f: os.truncate(f / "state.json", 0), "state.json: empty"),
    "not UTF-8": (lambda f: (f / "state.json").write_bytes(b"{\xff}"), "is not UTF-8"),
    "no seal": (lambda f: (f / "state.json").write_text("{}"), "state.json: no seal"),
    "a list": (lambda f: (f / "state.json").write_text("[1]"), "state.json: no seal"),
    "deep": (lambda f: (f / "state.json").write_text("[" * 100_000), "nested too deeply"),
    "arrays cut": (lambda f: os.truncate(f / "state.npz", 200), "SHA-256 of state.npz"),
    "arrays missing": (lambda f: (f / "state.npz").unlink(), "No such file"),
    "a folder": (instead("state.npz", Path.mkdir), "not a regular file"),
    "a pipe": (instead("state.npz", os.mkfifo), "not a regular file"),
    "a pipe as state": (instead("state.json", os.mkfifo), "not a regular file"),
    # Made on purpose: the seal is right.
    "step of another": (resealed(step=3), "step 3; expected that of the folder"),
    "step a text": (resealed(step="3"), "step: expected int, got str"),
    "step negative": (resealed(step=-1), "step: -1; expected a whole number"),
    "no progress": (resealed(progress=None), "progress: expected object, got null"),
    "other progress": (resealed(progress={"a": [1]}), "a: expected float, got array"),
    "more progress": (resealed(progress={"b": 1}), "b: unknown"),
    "other names": (other_arrays(x=np.zeros(2, np.float32)), "do not match, such as model/0"),
    "other shape": (other_arrays(**{"model/0": np.zeros(3, np.float32)}), r"of shape \(3,\)"),
    "other type": (other_arrays(**{"model/0": np.array(["a", "b"])}), "model/0 is <U1"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_a_checkpoint_is_said_and_the_one_before_is_used(checkpoints, variable, damage):
    spoil, message = DAMAGES[damage]
    newest = checkpoints.folder / "step-100000000"
    spoil(newest)
    step, noted, [warning] = checkpoints.restore(Noted)
    assert (step, noted) == (3, Noted(0.1))
    np.testing.assert_array_equal(variable, [1.0, 2.0])
    assert warning.startswith(f"{newest}: damaged, trying the one before it (")
    assert re.search(message, warning)
    assert "\n" not in warning


def test_every_flipped_bit_of_a_checkpoints_state_is_found(checkpoints):
    path = checkpoints.folder / "step-100000000" / "state.json"
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in (1, 4, 32):
            spoilt = bytearray(content)
            spoilt[place] ^= bit
            path.write_bytes(spoilt)
            step, noted, _ = checkpoints.restore(Noted)
            # A blank between entries that becomes another is the same content.
            assert step == 3 or (noted == Noted(0.2) and not spoilt[place : place + 1].strip())


def test_damaged_checkpoints_only_are_an_error(checkpoints):
    for path in checkpoints.folder.glob("step-*/state.json"):
        path.write_text("{")
    with pytest.raises(InputError, match="all 2 checkpoints are damaged"):
        checkpoints.restore(Noted)


def test_other_names_are_no_checkpoints(checkpoints):
    for name in ("step-", "step-x", "step-99999999x", "step-000000000000000000000001"):
        (checkpoints.folder / name).mkdir()
    assert checkpoints.restore(Noted)[0] == 100_000_000


def test_progress_is_saved_exactly_with_what_is_not_finite():
    rows = [{"epoch": 1, "a": 0.1, "b": math.inf}, {"a": 1.0, "b": -math.inf, "c": math.nan}]
    progress = Progress(rows, [[0.1 + 0.2, 0]], 0.3, {"a": 1e-300, "count": 3})
    content = json.loads(sealed_text(progress.saved()))
    del content["seal"]
    found = convert(content, SavedProgress, "x", "y").progress()
    assert repr(found) == repr(progress)


@pytest.mark.parametrize("losses", [0, 2, 9])
def test_a_checkpoint_of_another_place_in_the_run_is_refused(whole, tmp_path, losses):
    shutil.copytree(whole[0] / "checkpoints", tmp_path / "checkpoints")
    for path in (tmp_path / "checkpoints").glob("step-*/state.json"):
        content = json.loads(path.read_text())
        del content["seal"]
        content["progress"]["history"].pop()
        content["progress"]["epoch_losses"] = [[0.5]] * losses
        path.write_text(sealed_text(content))
    with pytest.raises(InputError, match="does not fit the epochs of this run"):
        run(tmp_path)


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
