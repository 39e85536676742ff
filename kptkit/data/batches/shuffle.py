"""In what order a run sees its samples: a pure function of its seed, without any state.

So a run that stops anywhere and starts again sees what it would have seen.
"""

import tensorflow as tf


def shuffled(
    positions: tf.Tensor, num_samples: int, seed: int, stream: int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The epochs (B,) and the samples (B,) at positions of the endless stream of a seed.

    Each epoch is a permutation of its own.

    Args:
        positions: (B,) int64, from 0.
        stream: tells apart the orders of several sets of samples under one seed.
    """
    epochs, offsets = positions // num_samples, positions % num_samples
    zeros = tf.zeros_like(epochs)
    keys = tf.stack([zeros + stream, zeros + seed, epochs], axis=1)
    last = tf.constant(num_samples - 1, tf.int64)
    # What tf.random.experimental.index_shuffle calls; that one cannot take a seed for each row.
    indices = tf.raw_ops.RandomIndexShuffle(index=offsets, seed=keys, max_index=last, rounds=4)
    return epochs, indices
