"""Networks as functions of named tensors, for runtimes that are not TensorFlow: LiteRT and ONNX.

A pose network takes crops and tells keypoints in crop pixels: the flip test and the decoder are
inside. Of the face cascade, P-Net, R-Net and O-Net stand alone, each with scores for logits; the
pyramid between them depends on the picture and stays with whoever calls them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import keras
import tensorflow as tf
from keras import layers

from kptkit.errors import InputError
from kptkit.export import pose_graph
from kptkit.models.mtcnn import STAGES, Stage
from kptkit.network import crops_to_heatmaps, heatmaps_to_crop
from kptkit.pose.estimator import PoseEstimator

Format = Literal["saved_model", "litert", "onnx"]
Precision = Literal["float32", "float16"]

# What the tensors of P-Net, R-Net and O-Net are.
STAGE_MEANINGS = {
    "images": "RGB, 0 to 255; P-Net: a level of the pyramid of any size, the others: windows",
    "scores": "how sure the network is of a face, 0 to 1; P-Net: one for each window of 12 px at "
    "stride 2, row by row",
    "box": "the face's edges x1 y1 x2 y2 less those of the window, over the window's side",
    "landmark": "x1 y1 to x5 y5, 0 to 1 from one edge of the window to the other",
}


@dataclass(frozen=True)
class Target:
    """What kind of program is written.

    Raises:
        InputError: the values do not go together; the message names them.
    """

    format: Format = "saved_model"
    """For TensorFlow and TF Serving; for LiteRT (phones and small computers); or ONNX."""
    precision: Precision = "float32"
    """Of the weights in LiteRT and ONNX: float16 halves the file. Arithmetic is in float32."""
    batch_size: int | None = None
    """Of LiteRT and ONNX: how many crops a call takes; none: any number. Some accelerators want a
    number."""

    def __post_init__(self) -> None:
        if self.format == "saved_model" and (self.precision, self.batch_size) != ("float32", None):
            raise InputError(
                "precision and batch_size are for --format litert or onnx; a SavedModel has "
                "weights in float32 and takes any number"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size: {self.batch_size}; expected 1 or more")


@dataclass(frozen=True)
class PortableNetwork:
    """A function with one signature, and what its tensors mean."""

    name: str
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    """A `tf.function` of one named input."""
    model: keras.Model
    """Holds the variables that the function uses."""
    meanings: dict[str, str]

    @property
    def spec(self) -> tf.TensorSpec:
        """The input."""
        return self.function.input_signature[0]


def portable_pose(estimator: PoseEstimator, batch_size: int | None = None) -> PortableNetwork:
    """Crops (N, h, w, 3) uint8 to what `crops` of `kptkit.export.pose_graph` gives."""
    recipe, schema = estimator.recipe, estimator.schema
    width, height = recipe.input_size_wh
    # A function of its own, so that the flip test does not double the program.
    network = tf.function(estimator.model, autograph=False)

    def read(crops: tf.Tensor) -> dict[str, tf.Tensor]:
        heatmaps = crops_to_heatmaps(network, crops, recipe, schema)
        keypoints = heatmaps_to_crop(heatmaps, recipe)
        return {"heatmaps": heatmaps, **pose_graph.named(keypoints)}

    spec = tf.TensorSpec((batch_size, height, width, 3), tf.uint8, "crops")
    return _network("pose", read, spec, estimator.model, pose_graph.MEANINGS)


def portable_stage(
    stage: Stage, model: keras.Model, batch_size: int | None = None
) -> PortableNetwork:
    """Images (N, H, W, 3) float32 to scores (N, ...), box (N, ..., 4) and landmark (N, ..., 10)."""
    side = STAGES[stage].size if STAGES[stage].hidden else None
    plain = _with_plain_prelu(model)

    def read(images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = plain(images, training=False)
        scores = tf.nn.softmax(outputs.pop("logits"))[..., 1]
        return {"scores": scores, **outputs}

    spec = tf.TensorSpec((batch_size, side, side, 3), tf.float32, "images")
    return _network(stage, read, spec, plain, STAGE_MEANINGS)


def _network(
    name: str,
    read: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    spec: tf.TensorSpec,
    model: keras.Model,
    meanings: dict[str, str],
) -> PortableNetwork:
    function = tf.function(read, input_signature=[spec], autograph=False)
    return PortableNetwork(name, function, model, meanings)


def _with_plain_prelu(model: keras.Model) -> keras.Model:
    """The same network with Keras's own PReLU, in which converters know their own operation."""

    def plain(layer: layers.Layer) -> layers.Layer:
        kind = layers.PReLU if isinstance(layer, layers.PReLU) else type(layer)
        return kind.from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=plain)
    clone.set_weights(model.get_weights())
    return clone
