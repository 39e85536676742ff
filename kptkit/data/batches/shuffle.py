"""Stateless shuffling: the sample at any position of an endless shuffled stream.

The order is a pure function of the seed. So a training run can stop at any step and resume there:
no shuffle buffer or iterator state needs to be saved.
"""

import tensorflow as tf


def shuffled(
    positions: tf.Tensor, num_samples: int, seed: int, stream: int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The epochs (B,) int64 and sample indices (B,) int64 at positions of a shuffled stream.

    The stream repeats the data set endlessly, each epoch in a new random order.

    Args:
        positions: (B,) int64, from 0.
        num_samples: size of the data set.
        stream: gives several data sets under one seed orders of their own.
    """
    epochs, offsets = positions // num_samples, positions % num_samples
    zeros = tf.zeros_like(epochs)
    keys = tf.stack([zeros + stream, zeros + seed, epochs], axis=1)
    last = tf.constant(num_samples - 1, tf.int64)
    # The op behind tf.random.experimental.index_shuffle, which takes only one seed for all rows.
    indices = tf.raw_ops.RandomIndexShuffle(index=offsets, seed=keys, max_index=last, rounds=4)
    return epochs, indices
