"""P-Net, R-Net and O-Net of MTCNN (Zhang et al.: Joint Face Detection and Alignment, 2016).

Input: RGB pixel values 0..255 (B, H, W, 3). Outputs: whether a window shows a face, the face's box
and its five landmarks. P-Net is fully convolutional: it takes pictures of any size and evaluates
windows of 12 px at stride 2. R-Net and O-Net evaluate single windows of 24 and 48 px.
"""

from typing import Any

import keras
from keras import layers, ops

from kptkit.models.sizes import STAGES, Stage


def mtcnn(stage: Stage, landmarks: bool = True, l2: float = 0.0) -> keras.Model:
    """Builds one network of the cascade.

    The outputs are float32, (B, ...) for R-Net and O-Net and (B, h, w, ...) for P-Net, where a side
    of n px gives ceil((n - 2) / 2) - 4 windows:

    - ``logits`` (..., 2): no face, face; their softmax is the score.
    - ``box`` (..., 4): offsets of the face's box, see `kptkit.geometry.face_windows.box_offsets`.
    - ``landmark`` (..., 10): see `kptkit.geometry.face_windows.landmark_offsets`.

    Args:
        stage: a row of `kptkit.models.sizes.STAGES`.
        landmarks: whether P-Net and R-Net have a landmark head too, which helps their training;
            O-Net always has one.
        l2: factor of the sum of squares of all convolution kernels, which is added to the model's
            losses. The 5e-4 of TensorFlow 1 recipes, which halve the sum, corresponds to 2.5e-4.
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
        # Float32 even in a mixed-precision network: scores are compared with thresholds.
        if sizes.hidden:
            head = layers.Dense(width, dtype="float32", name=name)
        else:
            head = layers.Conv2D(
                width, 1, kernel_regularizer=regularizer, dtype="float32", name=name
            )
        outputs[name] = head(x)
    return keras.Model(image, outputs, name=stage)


def _prelu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """A PReLU with one slope per channel, initially 0.25 as in Caffe."""
    space = list(range(1, len(x.shape) - 1)) or None
    slope = keras.initializers.Constant(0.25)
    return _PReLU(alpha_initializer=slope, shared_axes=space, name=name)(x)


class _PReLU(layers.PReLU):
    """Keras's PReLU, but two to three times as fast on a CPU.

    The slopes are first repeated along the rows of the picture: TensorFlow multiplies by a row of
    thousands of numbers twice as fast as it broadcasts 10 numbers to every pixel.
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
    """Stride-2 max pooling as in Caffe, which rounds the output size up.

    ``same`` does that: it pads one pixel at the right and bottom if needed. Only pooling of width 3
    over an odd side must be ``valid``: it fits exactly, and ``same`` would pad a pixel on every
    side.
    """
    padding = "valid" if pool == 3 and x.shape[1] % 2 else "same"
    return layers.MaxPooling2D(pool, 2, padding, name=name)(x)
