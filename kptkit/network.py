"""A recipe's pose network: from crops to heatmaps, and from heatmaps to keypoints.

Pure `keras.ops`, so that it runs inside graphs of TensorFlow and on Keras's other backends.
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from kptkit.decode import decode, flip_back, heatmaps_from_logits
from kptkit.geometry import affine
from kptkit.models import hourglass, hrnet
from kptkit.models.blocks import STRIDE, dtype_policy_scope
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema

# The builder of every variant; variants of different networks have different names.
_BUILDERS = dict.fromkeys(hrnet.VARIANTS, hrnet.hrnet)
_BUILDERS |= dict.fromkeys(hourglass.VARIANTS, hourglass.hourglass)


@dataclass(frozen=True)
class PoseNetwork:
    """A model with the recipe and keypoint schema that are needed to use it."""

    model: keras.Model
    """Maps crops (B, H, W, 3), RGB 0..255, to heatmaps (B, h, w, K), or (B, S, h, w, K) for S
    stacks."""
    recipe: PoseRecipe
    schema: KeypointSchema


def build_model(recipe: PoseRecipe, num_keypoints: int, synchronized: bool = False) -> keras.Model:
    """The Keras model of a recipe, with fresh weights.

    Args:
        synchronized: whether batch statistics are taken over all replicas of a strategy.
    """
    build = _BUILDERS[recipe.variant]
    with dtype_policy_scope(recipe.precision):
        return build(num_keypoints, recipe.variant, recipe.input_size_wh, synchronized)


def crops_to_heatmaps(network: PoseNetwork, crops: Any) -> Any:
    """Heatmaps (B, h, w, K) float32 of crops (B, H, W, 3); for an hourglass, the last stack's.

    With the recipe's flip test, they are averaged with the heatmaps of the mirrored crops. Logits
    of a network trained by spatial cross-entropy are converted to maps that peak at 1.
    """
    recipe, schema = network.recipe, network.schema

    def maps(images: Any) -> Any:
        outputs = network.model(images, training=False)
        return _from_logits(outputs[:, -1] if recipe.num_stacks else outputs, recipe)

    crops = ops.cast(crops, "float32")
    heatmaps = maps(crops)
    if recipe.flip_test and schema.flip_pairs:
        mirrored = maps(ops.flip(crops, axis=2))
        back = flip_back(mirrored, schema.flip_permutation, recipe.flip_alignment, STRIDE)
        heatmaps = (heatmaps + back) / 2
    return heatmaps


def heatmaps_to_crop(heatmaps: Any, recipe: PoseRecipe) -> Any:
    """Keypoints (B, K, 3) float32 of heatmaps (B, h, w, K): x and y in crop pixels, and score."""
    keypoints = decode(heatmaps, recipe.decoder, recipe.heatmap_sigma)
    scale = affine.crop_to_heatmap_scale(recipe.input_size_wh, recipe.heatmap_wh, recipe.convention)
    return keypoints / ops.convert_to_tensor([*scale, 1.0], "float32")


def stacks_to_crop(network: PoseNetwork, crops: Any) -> Any:
    """Keypoints (B, S * K, 3) float32 of all S stacks of an hourglass, without a flip test.

    The last axis is x and y in crop pixels and score; keypoints are ordered by stack.
    """
    outputs = network.model(ops.cast(crops, "float32"), training=False)
    stacks, *map_shape = outputs.shape[1:]
    heatmaps = _from_logits(ops.reshape(outputs, (-1, *map_shape)), network.recipe)
    keypoints = heatmaps_to_crop(heatmaps, network.recipe)
    return ops.reshape(keypoints, (-1, stacks * map_shape[-1], 3))


def _from_logits(outputs: Any, recipe: PoseRecipe) -> Any:
    if recipe.loss == "cross_entropy":
        return heatmaps_from_logits(outputs, recipe.heatmap_sigma)
    return outputs
