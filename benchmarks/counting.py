"""Arithmetic and memory traffic of a convolutional network, counted from its layers.

Only unavoidable work is counted, as if all layers between two convolutions (normalisation, ReLU,
sums, padding, upsampling) were fused into the first one. So a measured time can be compared with
the larger of two bounds: arithmetic / peak and bytes / bandwidth.
"""

import math
from dataclasses import dataclass

import keras
from keras import layers

BYTES = {"float32": 4, "mixed_bfloat16": 2}


@dataclass(frozen=True)
class Work:
    """Arithmetic and memory traffic of a computation."""

    flops: int
    """Floating-point operations; a multiply-accumulate is two."""
    bytes: int
    """Bytes read and written."""


@dataclass(frozen=True)
class NetworkCounts:
    """Counts for one image, except `parameters`, which a batch shares."""

    macs: int
    """Multiply-accumulates of the convolutions."""
    parameters: int
    """Trainable weights."""
    convolved: int
    """Elements that convolutions read and write, without kernels."""
    normalised: int
    """Elements of the maps that are batch-normalised."""
    added: int
    """Elements that sums read besides the operand just written by a convolution."""

    def forward(self, batch_size: int, precision: str) -> Work:
        """Inference on a batch: every weight is read once, in float32, as it is stored."""
        elements = batch_size * (self.convolved + self.added)
        return Work(
            flops=2 * batch_size * self.macs,
            bytes=BYTES[precision] * elements + 4 * self.parameters,
        )

    def training_step(self, batch_size: int, precision: str) -> Work:
        """Gradients of a batch and their update by Adam.

        Three convolutions for each one: of the input, of the gradient with the kernel, and of the
        gradient with the input. Batch statistics are known only when a map is complete, so it is
        read and written once more (2); backwards the map and its gradient are read for two sums,
        then read again and the input's gradient written (5). Weights are read forwards and
        backwards and their gradients written (3); Adam reads weight, gradient and two moments and
        writes three of them (7).
        """
        per_image = 3 * self.convolved + 2 * self.added + 7 * self.normalised
        return Work(
            flops=3 * 2 * batch_size * self.macs,
            bytes=BYTES[precision] * batch_size * per_image + 10 * 4 * self.parameters,
        )


def count_network(model: keras.Model) -> NetworkCounts:
    """Counts a functional model of convolutions, batch norms, sums and layers without weights.

    Raises:
        ValueError: a layer has weights of another kind.
    """
    made_by = {id(layer.output): layer for layer in model.layers}

    def stored_size(tensor: keras.KerasTensor) -> int:
        """Elements of the map that is padded or upsampled on the fly to `tensor`."""
        layer = made_by[id(tensor)]
        while isinstance(layer, (layers.ZeroPadding2D, layers.UpSampling2D)):
            tensor = layer.input
            layer = made_by[id(tensor)]
        return _size(tensor)

    macs = convolved = normalised = added = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            pixels = math.prod(layer.output.shape[1:-1])
            macs += pixels * math.prod(layer.kernel.shape)
            convolved += stored_size(layer.input) + _size(layer.output)
        elif isinstance(layer, layers.BatchNormalization):
            normalised += _size(layer.output)
        elif isinstance(layer, layers.Add):
            operands = [stored_size(tensor) for tensor in layer.input]
            added += sum(operands) - max(operands)
        elif layer.weights:
            raise ValueError(f"{layer.name}: no rule to count a {type(layer).__name__}")
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    return NetworkCounts(macs, parameters, convolved, normalised, added)


def _size(tensor: keras.KerasTensor) -> int:
    return math.prod(tensor.shape[1:])
