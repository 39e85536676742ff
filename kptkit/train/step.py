"""One training step of any model: compiled gradients on every replica, one fused update.

Keras's `fit` can neither compile with XLA under MirroredStrategy nor resume inside an epoch; this
class replaces the part of it that is needed. Gradients are compiled (with XLA on a GPU); the update
runs outside of the compiled function, where variables of several devices may be written.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Batch = dict[str, tf.Tensor]
XLA_REFUSALS = (
    tf.errors.InvalidArgumentError,
    tf.errors.UnimplementedError,
    tf.errors.NotFoundError,
    tf.errors.InternalError,
)
# Maps (batch, model output) to one loss per sample, (B,), or to its terms, (B, T).
SampleLoss = Callable[[Batch, Any], tf.Tensor]


class TrainStep:
    """Called as `step(batch)`: updates the model and returns the mean loss, or its terms.

    Args:
        model: called on `batch["image"]`.
        optimizer: built here, before tracing.
        sample_loss: one loss per sample (B,), to which the model's regularisation losses are added;
            or terms (B, T), whose sum is minimised and whose means are returned.
        strategy: all variables must have been created in its scope.
        ema_decay: decay of the moving average of all weights; 0: no average.
        jit: whether XLA compiles the gradients.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        sample_loss: SampleLoss,
        strategy: tf.distribute.Strategy,
        ema_decay: float = 0.0,
        jit: bool = False,
    ):
        self.model, self.optimizer, self.strategy = model, optimizer, strategy
        self.sample_loss, self.ema_decay, self.jit = sample_loss, ema_decay, jit
        with strategy.scope():
            optimizer.build(model.trainable_variables)
            self.averages = [
                keras.Variable(np.asarray(v), trainable=False, dtype=v.dtype, name=f"ema_{i}")
                for i, v in enumerate(model.variables if ema_decay else [])
            ]
        self._compile()

    def __call__(self, batch: Batch) -> tf.Tensor:
        """Trains on one global batch; returns the mean loss () or the mean terms (T,), float32."""
        return self._step(batch) if self._traced else self._first_step(batch)

    def _first_step(self, batch: Batch) -> tf.Tensor:
        # Garbage collection would scan the growing graph repeatedly: 6 of W32's 36 s of tracing.
        gc.disable()
        try:
            loss = self._step(batch)
        except XLA_REFUSALS as error:
            if not self.jit:
                raise
            reason = str(error).splitlines()[0]
            print(f"XLA cannot compile this step, continuing without it: {reason}")
            self.jit = False
            self._compile()
            loss = self._step(batch)
        finally:
            gc.enable()
        self._traced = True
        return loss

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within this context the model holds the moving average of its weights, if one is kept."""
        own = [np.asarray(v) for v in self.model.variables] if self.averages else []
        for variable, average in zip(self.model.variables, self.averages, strict=bool(own)):
            variable.assign(average)
        try:
            yield
        finally:
            for variable, value in zip(self.model.variables, own, strict=bool(own)):
                variable.assign(value)

    def _compile(self) -> None:
        # Only XLA needs a tf.function around the gradients: inside one, replicas cannot communicate
        # as synchronised batch normalisation does. Autograph would read the source files again,
        # which may have changed meanwhile, and takes a fifth of the time of the first step.
        gradients = self._gradients
        if self.jit:
            gradients = tf.function(gradients, jit_compile=True, autograph=False)

        def replica_step(batch: Batch) -> tf.Tensor:
            loss, grads = gradients(batch)
            self.optimizer.apply(grads, self.model.trainable_variables)
            return loss

        @tf.function(autograph=False)
        def step(batch: Batch) -> tf.Tensor:
            losses = self.strategy.run(replica_step, (batch,))
            if self.averages:
                self._update_averages()
            return self.strategy.reduce("SUM", losses, axis=None)

        self._step, self._traced = step, False

    def _gradients(self, batch: Batch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """This replica's share of the mean loss, and its gradients; their sums over replicas count.

        Regularisation losses are part of a single loss, but of no term of a loss with terms.
        """
        replicas = self.strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            losses = self.sample_loss(batch, self.model(batch["image"], training=True))
            terms = tf.reduce_mean(losses, axis=0) / replicas
            loss = tf.reduce_sum(terms)
            if self.model.losses:
                loss += tf.add_n(self.model.losses) / replicas
        shown = terms if terms.shape.rank else loss
        return shown, tape.gradient(loss, [v.value for v in self.model.trainable_variables])

    def _update_averages(self) -> None:
        # The decay is small in the first steps, so that the initial weights do not linger.
        step = tf.cast(self.optimizer.iterations.value, tf.float32)
        decay = tf.minimum(self.ema_decay, (1 + step) / (10 + step))
        for average, variable in zip(self.averages, self.model.variables, strict=True):
            value = tf.cast(variable.value, average.dtype)
            average.value.assign(average.value + (1 - decay) * (value - average.value))
