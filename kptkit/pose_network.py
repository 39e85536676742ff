"""The compiled part of the pose path: a recipe's network, crops to heatmaps, heatmaps to keypoints.

Pure `keras.ops`, so that it runs inside graphs of TensorFlow and on Keras's other backends.
"""

from typing import Any

import keras
from keras import ops

from kptkit import affine
from kptkit.decode import decode, flip_back, heatmaps_from_logits
from kptkit.models.hrnet import STRIDE, hrnet
from kptkit.recipes import PoseRecipe
from kptkit.skeletons import KeypointSchema


def build_model(recipe: PoseRecipe, num_keypoints: int, synchronized: bool = False) -> keras.Model:
    """The network of a recipe, with fresh weights."""
    keras.config.set_dtype_policy(recipe.precision)
    return hrnet(num_keypoints, recipe.variant, recipe.input_size_wh, synchronized)


def crops_to_heatmaps(
    model: keras.Model, crops: Any, recipe: PoseRecipe, schema: KeypointSchema
) -> Any:
    """Heatmaps (B, h, w, K) of crops (B, H, W, 3), with the mirrored crop's where the recipe says.

    The logits of a network trained by spatial cross-entropy become maps that peak at 1.
    """

    def maps(images: Any) -> Any:
        outputs = model(images, training=False)
        if recipe.loss == "cross_entropy":
            outputs = heatmaps_from_logits(outputs, recipe.heatmap_sigma)
        return outputs

    crops = ops.cast(crops, "float32")
    heatmaps = maps(crops)
    if recipe.flip_test and schema.flip_pairs:
        mirrored = maps(ops.flip(crops, axis=2))
        back = flip_back(mirrored, schema.flip_permutation, recipe.flip_alignment, STRIDE)
        heatmaps = (heatmaps + back) / 2
    return heatmaps


def heatmaps_to_crop(heatmaps: Any, recipe: PoseRecipe) -> Any:
    """Keypoints (B, K, 3) of heatmaps: x and y in crop pixels, and the score."""
    keypoints = decode(heatmaps, recipe.decoder, recipe.heatmap_sigma)
    scale = affine.crop_to_heatmap_scale(recipe.input_size_wh, recipe.heatmap_wh, recipe.convention)
    return keypoints / ops.convert_to_tensor([*scale, 1.0], "float32")
