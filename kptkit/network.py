"""A recipe's pose network: from crops to heatmaps, and from heatmaps to keypoints.

Pure `keras.ops`, so that it runs inside graphs of TensorFlow and on Keras's other backends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kptkit.decode import decode, flip_back, heatmaps_from_logits
from kptkit.errors import InputError
from kptkit.foreign import ForeignFunction, told
from kptkit.geometry import affine
from kptkit.models.blocks import dtype_policy_scope
from kptkit.models.hourglass import hourglass
from kptkit.models.hrnet import hrnet
from kptkit.models.sizes import HOURGLASSES, HRNETS, STRIDE
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema
from kptkit.system import refuse_late_fork

# The builder of every variant; variants of different networks have different names.
_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    **dict.fromkeys(HRNETS, hrnet),
    **dict.fromkeys(HOURGLASSES, hourglass),
}


@dataclass(frozen=True)
class PoseNetwork:
    """A model with the recipe and keypoint schema that are needed to use it."""

    model: keras.Model
    """Maps crops (B, H, W, 3), RGB 0..255, to heatmaps (B, h, w, K), or (B, S, h, w, K) for S
    stacks."""
    recipe: PoseRecipe
    schema: KeypointSchema

    def __reduce__(self) -> tuple[Callable[..., "PoseNetwork"], tuple[Any, ...]]:
        # Keras's own pickles of models depend on h5py, and warn under NumPy 2.
        config = keras.saving.serialize_keras_object(self.model)
        weights = [np.asarray(variable) for variable in self.model.weights]
        return _rebuilt, (config, weights, self.recipe, self.schema)


def _rebuilt(
    config: dict[str, Any], weights: list[np.ndarray], recipe: PoseRecipe, schema: KeypointSchema
) -> PoseNetwork:
    model = keras.saving.deserialize_keras_object(config)
    model.set_weights(weights)
    return PoseNetwork(model, recipe, schema)


def build_model(
    recipe: PoseRecipe,
    num_keypoints: int,
    synchronized: bool = False,
    foreign: ForeignFunction | None = None,
) -> keras.Model:
    """The Keras model of a recipe, with fresh weights.

    Args:
        synchronized: whether batch statistics are taken over all replicas of a strategy.
        foreign: the function that the recipe's `network` names. It is called with the number of
            keypoints K and the width and height of the crops, and returns a model as described in
            `PoseNetwork`, with one stack.

    Raises:
        InputError: the recipe's network is not `foreign`, that function's model does not fit, or
            this process was forked too late.
    """
    refuse_late_fork()
    if recipe.network != (foreign.name if foreign else ""):
        raise InputError(refused_network(recipe.network, foreign.name if foreign else ""))
    with dtype_policy_scope(recipe.precision):
        if foreign is None:
            build = _BUILDERS[recipe.variant]
            return build(num_keypoints, recipe.variant, recipe.input_size_wh, synchronized)
        if synchronized:
            raise InputError(
                f"--synchronized-batch-norm: for kptkit's own networks; {foreign.name} chooses the "
                "layers of its network itself"
            )
        return _foreign_model(foreign, recipe, num_keypoints)


def refused_network(trained: str, given: str) -> str:
    """Why a network that was trained as `trained` is not built as `given`; empty: kptkit's own."""
    if not trained:
        return f"--network {given}: it was trained as one of kptkit's own networks; leave it out"
    said = f"--network {given}: " if given else ""
    return (
        f"{said}its network is {trained}, code outside kptkit; to import that code, if you trust "
        f"it, give --network {trained} (in Python: kptkit.load(..., network={trained!r}))"
    )


def _foreign_model(foreign: ForeignFunction, recipe: PoseRecipe, num_keypoints: int) -> keras.Model:
    """The model of a user's function, after checking everything that training relies on."""
    said = f"--network {foreign.name}"
    try:
        models = [foreign.function(num_keypoints, recipe.input_size_wh) for _ in range(2)]
    except (Exception, SystemExit) as error:  # whatever a function of somebody else's raises
        raise InputError(
            f"{said}: called with {num_keypoints} keypoints and {recipe.input_size_wh} (width, "
            f"height) it raised {told(error)}"
        ) from error
    for model in models:
        _check_foreign_model(model, said, recipe, num_keypoints)
    first, second = ([variable.path for variable in model.variables] for model in models)
    automatic = [one for one, other in zip(first, second, strict=False) if one != other]
    if automatic:
        raise InputError(
            f"{said}: {automatic[0]} has an automatic name, which changes from process to process; "
            "name every layer that has weights"
        )
    return models[0]


def _check_foreign_model(model: Any, said: str, recipe: PoseRecipe, num_keypoints: int) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(f"{said}: returned {type(model).__name__}; expected a keras.Model")
    width, height = recipe.input_size_wh
    expected = (
        (None, height, width, 3),
        (None, recipe.heatmap_wh[1], recipe.heatmap_wh[0], num_keypoints),
    )
    try:
        found = (model.input_shape, model.output_shape)
        dtype = model.output.dtype
    except AttributeError:  # a subclass that was never called, or several outputs
        raise InputError(
            f"{said}: its model has no single input and output of known shape; expected "
            f"keras.Model(image, heatmaps), {expected[0]} to {expected[1]}"
        ) from None
    if found != expected:
        raise InputError(
            f"{said}: its model maps {found[0]} to {found[1]}; expected {expected[0]} to "
            f"{expected[1]}: crops to heatmaps of a quarter of their size"
        )
    if dtype != "float32":
        raise InputError(
            f"{said}: its heatmaps are {dtype}; expected float32: end the network with a layer of "
            'dtype="float32"'
        )


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
        back = flip_back(
            mirrored, schema.flip_permutation, recipe.flip_alignment, STRIDE, recipe.convention
        )
        heatmaps = (heatmaps + back) / 2
    return heatmaps


def heatmaps_to_crop(heatmaps: Any, recipe: PoseRecipe) -> Any:
    """Keypoints (B, K, 3) float32 of heatmaps (B, h, w, K): x and y in crop pixels, and score."""
    keypoints = decode(heatmaps, recipe.decoder, recipe.heatmap_sigma)
    factor, shift = affine.crop_to_heatmap(
        recipe.input_size_wh, recipe.heatmap_wh, recipe.convention
    )
    keypoints = keypoints - ops.convert_to_tensor([*shift, 0.0], "float32")
    return keypoints / ops.convert_to_tensor([*factor, 1.0], "float32")


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
