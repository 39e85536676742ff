"""Adam and RMSprop against PyTorch's formulas in NumPy; schedules against their papers' tables."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kptkit.recipes.learning import Learning
from kptkit.train.optimizer import Adam, RMSprop, Schedule, build_optimizer


def torch_adam(value, gradients, rate, betas=(0.9, 0.999), epsilon=1e-8):
    """torch.optim.Adam, from its documentation."""
    m, v = np.zeros_like(value), np.zeros_like(value)
    for step, gradient in enumerate(gradients, start=1):
        m = betas[0] * m + (1 - betas[0]) * gradient
        v = betas[1] * v + (1 - betas[1]) * gradient**2
        m_hat, v_hat = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)
        value = value - rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return value


def torch_rmsprop(value, gradients, rate, alpha=0.99, epsilon=1e-8):
    """torch.optim.RMSprop, from its documentation."""
    v = np.zeros_like(value)
    for gradient in gradients:
        v = alpha * v + (1 - alpha) * gradient**2
        value = value - rate * gradient / (np.sqrt(v) + epsilon)
    return value


# Gradients near epsilon are where Keras's own Adam and PyTorch's part.
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-8])
@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [(Adam(0.01, epsilon=1e-8), torch_adam), (RMSprop(0.01, 0.99, epsilon=1e-8), torch_rmsprop)],
    ids=["adam", "rmsprop"],
)
def test_updates_are_pytorchs(optimizer, expected, scale):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 4))
    gradients = scale * rng.normal(size=(10, 3, 4))
    variable = keras.Variable(start.astype("float32"))
    optimizer = type(optimizer).from_config(optimizer.get_config())
    optimizer.build([variable])
    step = tf.function(lambda g: optimizer.apply([g], [variable]))
    for gradient in gradients:
        step(tf.constant(gradient, tf.float32))
    np.testing.assert_allclose(variable, expected(start, gradients, 0.01), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (keras.optimizers.Adam, "_backend_update_step"),
        (keras.optimizers.Adam, "_get_variable_index"),
        (keras.optimizers.Adam, "_momentums"),
        (keras.optimizers.Adam, "_velocities"),
        (keras.optimizers.RMSprop, "_get_variable_index"),
        (keras.optimizers.RMSprop, "_velocities"),
    ],
)
def test_keras_still_has_the_private_names_that_are_built_on(kind, name):
    optimizer = kind()
    optimizer.build([keras.Variable(np.zeros(2))])
    if not hasattr(optimizer, name):
        pytest.fail(
            f"Keras {keras.__version__} has no {kind.__name__}.{name} any more, on which "
            "kptkit/train/optimizer.py relies.",
            pytrace=False,
        )


def test_step_schedule_drops_by_ten():
    schedule = Schedule(1e-3, "step", total_steps=210, drop_steps=(170, 200))
    rates = [float(schedule(step)) for step in (0, 169, 170, 199, 200, 209)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-6)


def test_warmup_is_linear_and_cosine_ends_at_zero():
    schedule = Schedule(2.0, "cosine", total_steps=110, warmup_steps=10)
    np.testing.assert_allclose([float(schedule(s)) for s in (0, 4, 9)], [0.2, 1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(float(schedule(60)), 1.0, rtol=1e-6)
    np.testing.assert_allclose(float(schedule(110)), 0.0, atol=1e-6)


def test_adam_trains_in_fit():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer=Adam(0.1), loss="mse", run_eagerly=False, jit_compile=False)
    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    history = model.fit(x, x @ [[1.0], [2.0]], epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.05 * history.history["loss"][0]


@pytest.mark.parametrize(
    ("recipe", "kind", "settings"),
    [
        (Learning(), Adam, {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}),
        (Learning(optimizer="rmsprop"), RMSprop, {"rho": 0.99, "epsilon": 1e-8, "momentum": 0.0}),
        (Learning(optimizer="momentum"), keras.optimizers.SGD, {"momentum": 0.9}),
    ],
)
def test_a_recipe_names_its_optimizer(recipe, kind, settings):
    optimizer = build_optimizer(recipe, steps_per_epoch=10)
    assert type(optimizer) is kind
    assert {name: getattr(optimizer, name) for name in settings} == settings
