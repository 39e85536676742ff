"""Converts published pose weights, fetched or given, into files of kptkit."""

from collections.abc import Sequence
from pathlib import Path

from kptkit.convert.download import download
from kptkit.convert.pose_names import Converted, check_configuration, from_hourglass, from_hrnet
from kptkit.convert.torch_files import read_torch
from kptkit.errors import InputError
from kptkit.files import sha256
from kptkit.models.sizes import HRNETS, Variant
from kptkit.network import build_model
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema
from kptkit.weights.arrays import publish_arrays
from kptkit.weights.assign import HEADS, assign_weights, load_weights, model_arrays, num_keypoints
from kptkit.weights.card import Origin, WeightsCard
from kptkit.weights.known import KnownWeights, cache_folder, known


def source_files(name: str, given: Sequence[Path]) -> list[Path]:
    """The published files of a known name: those given, or fetched into the cache.

    Raises:
        InputError: a file without an address was not given, or a given file is not the published
            one.
    """
    row = known(name)
    if not given:
        if not row.has_addresses:
            raise InputError(
                f"{name}: {row.files[0].name} has no direct address; get it from its publisher's "
                f"page ({row.licence}) and name it: --from {name} {row.files[0].name}"
            )
        folder = cache_folder() / "downloads" / name
        for file in row.files:
            download(file.url, folder / file.name, file.sha256)
        return [folder / file.name for file in row.files]
    if len(given) != len(row.files):
        names = ", ".join(file.name for file in row.files)
        raise InputError(f"{name}: {len(given)} files given; expected {names}")
    for path, file in zip(given, row.files, strict=True):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        if not sha256(path).startswith(file.sha256):
            raise InputError(
                f"{path}: its SHA-256 is {sha256(path)}, that of {file.name} begins with "
                f"{file.sha256}; for weights of your own: --from hrnet --recipe {name}"
            )
    return list(given)


def origin_of(row: KnownWeights | None, source: Path) -> Origin:
    """The origin of the weights in `source`, for their card.

    Raises:
        InputError: there is no such file.
    """
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    said = (row.score, row.cite, row.licence) if row else ()
    return Origin(source.name, sha256(source), *said)


def convert_pose(
    source: Path, out: Path, recipe: PoseRecipe, schema: KeypointSchema, origin: Origin
) -> list[str]:
    """Converts a PyTorch file of a keypoint network.

    Returns:
        Lines to print about arrays that were left out.

    Raises:
        InputError: an array is missing, left over, misshapen or not finite; or the network or its
            keypoints are not those of the recipe.
    """
    weights = read_torch(source)
    if recipe.num_stacks:
        converted = from_hourglass(weights.state, str(source))
    else:
        converted = from_hrnet(weights.state, str(source))
        _check_width(converted, recipe.variant, str(source))
    check_configuration(weights.config, recipe, str(source))
    found, expected = num_keypoints(converted.arrays), schema.num_keypoints
    if found not in (None, expected):
        hint = " (offsets beside heatmaps, UDP combined, are not read)"
        raise InputError(
            f"{source}: {found} maps; expected one for each of {expected} keypoints"
            + (hint if found == 3 * expected else "")
        )
    model = build_model(recipe, schema.num_keypoints)
    assign_weights(model, converted.arrays, str(source))
    card = WeightsCard(model.name, origin, recipe, schema)
    publish_arrays(out, model_arrays(model), card)
    load_weights(model, out)
    return _left_out(converted)


def convert_features(source: Path, out: Path, variant: Variant, origin: Origin) -> list[str]:
    """Converts a PyTorch file of an ImageNet HRNet, without its classifier.

    Returns and raises as `convert_pose`.
    """
    converted = from_hrnet(read_torch(source).state, str(source))
    _check_width(converted, variant, str(source))
    model = build_model(PoseRecipe(variant=variant, input_size_wh=(64, 64)), num_keypoints=1)
    head = {name: x for name, x in model_arrays(model).items() if name.startswith(HEADS)}
    assign_weights(model, converted.arrays | head, str(source))
    features = {name: x for name, x in model_arrays(model).items() if name not in head}
    publish_arrays(out, features, WeightsCard(model.name, origin))
    return _left_out(converted)


def _check_width(converted: Converted, variant: str, source: str) -> None:
    """Reports an HRNet of another width in one message instead of array by array."""
    kernel, expected = converted.arrays.get("transition1.0.0/kernel"), HRNETS[variant].width
    if kernel is None:
        raise InputError(f"{source}: no transition1.0.0.weight; expected an HRNet")
    if kernel.shape[-1] != expected:
        raise InputError(
            f"{source}: {kernel.shape[-1]} channels; expected an HRNet of {expected}, {variant}"
        )


def _left_out(converted: Converted) -> list[str]:
    return [f"left out: {count} {kind}" for kind, count in converted.left_out.items()]
