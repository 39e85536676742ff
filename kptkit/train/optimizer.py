"""The optimizers of the papers, with PyTorch's constants, and their learning-rate schedules."""

from typing import Literal

import keras
import tensorflow as tf

from kptkit.recipes.learning import Learning


class Adam(keras.optimizers.Adam):
    """Adam with PyTorch's arithmetic, applied by one fused op per variable.

    Keras builds a dozen small ops per variable, so tracing HRNet-W32 takes more than a minute. It
    also adds epsilon to the root of the biased second moment, PyTorch to that of the unbiased one;
    here epsilon is scaled so that both forms agree. Variables are float32 under every dtype policy.
    """

    def _backend_update_step(
        self, grads: list, trainable_variables: list, learning_rate: tf.Tensor
    ) -> None:
        # Scalars shared by all variables are computed once and passed with the learning rate.
        step = tf.cast(self.iterations.value + 1, tf.float32)
        powers = tf.pow([self.beta_1, self.beta_2], step)
        epsilon = self.epsilon * tf.sqrt(1 - powers[1])
        rate = tf.convert_to_tensor(learning_rate)
        scalars = tf.stack([rate, powers[0], powers[1], epsilon])
        super()._backend_update_step(grads, trainable_variables, scalars)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, scalars: tf.Tensor) -> None:
        """Updates one variable and its two moments in place.

        Args:
            scalars: (4,) float32: learning rate, the powers of both betas, and epsilon.
        """
        index = self._get_variable_index(variable)
        learning_rate, beta_1_power, beta_2_power, epsilon = tf.unstack(scalars)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=epsilon,
            grad=gradient,
        )


class RMSprop(keras.optimizers.RMSprop):
    """RMSprop with PyTorch's arithmetic: epsilon is added to the root, not under it."""

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates one variable and its mean square in place."""
        square = self._velocities[self._get_variable_index(variable)].value
        square.assign(self.rho * square + (1 - self.rho) * tf.square(gradient))
        variable.assign_sub(learning_rate * gradient / (tf.sqrt(square) + self.epsilon))


def build_optimizer(recipe: Learning, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe, with its learning-rate schedule."""
    schedule = rates(recipe, steps_per_epoch)
    match recipe.optimizer:
        case "adam":
            return Adam(schedule, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
        case "rmsprop":
            return RMSprop(schedule, rho=0.99, epsilon=1e-8)
        case "momentum":
            return keras.optimizers.SGD(schedule, momentum=0.9)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, then division by 10 at every drop, or a cosine down to zero.

    Args:
        peak: the learning rate after the warm-up.
        kind: ``step`` or ``cosine``.
        total_steps: the step at which the cosine reaches zero.
        warmup_steps: length of the warm-up; 0: start at the peak.
        drop_steps: for ``step``, the steps at which the rate is divided by 10.
    """

    def __init__(
        self,
        peak: float,
        kind: Literal["step", "cosine"],
        total_steps: int,
        warmup_steps: int = 0,
        drop_steps: tuple[int, ...] = (),
    ):
        self.peak, self.kind, self.total_steps = peak, kind, total_steps
        self.warmup_steps, self.drop_steps = warmup_steps, tuple(drop_steps)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate () float32 of the update after `step` finished updates."""
        step = tf.cast(step, tf.float32)
        warmup = tf.minimum(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.kind == "cosine":
            span = max(1, self.total_steps - self.warmup_steps)
            progress = tf.clip_by_value((step - self.warmup_steps) / span, 0.0, 1.0)
            factor = 0.5 * (1 + tf.cos(progress * 3.141592653589793))
        else:
            factor = tf.constant(1.0)
            for drop in self.drop_steps:
                factor = tf.where(step >= drop, factor * 0.1, factor)
        return self.peak * warmup * factor

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "peak": self.peak,
            "kind": self.kind,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "drop_steps": self.drop_steps,
        }


def rates(recipe: Learning, steps_per_epoch: int) -> Schedule:
    """The learning-rate schedule of a recipe."""
    return Schedule(
        peak=recipe.learning_rate,
        kind=recipe.schedule,
        total_steps=steps_per_epoch * recipe.epochs,
        warmup_steps=recipe.warmup_steps,
        drop_steps=tuple(int(epoch * steps_per_epoch) for epoch in recipe.learning_rate_drops),
    )
