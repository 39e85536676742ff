"""Building blocks shared by the networks; each takes a tensor and names its layers.

Layer names are the module paths of the authors' PyTorch code, so that weights are converted by one
rule instead of a table.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import layers

# Mean and standard deviation of ImageNet's RGB channels on the 0..1 scale, as in torchvision.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise_imagenet(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Normalises RGB values 0..255 by ImageNet's statistics, in float32 under any dtype policy."""
    return layers.Rescaling(
        scale=[1 / (255 * std) for std in IMAGENET_STD],
        offset=[-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)],
        dtype="float32",
        name="normalise",
    )(pixels)


def convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    stride: int,
    name: str,
    use_bias: bool = False,
    initializer: keras.Initializer | None = None,
) -> keras.KerasTensor:
    """A convolution with PyTorch's padding, `kernel // 2` on every side.

    Keras's ``same`` pads a stride-2 convolution on the right and bottom only. That would shift the
    features, and reverse the displacement that a flip test has to undo.
    """
    if stride > 1 and kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=name + ".pad")(x)
    return layers.Conv2D(
        filters,
        kernel,
        stride,
        padding="same" if stride == 1 else "valid",
        use_bias=use_bias,
        # HRNet's initialisation. In the last layer it is essential for MSE: with larger initial
        # outputs, training drives the network to predict zero everywhere, where it stays.
        kernel_initializer=initializer or keras.initializers.RandomNormal(stddev=0.001),
        name=name,
    )(x)


def batch_norm(x: keras.KerasTensor, name: str, synchronized: bool) -> keras.KerasTensor:
    """Batch normalisation with PyTorch's constants (PyTorch's momentum 0.1 is Keras's 0.9)."""
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, synchronized=synchronized, name=name
    )(x)


def relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """A named ReLU."""
    return layers.ReLU(name=name)(x)


def basic_block(
    x: keras.KerasTensor, filters: int, name: str, synchronized: bool
) -> keras.KerasTensor:
    """Residual block: two 3x3 convolutions and an identity shortcut (He et al. 2016)."""
    y = convolution(x, filters, 3, 1, f"{name}.conv1")
    y = relu(batch_norm(y, f"{name}.bn1", synchronized), f"{name}.relu1")
    y = convolution(y, filters, 3, 1, f"{name}.conv2")
    y = batch_norm(y, f"{name}.bn2", synchronized)
    return relu(layers.Add(name=f"{name}.add")([y, x]), f"{name}.relu2")


def bottleneck(
    x: keras.KerasTensor, filters: int, name: str, synchronized: bool
) -> keras.KerasTensor:
    """Residual block: 1x1, 3x3 and 1x1 convolutions with 4 * filters outputs (He et al. 2016).

    The shortcut is a projection if the input has another width.
    """
    y = convolution(x, filters, 1, 1, f"{name}.conv1")
    y = relu(batch_norm(y, f"{name}.bn1", synchronized), f"{name}.relu1")
    y = convolution(y, filters, 3, 1, f"{name}.conv2")
    y = relu(batch_norm(y, f"{name}.bn2", synchronized), f"{name}.relu2")
    y = convolution(y, 4 * filters, 1, 1, f"{name}.conv3")
    y = batch_norm(y, f"{name}.bn3", synchronized)
    if x.shape[-1] != 4 * filters:
        x = convolution(x, 4 * filters, 1, 1, f"{name}.downsample.0")
        x = batch_norm(x, f"{name}.downsample.1", synchronized)
    return relu(layers.Add(name=f"{name}.add")([y, x]), f"{name}.relu3")


@contextmanager
def dtype_policy_scope(policy: str) -> Iterator[None]:
    """Builds networks under a Keras dtype policy, and restores the previous policy afterwards.

    Args:
        policy: such as ``float32`` or ``mixed_bfloat16``.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
