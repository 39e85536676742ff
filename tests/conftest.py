"""Fixtures for tests throughout the tree."""

from collections.abc import Callable

import pytest


@pytest.fixture(params=["eager", "graph", "xla"])
def compiled(request: pytest.FixtureRequest) -> Callable[[Callable], Callable]:
    """Runs a function as it is, as a TensorFlow graph and through XLA; the test runs once for each.

    Keras's "auto" leaves XLA off on a CPU, so it is asked for.
    """
    import tensorflow as tf

    if request.param == "eager":
        return lambda function: function
    # Without autograph, because that cannot read the source of a lambda over several lines.
    return lambda function: tf.function(
        function, jit_compile=request.param == "xla", autograph=False
    )
