"""tf.data pipelines that make the batches of training and evaluation."""
