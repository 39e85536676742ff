"""MTCNN's networks for inference on a CPU: the outputs of the Keras models in less time.

The weights are constants, whose layout oneDNN converts only once. The normalisation of pixels is
folded into the first convolution, the heads are one matrix product, and only the difference of the
two logits is computed: the softmax of two logits is the sigmoid of their difference.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kptkit.weights.assign import model_arrays


class FastNetwork:
    """P-Net, R-Net or O-Net, with a copy of the model's weights.

    Args:
        model: from `kptkit.models.mtcnn`.
        heads: the offsets to predict, of ``box`` and ``landmark``.
    """

    def __init__(self, model: keras.Model, heads: tuple[str, ...]):
        arrays = model_arrays(model)
        _, normalise, *self._trunk = (
            layer for layer in model.layers if layer.name not in model.output
        )
        kernel = arrays["conv1/kernel"]
        arrays["conv1/bias"] = arrays["conv1/bias"] + normalise.offset * kernel.sum((0, 1, 2))
        arrays["conv1/kernel"] = kernel * normalise.scale
        self._arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        kernel, bias = self._heads(("logits",))
        self._margin = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
        self._offsets = self._heads(heads)

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """The input (N, F) of the heads, for windows (N, H, W, 3).

        For P-Net, which is convolutional, N counts the windows of all pictures in row-major order.
        """
        x = images
        for layer in self._trunk:
            x = self._apply(layer, x)
        return tf.reshape(x, (-1, x.shape[-1]))

    def scores(self, features: tf.Tensor) -> tf.Tensor:
        """The probabilities (N, 1) of a face, from features (N, F)."""
        return tf.sigmoid(_dense(features, *self._margin))

    def offsets(self, features: tf.Tensor) -> tf.Tensor:
        """The outputs of the heads side by side, (N, 4) or (N, 14), from features (N, F)."""
        return _dense(features, *self._offsets)

    def _heads(self, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Kernel (F, D) and bias (D,) of heads side by side, dense layers or 1x1 convolutions."""
        kernels = [self._arrays[f"{name}/kernel"] for name in names]
        kernel = np.concatenate([k.reshape(-1, k.shape[-1]) for k in kernels], axis=1)
        return kernel, np.concatenate([self._arrays[f"{name}/bias"] for name in names])

    def _apply(self, layer: layers.Layer, x: tf.Tensor) -> tf.Tensor:
        match layer:
            case layers.PReLU():
                return _prelu(x, self._arrays[f"{layer.name}/alpha"].ravel())
            case layers.Conv2D():
                x = tf.nn.conv2d(x, self._arrays[f"{layer.name}/kernel"], 1, "VALID")
                return tf.nn.bias_add(x, self._arrays[f"{layer.name}/bias"])
            case layers.MaxPooling2D():
                padding = layer.padding.upper()
                return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, padding)
            case layers.Flatten():
                return tf.reshape(x, (-1, np.prod(x.shape[1:])))
            case layers.Dense():
                kernel = self._arrays[f"{layer.name}/kernel"]
                return _dense(x, kernel, self._arrays[f"{layer.name}/bias"])
        raise TypeError(f"{layer.name}: {type(layer).__name__} is in no network of MTCNN")


def _dense(x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def _prelu(x: tf.Tensor, slopes: np.ndarray) -> tf.Tensor:
    """PReLU of x (B, H, W, C) or (B, C) with slopes (C,).

    Slopes are repeated to whole rows of a picture: broadcasting C = 10 numbers takes TensorFlow
    twice as long as multiplying rows of thousands.
    """
    if x.shape.rank == 4:
        width = tf.shape(x)[2] if x.shape[2] is None else x.shape[2]
        slopes_of_row = tf.tile(slopes[None], [width, 1])
    else:
        slopes_of_row = tf.constant(slopes)
    if slopes.max() <= 1:
        return tf.maximum(x, slopes_of_row * x)
    return x + (slopes_of_row - 1) * tf.minimum(x, 0)
