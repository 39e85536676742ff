"""Networks as functions of named tensors, to be converted to LiteRT and ONNX.

A pose network takes crops and returns keypoints in crop pixels; flip test and decoder are included.
P-Net, R-Net and O-Net of the face cascade are separate functions, which return scores instead of
logits; pyramid, NMS and cropping depend on the picture and are left to the caller.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from kptkit.export import pose_graph
from kptkit.export.manifest import describe_signatures
from kptkit.models.sizes import STAGES, Stage
from kptkit.network import crops_to_heatmaps, heatmaps_to_crop
from kptkit.pose.estimator import PoseEstimator

# Meanings of the tensors of P-Net, R-Net and O-Net.
STAGE_MEANINGS = {
    "images": "RGB, 0 to 255; P-Net: a level of the pyramid of any size, the others: windows",
    "scores": "how sure the network is of a face, 0 to 1; P-Net: one for each window of 12 px at "
    "stride 2, row by row",
    "box": "the face's edges x1 y1 x2 y2 less those of the window, over the window's side",
    "landmark": "x1 y1 to x5 y5, 0 to 1 from one edge of the window to the other",
}


@dataclass(frozen=True)
class NetworkFunction:
    """A function with one signature, and the meanings of its tensors."""

    name: str
    function: tf.types.experimental.PolymorphicFunction
    """A `tf.function` from one named input to named outputs."""
    model: keras.Model
    """Holds the variables that the function uses."""
    meanings: dict[str, str]

    @property
    def spec(self) -> tf.TensorSpec:
        """The spec of the input."""
        return self.function.input_signature[0]

    def describe(self) -> dict[str, Any]:
        """Types, shapes and meanings of its tensors, for the manifest."""
        return describe_signatures(
            {self.name: self.function.get_concrete_function()}, self.meanings
        )


def pose_function(estimator: PoseEstimator, batch_size: int | None = None) -> NetworkFunction:
    """Maps crops (N, h, w, 3) uint8 to the outputs of signature `crops` of `pose_graph`."""
    recipe = estimator.recipe
    width, height = recipe.input_size_wh
    # A tf.function, so that the flip test calls the network twice without doubling the graph.
    network = replace(estimator.network, model=tf.function(estimator.model, autograph=False))

    def read(crops: tf.Tensor) -> dict[str, tf.Tensor]:
        heatmaps = crops_to_heatmaps(network, crops)
        keypoints = heatmaps_to_crop(heatmaps, recipe)
        return {"heatmaps": heatmaps, **pose_graph.keypoint_outputs(keypoints)}

    spec = tf.TensorSpec((batch_size, height, width, 3), tf.uint8, "crops")
    return _network("pose", read, spec, estimator.model, pose_graph.MEANINGS)


def stage_function(
    stage: Stage, model: keras.Model, batch_size: int | None = None
) -> NetworkFunction:
    """Maps images (N, H, W, 3) float32 to scores (N, ...), box (..., 4) and landmark (..., 10)."""
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
) -> NetworkFunction:
    function = tf.function(read, input_signature=[spec], autograph=False)
    return NetworkFunction(name, function, model, meanings)


def _with_plain_prelu(model: keras.Model) -> keras.Model:
    """The same network with Keras's own PReLU, which converters map to their own operation."""

    def plain(layer: layers.Layer) -> layers.Layer:
        kind = layers.PReLU if isinstance(layer, layers.PReLU) else type(layer)
        return kind.from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=plain)
    clone.set_weights(model.get_weights())
    return clone
