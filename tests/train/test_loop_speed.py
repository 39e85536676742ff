"""What the loop says of its speed, by a clock that each step moves on."""

import csv
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from kptkit.train import loop
from kptkit.train.optimizer import Adam
from kptkit.train.step import TrainStep

BATCH = 4


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, ["0.0", "4.0"]),  # 4 pictures in the 100 s of the step that is compiled: all one knows
        (5, ["4.0", "4.0"]),
    ],
)
def test_the_step_that_is_compiled_does_not_count(tmp_path, monkeypatch, grappler, steps, expected):
    clock = [0.0]
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    image = keras.Input((2, 2, 3))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    model = keras.Model(image, keras.layers.Dense(1, name="final_layer")(model(image)))
    step = TrainStep(
        model,
        Adam(1e-3, epsilon=1e-8),
        lambda batch, outputs: tf.square(outputs[:, 0]),
        tf.distribute.get_strategy(),
    )
    learn = step.__call__

    def timed(self, batch):
        clock[0] += 1 if clock[0] else 100
        return learn(batch)

    monkeypatch.setattr(TrainStep, "__call__", timed)

    def batches(start_step):
        one = {"image": tf.zeros((BATCH, 2, 2, 3)), "sample_id": tf.range(BATCH)}
        return tf.data.Dataset.from_tensors(one).repeat(2 * steps - start_step)

    config = loop.LoopConfig(steps, epochs=2, batch_size=BATCH, best_by="score")
    loop.train(step, batches, lambda _: {"score": 1.0}, tmp_path, config)
    with open(tmp_path / "history.csv") as file:
        assert [row["images_per_second"] for row in csv.DictReader(file)] == expected
