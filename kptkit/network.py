"""The compiled part of the pose path: a recipe's network, crops to heatmaps, heatmaps to keypoints.

Pure `keras.ops`, so that it runs inside graphs of TensorFlow and on Keras's other backends.
"""

from typing import Any

import keras
from keras import ops

from kptkit.decode import decode, flip_back, heatmaps_from_logits
from kptkit.geometry import affine
from kptkit.models import hourglass, hrnet
from kptkit.models.blocks import STRIDE
from kptkit.models.precision import built_in
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema


def build_model(recipe: PoseRecipe, num_keypoints: int, synchronized: bool = False) -> keras.Model:
    """The network of a recipe, with fresh weights."""
    is_hourglass = recipe.variant in hourglass.VARIANTS
    build = hourglass.hourglass if is_hourglass else hrnet.hrnet
    with built_in(recipe.precision):
        return build(num_keypoints, recipe.variant, recipe.input_size_wh, synchronized)


def crops_to_heatmaps(
    model: keras.Model, crops: Any, recipe: PoseRecipe, schema: KeypointSchema
) -> Any:
    """Heatmaps (B, h, w, K) of crops (B, H, W, 3), with the mirrored crop's where the recipe says.

    Those of an hourglass are its last stack's. The logits of a network trained by spatial
    cross-entropy become maps that peak at 1.
    """

    def maps(images: Any) -> Any:
        outputs = model(images, training=False)
        return _from_logits(outputs[:, -1] if recipe.num_stacks else outputs, recipe)

    crops = ops.cast(crops, "float32")
    heatmaps = maps(crops)
    if recipe.flip_test and schema.flip_pairs:
        mirrored = maps(ops.flip(crops, axis=2))
        back = flip_back(mirrored, schema.flip_permutation, recipe.flip_alignment, STRIDE)
        heatmaps = (heatmaps + back) / 2
    return heatmaps


def stacks_to_crop(model: keras.Model, crops: Any, recipe: PoseRecipe) -> Any:
    """What every stack of an hourglass says, without a flip test: keypoints (B, S * K, 3) in crop
    pixels with scores, the first stack's before the second's."""
    outputs = model(ops.cast(crops, "float32"), training=False)
    stacks, *map_shape = outputs.shape[1:]
    heatmaps = _from_logits(ops.reshape(outputs, (-1, *map_shape)), recipe)
    return ops.reshape(heatmaps_to_crop(heatmaps, recipe), (-1, stacks * map_shape[-1], 3))


def _from_logits(outputs: Any, recipe: PoseRecipe) -> Any:
    if recipe.loss == "cross_entropy":
        return heatmaps_from_logits(outputs, recipe.heatmap_sigma)
    return outputs


def heatmaps_to_crop(heatmaps: Any, recipe: PoseRecipe) -> Any:
    """Keypoints (B, K, 3) of heatmaps: x and y in crop pixels, and the score."""
    keypoints = decode(heatmaps, recipe.decoder, recipe.heatmap_sigma)
    scale = affine.crop_to_heatmap_scale(recipe.input_size_wh, recipe.heatmap_wh, recipe.convention)
    return keypoints / ops.convert_to_tensor([*scale, 1.0], "float32")
