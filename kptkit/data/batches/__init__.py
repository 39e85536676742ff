"""tf.data pipelines for training and evaluation."""
