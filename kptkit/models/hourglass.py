"""The stacked hourglass (Newell, Yang, Deng: Stacked Hourglass Networks, 2016).

Input: RGB pixel values 0..255 (B, H, W, 3). Output: the heatmaps of all S stacks
(B, S, H/4, W/4, K) float32. The last stack is the prediction; the others are for intermediate
supervision. The innermost features of an hourglass have 1/64 of the input's resolution, so H and W
must be multiples of 64.

The graph is that of the authors' code (`hg.lua` with one module per step, and their PyTorch port,
whose module paths name the layers): pre-activation residual blocks, whose shortcut is a convolution
only if the widths differ; biases in all convolutions; nearest-neighbour upsampling.
"""

import keras
from keras import layers, ops

from kptkit.models.blocks import batch_norm, convolution, relu
from kptkit.models.sizes import HOURGLASSES, HourglassVariant

DEPTH = 4


def hourglass(
    num_keypoints: int,
    variant: HourglassVariant = "hg8",
    input_size_wh: tuple[int, int] = (256, 256),
    synchronized: bool = False,
) -> keras.Model:
    """Builds a stacked hourglass.

    Args:
        num_keypoints: K, the number of heatmaps of each stack.
        variant: a row of `kptkit.models.sizes.HOURGLASSES`.
        input_size_wh: width and height of the crop in pixels, multiples of 64.
        synchronized: whether batch statistics are computed over all replicas.

    Raises:
        ValueError: a side of the input is not a multiple of 64.
    """
    width, height = input_size_wh
    if min(input_size_wh) < 64 or width % 64 or height % 64:
        raise ValueError(f"input_size_wh: {input_size_wh}, expected multiples of 64")
    sizes = HOURGLASSES[variant]
    image = keras.Input((height, width, 3), name="image")
    x = layers.Rescaling(1 / 255, dtype="float32", name="normalise")(image)
    x = _stem(x, sizes.features, synchronized)
    stacks = []
    for stack in range(sizes.stacks):
        inner = _hourglass(x, DEPTH, f"hgs.{stack}.0", synchronized)
        inner = _residual(inner, sizes.features, f"features.{stack}.0", synchronized)
        inner = _conv_bn_relu(inner, sizes.features, 1, 1, f"features.{stack}.1", synchronized)
        heatmaps = _head(inner, num_keypoints, f"outs.{stack}.conv")
        stacks.append(heatmaps)
        if stack + 1 < sizes.stacks:
            terms = [
                x,
                _convolution(heatmaps, sizes.features, 1, 1, f"merge_preds.{stack}.conv.conv"),
                _convolution(inner, sizes.features, 1, 1, f"merge_features.{stack}.conv.conv"),
            ]
            x = layers.Add(name=f"merge.{stack}")(terms)
    heatmaps = ops.stack(stacks, axis=1)
    # Float32 even in a mixed-precision network: decoding and losses need the precision.
    heatmaps = layers.Activation("linear", dtype="float32", name="heatmaps")(heatmaps)
    return keras.Model(image, heatmaps, name=f"hourglass_{variant}")


def _stem(x: keras.KerasTensor, features: int, synchronized: bool) -> keras.KerasTensor:
    """Features at 1/4 of the input's resolution; of 64, 128, 128 and 256 channels in the paper."""
    x = _conv_bn_relu(x, features // 4, 7, 2, "pre.0", synchronized)
    x = _residual(x, features // 2, "pre.1", synchronized)
    x = layers.MaxPooling2D(2, name="pre.2")(x)
    x = _residual(x, features // 2, "pre.3", synchronized)
    return _residual(x, features, "pre.4", synchronized)


def _hourglass(
    x: keras.KerasTensor, depth: int, name: str, synchronized: bool
) -> keras.KerasTensor:
    """One hourglass: a branch at full resolution plus one at half the resolution, recursively."""
    features = x.shape[-1]
    stays = _residual(x, features, f"{name}.up1", synchronized)
    low = layers.MaxPooling2D(2, name=f"{name}.pool1")(x)
    low = _residual(low, features, f"{name}.low1", synchronized)
    if depth > 1:
        low = _hourglass(low, depth - 1, f"{name}.low2", synchronized)
    else:
        low = _residual(low, features, f"{name}.low2", synchronized)
    low = _residual(low, features, f"{name}.low3", synchronized)
    low = layers.UpSampling2D(2, name=f"{name}.up2")(low)
    return layers.Add(name=f"{name}.add")([stays, low])


def _residual(
    x: keras.KerasTensor, filters: int, name: str, synchronized: bool
) -> keras.KerasTensor:
    """Residual block: 1x1, 3x3 and 1x1 convolutions, each after batch normalisation and ReLU."""
    y = x
    for index, (width, kernel) in enumerate(
        [(filters // 2, 1), (filters // 2, 3), (filters, 1)], 1
    ):
        y = relu(batch_norm(y, f"{name}.bn{index}", synchronized), f"{name}.relu{index}")
        y = _convolution(y, width, kernel, 1, f"{name}.conv{index}.conv")
    if x.shape[-1] != filters:
        x = _convolution(x, filters, 1, 1, f"{name}.skip_layer.conv")
    return layers.Add(name=f"{name}.add")([y, x])


def _conv_bn_relu(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, synchronized: bool
) -> keras.KerasTensor:
    x = _convolution(x, filters, kernel, stride, f"{name}.conv")
    return relu(batch_norm(x, f"{name}.bn", synchronized), f"{name}.relu")


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str
) -> keras.KerasTensor:
    """A convolution with a bias and the authors' initialisation, which is Torch's default.

    HRNet's small initial weights do not work here, since the shortcuts are not normalised.
    """
    initial = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return convolution(x, filters, kernel, stride, name, use_bias=True, initializer=initial)


def _head(x: keras.KerasTensor, num_keypoints: int, name: str) -> keras.KerasTensor:
    """The heatmaps of a stack, with small initial weights (see `kptkit.models.blocks`)."""
    return convolution(x, num_keypoints, 1, 1, name, use_bias=True)
