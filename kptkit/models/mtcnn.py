"""P-Net, R-Net and O-Net of MTCNN (Zhang et al.: Joint Face Detection and Alignment, 2016).

RGB pixel values 0..255 (B, H, W, 3) to whether a window holds a face, where its edges are and where
its five landmarks are. P-Net looks at windows of 12 px at stride 2 and takes pictures of any size;
R-Net and O-Net judge single windows of 24 and 48 px.
"""

from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers, ops

Stage = Literal["pnet", "rnet", "onet"]


@dataclass(frozen=True)
class Sizes:
    """What sets one network of the cascade apart from another."""

    size: int  # side of the square window it judges, in pixels
    # Filters and kernel side of each unpadded convolution, and the side of the pooling behind it
    # (stride 2); 0: none.
    convolutions: tuple[tuple[int, int, int], ...]
    hidden: int  # units of the hidden layer; 0: none, the heads are convolutions


# Figure 2 of the paper, with the widths of the authors' published models, which differ from it.
STAGES: dict[Stage, Sizes] = {
    "pnet": Sizes(12, ((10, 3, 2), (16, 3, 0), (32, 3, 0)), hidden=0),
    "rnet": Sizes(24, ((28, 3, 3), (48, 3, 3), (64, 2, 0)), hidden=128),
    "onet": Sizes(48, ((32, 3, 3), (64, 3, 3), (64, 3, 2), (128, 2, 0)), hidden=256),
}


def mtcnn(stage: Stage, landmarks: bool = True, l2: float = 0.0) -> keras.Model:
    """Builds one network of the cascade.

    Its outputs are float32, (B, ...) for R-Net and O-Net and (B, h, w, ...) for P-Net, where a side
    of n px gives ceil((n - 2) / 2) - 4 windows:

    - ``logits`` (..., 2): no face, face; their softmax is the score.
    - ``box`` (..., 4): the face's edges x1, y1, x2, y2 less those of the window, over its side.
    - ``landmark`` (..., 10): x1, y1, ..., x5, y5, 0 to 1 from one edge of the window to the other.

    Args:
        stage: a row of `STAGES`.
        landmarks: whether P-Net and R-Net have the landmark head too, which helps their training;
            O-Net always has it.
        l2: factor of the sum of squares of all convolution kernels, added to the model's losses.
            The 5e-4 of TensorFlow-1 recipes, which halve the sum, is 2.5e-4 here.
    """
    sizes = STAGES[stage]
    side = sizes.size if sizes.hidden else None
    image = keras.Input((side, side, 3), name="image")
    x = layers.Rescaling(1 / 128, offset=-127.5 / 128, dtype="float32", name="normalise")(image)
    regularizer = keras.regularizers.L2(l2) if l2 else None
    for index, (filters, kernel, pool) in enumerate(sizes.convolutions, start=1):
        x = layers.Conv2D(filters, kernel, kernel_regularizer=regularizer, name=f"conv{index}")(x)
        x = _prelu(x, f"prelu{index}")
        if pool:
            x = _ceil_pool(x, pool, f"pool{index}")
    if sizes.hidden:
        x = layers.Dense(sizes.hidden, name="fc")(layers.Flatten(name="flatten")(x))
        x = _prelu(x, "prelu_fc")
    widths = {"logits": 2, "box": 4}
    if landmarks or stage == "onet":
        widths["landmark"] = 10
    outputs = {}
    for name, width in widths.items():
        # Float32 out of a mixed-precision network: scores are compared with thresholds.
        if sizes.hidden:
            head = layers.Dense(width, dtype="float32", name=name)
        else:
            head = layers.Conv2D(
                width, 1, kernel_regularizer=regularizer, dtype="float32", name=name
            )
        outputs[name] = head(x)
    return keras.Model(image, outputs, name=stage)


def _prelu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """A ReLU whose negative slope is learnt per channel, from Caffe's 0.25."""
    space = list(range(1, len(x.shape) - 1)) or None
    slope = keras.initializers.Constant(0.25)
    return _PReLU(alpha_initializer=slope, shared_axes=space, name=name)(x)


class _PReLU(layers.PReLU):
    """Keras's layer by a shorter way, which takes a third to a half of its time on a CPU.

    The slopes are repeated along a picture's rows first: TensorFlow takes twice as long to multiply
    by 10 numbers again and again as by a row of thousands.
    """

    def call(self, x: Any) -> Any:
        slope = self.alpha - 1
        if len(x.shape) == 2:
            return x + slope * ops.minimum(x, 0)
        shape = ops.shape(x)
        slopes = ops.reshape(ops.broadcast_to(slope, (1, *shape[2:])), (-1,))
        rows = ops.reshape(x, (-1, shape[2] * shape[3]))
        return ops.reshape(rows + slopes * ops.minimum(rows, 0), shape)


def _ceil_pool(x: keras.KerasTensor, pool: int, name: str) -> keras.KerasTensor:
    """Stride-2 max pooling as Caffe has it: a last window that sticks out is kept.

    That is ``same``, which pads an odd pixel at the right and bottom. Only pooling 3 wide over an
    odd side has to be ``valid``: it fits exactly, and ``same`` would pad a pixel on every side.
    """
    padding = "valid" if pool == 3 and x.shape[1] % 2 else "same"
    return layers.MaxPooling2D(pool, 2, padding, name=name)(x)
