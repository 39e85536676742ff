"""Trains a pose network, from flags to an evaluated run folder, in the order of execution:

config -> data -> workload -> model and step -> loop -> evaluation -> export.

Every command that trains a pose network calls `train_pose` with its own default recipe.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from kptkit import files
from kptkit.data.batches.pose import clear_errors, pose_training_batches
from kptkit.data.pose_flags import DataConfig
from kptkit.data.pose_sets import (
    PoseData,
    PoseSet,
    describe_flip_pairs,
    first_persons,
    load_pose_data,
)
from kptkit.data.skipped import SkippedPictures
from kptkit.demo.dataset import write_demo_data
from kptkit.errors import InputError
from kptkit.evaluate.pose import evaluate_pose, evaluate_stacks
from kptkit.evaluate.pose_pictures import SHEET_PERSONS, PredictionSheet, draw_pose_predictions
from kptkit.export.pose import export_pose
from kptkit.foreign import ForeignFunction, import_function, is_foreign
from kptkit.images.codec import write_image
from kptkit.losses import HeatmapLoss
from kptkit.metrics import protocols
from kptkit.network import PoseNetwork, build_model
from kptkit.opener import build, initialise, source_of
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import PoseRun
from kptkit.skeletons.known import COCO_17, COCO_17_KEYPOINT_WEIGHTS
from kptkit.skeletons.schema import KeypointSchema
from kptkit.train.flags import TrainConfig, TrainOptions
from kptkit.train.folder import check_folder, dry_run
from kptkit.train.loop import LoopConfig, Metrics, devices, set_determinism, train
from kptkit.train.optimizer import build_optimizer
from kptkit.train.step import TrainStep
from kptkit.wording import counted, say

# Steps per epoch with --overfit, all on the same persons.
OVERFIT_STEPS = 50
DRY_RUN_SCENES = {"train_images": 20, "val_images": 10}
DRY_RUN_STEPS = 2


def train_pose(config: TrainConfig) -> None:
    """Trains, evaluates, draws and exports; with `--dry-run`, in a temporary folder.

    Raises:
        InputError: a flag or a file is unusable, or the loss is not finite.
    """
    if config.options.dry_run:
        with dry_run() as temporary:
            _train_in(temporary, replace(config, out=None))
    else:
        _train_in(Path(), config)


def _train_in(root: Path, config: TrainConfig) -> None:
    options = config.options
    code = import_code(config.constants)
    data_config = config.data
    if data_config == DataConfig():
        scenes = DRY_RUN_SCENES if options.dry_run else {}
        data_config = demo_data(root / "data/demo", **scenes)
    data = load_pose_data(data_config)
    for line in [*data.notices, describe_flip_pairs(data.schema)]:
        say(line)
    print(
        f"{counted(len(data.train.source.samples), 'person')} to learn from, "
        f"{len(data.held_out.source.samples):,} held out, "
        f"{counted(data.schema.num_keypoints, 'keypoint')}"
    )
    work = workload(config.constants, data, options)
    folder = root / (config.out or f"runs/{config.recipe}")
    check_folder(folder)
    run = PoseRun(
        folder,
        work.recipe,
        data.schema,
        asdict(data_config.absolute()),
        {function.name: function.sha256 for function in code.values()},
    )
    with files.locked(folder):
        run.write(pose_identity(options, Path(data_config.train or "")))
        fit(run, work, options, code)
        finish(run, work.held_out, code.get("network"))


def import_code(recipe: PoseRecipe) -> dict[str, ForeignFunction]:
    """Imports the functions from outside the package that `--network` and `--loss` name.

    Returns:
        The functions by flag: ``network``, ``loss``, both or none.

    Raises:
        InputError: one of them cannot be imported.
    """
    named = {"network": recipe.network, "loss": recipe.loss}
    return {
        flag: import_function(name, f"--{flag}") for flag, name in named.items() if is_foreign(name)
    }


def demo_data(folder: Path, **scenes: int) -> DataConfig:
    """The demo set, drawn into `folder` unless it is there already."""
    write_demo_data(folder, **scenes)
    return DataConfig(
        train=str(folder / "annotations/person_keypoints_train.json"),
        val=str(folder / "annotations/person_keypoints_val.json"),
        images=str(folder / "images"),
    )


def pose_identity(options: TrainOptions, train_data: Path) -> dict[str, Any]:
    """What must not change when a run is resumed, besides recipe and data flags."""
    if train_data.is_dir():
        train_data = train_data / "manifest.json"
    return {
        "seed": options.seed,
        "init": options.init,
        "overfit": options.overfit,
        "synchronized_batch_norm": options.synchronized_batch_norm,
        "train_sha256": files.sha256(train_data),
    }


@dataclass(frozen=True)
class Workload:
    """Recipe, training data, length and held-out data of a run."""

    recipe: PoseRecipe
    train: PoseSet
    held_out: PoseSet
    steps_per_epoch: int


def workload(recipe: PoseRecipe, data: PoseData, options: TrainOptions) -> Workload:
    """The workload on all of the data, or on the few persons of `--overfit` or `--dry-run`.

    Raises:
        InputError: `--overfit` was given with records, which hold no ground truth.
    """
    recipe = _not_more_than_all(recipe, data.train)
    steps = math.ceil(len(data.train.source.samples) / recipe.batch_size)
    work = Workload(recipe, data.train, data.held_out, steps)
    if options.overfit:
        few = first_persons(data.train, options.overfit)
        recipe = without_variation(_not_more_than_all(recipe, few))
        work = Workload(recipe, few, few, OVERFIT_STEPS)
    if options.dry_run:
        few = first_persons(work.held_out, SHEET_PERSONS)
        work = Workload(replace(work.recipe, epochs=1), work.train, few, DRY_RUN_STEPS)
    return work


def _not_more_than_all(recipe: PoseRecipe, persons: PoseSet) -> PoseRecipe:
    """The recipe with a batch of all persons, if its batch is larger: the rest would be padding."""
    count = len(persons.source.samples)
    if recipe.batch_size <= count:
        return recipe
    print(
        f"batch of {counted(count, 'person')}: there are no more to learn from; --batch-size was "
        f"{recipe.batch_size:,}"
    )
    return replace(recipe, batch_size=count)


def without_variation(recipe: PoseRecipe) -> PoseRecipe:
    """The recipe for overfitting a few crops: no augmentation, no mirroring."""
    still = replace(
        recipe.augment,
        scale=0.0,
        rotation_probability=0.0,
        flip_probability=0.0,
        half_body_probability=0.0,
        shift_probability=0.0,
        photometric=False,
    )
    return replace(recipe, augment=still, flip_test=False)


def fit(
    run: PoseRun, work: Workload, options: TrainOptions, code: dict[str, ForeignFunction]
) -> None:
    """Trains into the folder of `run` (the caller holds its lock).

    Args:
        code: see `import_code`.

    Raises:
        InputError: the initial weights do not fit, too many pictures cannot be read, or the loss is
            not finite.
    """
    set_determinism(options.seed, options.deterministic)
    recipe, source = work.recipe, work.train.source
    step = build_pose_step(recipe, run.schema, options, work.steps_per_epoch, code)
    skipped = SkippedPictures(len(source.samples))

    def batches(start_step: int) -> tf.data.Dataset:
        return pose_training_batches(
            source,
            size_wh=recipe.input_size_wh,
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            seed=options.seed,
            start_step=start_step,
            stop_step=work.steps_per_epoch * recipe.epochs,
            keypoint_weights=keypoint_weights(recipe, run.schema),
            convention=recipe.convention,
            skipped=skipped,
        )

    best_by, largest = protocols.headline(work.held_out.source.samples.protocol)
    loop = LoopConfig(
        steps_per_epoch=work.steps_per_epoch,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        evaluate_every=recipe.evaluate_every,
        checkpoint_seconds=options.checkpoint_seconds,
        best_by=best_by,
        smallest_is_best=not largest,
        loss_terms=tuple(f"loss of stack {s + 1}" for s in range(recipe.num_stacks)),
    )
    estimator = PoseEstimator(PoseNetwork(step.model, recipe, run.schema))
    evaluate = evaluation_during_training(estimator, work.held_out, skipped)
    with clear_errors(skipped):
        train(step, batches, evaluate, run.folder, loop)
    if len(skipped):
        print(f"could not be used: {skipped.summary()}; see skipped.json")
        skipped.write(run.folder / "skipped.json")


def build_pose_step(
    recipe: PoseRecipe,
    schema: KeypointSchema,
    options: TrainOptions,
    steps_per_epoch: int,
    code: dict[str, ForeignFunction] | None = None,
) -> TrainStep:
    """Model, optimizer and loss of a recipe, on the devices chosen by `options`.

    Args:
        code: see `import_code`.
    """
    code = code or {}
    strategy, jit = devices(options.strategy, options.xla, options.synchronized_batch_norm)
    with strategy.scope():
        model = build_model(
            recipe, schema.num_keypoints, options.synchronized_batch_norm, code.get("network")
        )
        for line in initialise(model, options.init) if options.init else []:
            say(line)
        optimizer = build_optimizer(recipe, steps_per_epoch)
    loss = HeatmapLoss(
        recipe.input_size_wh,
        code["loss"].function if "loss" in code else recipe.loss,
        recipe.target,
        recipe.convention,
        recipe.target_sigma or None,
        recipe.stack_weights,
    )
    loss_of = loss.per_stack if recipe.num_stacks else loss.call
    return TrainStep(
        model,
        optimizer,
        lambda batch, heatmaps: loss_of(batch["keypoints"], heatmaps),
        strategy,
        recipe.ema_decay,
        jit,
    )


def keypoint_weights(recipe: PoseRecipe, schema: KeypointSchema) -> tuple[float, ...] | None:
    """The weight of each keypoint in the loss; None if all are 1."""
    if recipe.keypoint_weights == "equal":
        return None
    if schema.names != COCO_17.names:
        raise InputError("--keypoint-weights limbs: known for the 17 COCO keypoints only")
    return COCO_17_KEYPOINT_WEIGHTS


def evaluation_during_training(
    estimator: PoseEstimator, held_out: PoseSet, skipped: SkippedPictures
) -> Callable[[int], Metrics]:
    """The `evaluate` of the loop: draws a sheet for TensorBoard and returns the metrics."""
    sheet = PredictionSheet(estimator, held_out.source.samples)

    def evaluate(epoch: int) -> Metrics:
        skipped.check()
        tf.summary.image("truth, prediction, heatmap", sheet.draw()[None], step=epoch)
        metrics = evaluate_pose(estimator, held_out.source, held_out.truth).metrics
        if estimator.recipe.num_stacks:
            metrics |= evaluate_stacks(estimator, held_out.source)
        return metrics

    return evaluate


def finish(run: PoseRun, held_out: PoseSet, network: ForeignFunction | None = None) -> None:
    """Evaluates and exports the best weights, draws their predictions, prints what is next.

    Args:
        network: what built the network, if that is not this package.
    """
    picture = run.folder / "predictions.jpg"
    if picture.exists():
        print(f"{run.folder}: finished already; another --out starts a new run")
        return
    source = source_of(run, run.best, network)
    estimator = PoseEstimator(build(source))
    evaluation = evaluate_pose(estimator, held_out.source, held_out.truth)
    print(protocols.format_table(evaluation.samples.protocol, evaluation.metrics))
    exported = export_pose(source)
    print(f"exported SavedModel: {exported}")
    # The picture is written last: if it exists, the run is finished.
    write_image(picture, draw_pose_predictions(evaluation.samples, evaluation.keypoints))
    print(f"picture of predictions: {picture}")
    flag = f" --network {network.name}" if network else ""
    print(f"next: kptkit predict PHOTO.jpg --run {run.folder}{flag}")
