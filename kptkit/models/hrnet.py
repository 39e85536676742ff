"""HRNet for keypoints (Sun, Xiao, Liu, Wang: Deep High-Resolution Representation Learning, 2019).

Input: RGB pixel values 0..255 (B, H, W, 3). Output: heatmaps (B, H/4, W/4, K) float32. Branches at
1/4, 1/8, 1/16 and 1/32 of the input's resolution run in parallel and exchange features after every
module, so H and W must be multiples of 32.
"""

import keras
from keras import layers

from kptkit.models.blocks import (
    basic_block,
    batch_norm,
    bottleneck,
    convolution,
    normalise_imagenet,
    relu,
)
from kptkit.models.sizes import HRNETS, HRNetVariant


def hrnet(
    num_keypoints: int,
    variant: HRNetVariant = "w32",
    input_size_wh: tuple[int, int] = (192, 256),
    synchronized: bool = False,
) -> keras.Model:
    """Builds an HRNet.

    Args:
        num_keypoints: K, the number of heatmaps.
        variant: a row of `kptkit.models.sizes.HRNETS`.
        input_size_wh: width and height of the crop in pixels, multiples of 32.
        synchronized: whether batch statistics are computed over all replicas.

    Raises:
        ValueError: a side of the input is not a multiple of 32.
    """
    width, height = input_size_wh
    if width % 32 or height % 32:
        raise ValueError(f"input_size_wh: {input_size_wh}, expected multiples of 32")
    sizes = HRNETS[variant]
    image = keras.Input((height, width, 3), name="image")
    x = _stem(normalise_imagenet(image), sizes.stem, synchronized)
    for index in range(sizes.bottlenecks):
        x = bottleneck(x, sizes.stem, f"layer1.{index}", synchronized)
    branches = [x]
    for stage, modules in enumerate(sizes.modules, start=2):
        branches = _transition(branches, sizes.width, stage - 1, synchronized)
        for module in range(modules):
            name = f"stage{stage}.{module}"
            branches = [
                _branch(x, sizes.blocks, f"{name}.branches.{index}", synchronized)
                for index, x in enumerate(branches)
            ]
            last = stage == 4 and module == modules - 1
            outputs = 1 if last else len(branches)
            branches = [_fuse(branches, index, name, synchronized) for index in range(outputs)]
    heatmaps = convolution(branches[0], num_keypoints, 1, 1, "final_layer", use_bias=True)
    # Float32 even in a mixed-precision network: decoding and losses need the precision.
    heatmaps = layers.Activation("linear", dtype="float32", name="heatmaps")(heatmaps)
    return keras.Model(image, heatmaps, name=f"hrnet_{variant}")


def _stem(x: keras.KerasTensor, filters: int, synchronized: bool) -> keras.KerasTensor:
    for index in (1, 2):
        x = convolution(x, filters, 3, 2, f"conv{index}")
        x = relu(batch_norm(x, f"bn{index}", synchronized), f"relu{index}")
    return x


def _transition(
    branches: list[keras.KerasTensor], width: int, index: int, synchronized: bool
) -> list[keras.KerasTensor]:
    """Adds a branch of half the resolution; after stage 1 also adapts the width of branch 0."""
    name = f"transition{index}"
    outputs = list(branches)
    if index == 1:
        outputs[0] = _conv_bn_relu(branches[0], width, 1, f"{name}.0", synchronized)
    new = len(branches)
    filters = width * 2**new
    return [*outputs, _conv_bn_relu(branches[-1], filters, 2, f"{name}.{new}.0", synchronized)]


def _conv_bn_relu(
    x: keras.KerasTensor, filters: int, stride: int, name: str, synchronized: bool
) -> keras.KerasTensor:
    x = convolution(x, filters, 3, stride, f"{name}.0")
    return relu(batch_norm(x, f"{name}.1", synchronized), f"{name}.2")


def _branch(x: keras.KerasTensor, blocks: int, name: str, synchronized: bool) -> keras.KerasTensor:
    for index in range(blocks):
        x = basic_block(x, x.shape[-1], f"{name}.{index}", synchronized)
    return x


def _fuse(
    branches: list[keras.KerasTensor], target: int, module: str, synchronized: bool
) -> keras.KerasTensor:
    """The sum of all branches at the resolution and width of branch `target`."""
    filters = branches[target].shape[-1]
    terms = []
    for source, x in enumerate(branches):
        name = f"{module}.fuse_layers.{target}.{source}"
        if source > target:
            x = convolution(x, filters, 1, 1, f"{name}.0")
            x = batch_norm(x, f"{name}.1", synchronized)
            x = layers.UpSampling2D(2 ** (source - target), name=f"{name}.2")(x)
        for step in range(target - source):
            last = step == target - source - 1
            x = convolution(x, filters if last else x.shape[-1], 3, 2, f"{name}.{step}.0")
            x = batch_norm(x, f"{name}.{step}.1", synchronized)
            if not last:
                x = relu(x, f"{name}.{step}.2")
        terms.append(x)
    total = layers.Add(name=f"{module}.fuse_layers.{target}.add")(terms)
    return relu(total, f"{module}.fuse_layers.{target}.relu")
