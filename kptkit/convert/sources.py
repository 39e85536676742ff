"""Converts what the flags name, known weights or a checkpoint of one's own; one function each.

All return lines to print and the file that was written.
"""

from dataclasses import replace
from pathlib import Path

from kptkit.checks import check_name
from kptkit.convert.cascade import sources_of, write_cascade
from kptkit.convert.flags import ConvertConfig
from kptkit.convert.pose import convert_features, convert_pose, origin_of, source_files
from kptkit.data.formats.coco import load_coco
from kptkit.errors import InputError
from kptkit.models.sizes import STAGES
from kptkit.recipes.pose import RECIPES, PoseRecipe
from kptkit.skeletons.known import COCO_17
from kptkit.skeletons.schema import KeypointSchema
from kptkit.weights.cascade import ORIGINAL
from kptkit.weights.known import KNOWN, cached_path, known


def published(config: ConvertConfig) -> tuple[list[str], Path]:
    """Converts known weights, downloaded or from the files given."""
    name = config.project
    row, out = known(name), config.out or cached_path(name)
    files = source_files(name, config.sources)
    if row.task == "face" or row.variant is None:
        lines = write_cascade(dict(zip(STAGES, files, strict=True)), "facenet-pytorch", out)
    elif row.recipe and row.schema:
        lines = convert_pose(files[0], out, row.recipe, row.schema, origin_of(row, files[0]))
    else:
        lines = convert_features(files[0], out, row.variant, origin_of(row, files[0]))
    said = [f"published: {row.score}", f"cite: {row.cite}", f"licence: {row.licence}"]
    return [*lines, *said], out


def own_pose(config: ConvertConfig) -> tuple[list[str], Path]:
    """Converts a checkpoint of the user's own training."""
    if len(config.sources) != 1 or config.recipe is None or config.out is None:
        raise InputError(f"--from {config.project}: expected one file, --recipe and --out")
    (source,) = config.sources
    schema = load_coco(config.keypoints).schema if config.keypoints else None
    recipe, schema = recipe_of(config.recipe, schema)
    if bool(recipe.num_stacks) != (config.project == "hourglass"):
        raise InputError(
            f"--recipe {config.recipe}: {recipe.variant} is not a variant of {config.project}"
        )
    if config.project == "hourglass":
        recipe = replace(recipe, convention="princeton")  # the project whose files it reads
    lines = convert_pose(source, config.out, recipe, schema, origin_of(None, source))
    return [*lines, _convention_line(recipe)], config.out


def _convention_line(recipe: PoseRecipe) -> str:
    """Whose convention the weights will answer in; their arrays do not say."""
    line = f"convention: {recipe.convention}"
    if (recipe.convention, recipe.decoder) == ("official", "dark"):
        line += ", as mmpose's DARK; ilovepose/DarkPose's has another: --recipe NAME-darkpose"
    return line


def recipe_of(name: str, schema: KeypointSchema | None) -> tuple[PoseRecipe, KeypointSchema]:
    """A recipe of our own or of known weights, with its keypoints unless they are given."""
    recipes = RECIPES | {n: row.recipe for n, row in KNOWN.items() if row.recipe}
    check_name("--recipe", name, recipes)
    usual = KNOWN[name].schema if name in KNOWN else COCO_17
    return recipes[name], schema or usual or COCO_17


def own_cascade(config: ConvertConfig) -> tuple[list[str], Path]:
    """Converts the three networks of a face cascade."""
    out = config.out or cached_path(ORIGINAL)
    files = sources_of(config.sources, config.project == "facenet-pytorch")
    return write_cascade(files, config.project, out), out
