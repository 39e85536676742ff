"""The precision that networks are built in."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def built_in(precision: str) -> Iterator[None]:
    """Networks made inside compute by that Keras dtype policy; the process keeps its own.

    Args:
        precision: such as ``float32`` or ``mixed_bfloat16``.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
