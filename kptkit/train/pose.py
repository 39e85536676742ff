"""A pose network from flags to a judged run folder: config, data, model, training, report.

Every script that trains a pose network calls `train_pose` with its own default recipe.
"""

import math
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kptkit import files
from kptkit.data.batches.pose import clear_errors, evaluation_batches, training_batches
from kptkit.data.pose_flags import (
    DataConfig,
    PoseData,
    PoseSet,
    describe_flip_pairs,
    first_persons,
    load_pose_data,
)
from kptkit.data.records.sources import ImageSource
from kptkit.data.skipped import SkipLedger
from kptkit.demo.dataset import write_demo_data
from kptkit.errors import InputError
from kptkit.evaluate.pose import evaluate_pose
from kptkit.export.pose import export_pose
from kptkit.images import drawing
from kptkit.images.codec import read_image, write_image
from kptkit.losses import HeatmapLoss
from kptkit.metrics import protocols
from kptkit.pose.estimator import PoseEstimator, build_model, crops_to_heatmaps, heatmaps_to_crop
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import PoseRun
from kptkit.samples import KeypointSamples
from kptkit.skeletons.schema import COCO_17, COCO_17_KEYPOINT_WEIGHTS, KeypointSchema
from kptkit.train import loop as train
from kptkit.train.flags import TrainConfig, TrainOptions
from kptkit.train.optimizer import build_optimizer
from kptkit.train.step import TrainStep
from kptkit.weights.assign import initialise

# Pictures of the same persons after every evaluation, for the eye.
SHEET_PERSONS = 8
EVALUATED_AT_ONCE = 32
# With --overfit, an epoch is this many steps over the same persons.
OVERFIT_STEPS = 50
DRY_RUN_SCENES = {"train_images": 20, "val_images": 10}


def train_pose(config: TrainConfig) -> None:
    """Trains, judges, draws and exports; with `--dry-run`, in a folder that goes away.

    Raises:
        InputError: a flag or a file is unusable, or the loss is not finite.
    """
    if config.options.dry_run:
        with tempfile.TemporaryDirectory() as temporary:
            _train_in(Path(temporary), replace(config, out=None))
    else:
        _train_in(Path(), config)


def _train_in(root: Path, config: TrainConfig) -> None:
    data_config = config.data
    if data_config == DataConfig():
        scenes = DRY_RUN_SCENES if config.options.dry_run else {}
        data_config = demo_data(root / "data/demo", **scenes)
    data = load_pose_data(data_config)
    for line in [*data.notices, describe_flip_pairs(data.schema)]:
        print(line)
    print(
        f"{len(data.train.source.samples)} persons to learn from, "
        f"{len(data.held_out.source.samples)} held out, {data.schema.num_keypoints} keypoints"
    )
    run = PoseRun(
        folder=root / (config.out or f"runs/{config.recipe}"),
        recipe=by_heart(config.constants) if config.options.overfit else config.constants,
        schema=data.schema,
        data=asdict(data_config.absolute()),
    )
    with files.locked(run.folder):
        run.write(identity(config.options, Path(data_config.train)))
        held_out = fit(run, data, config.options)
        report(run, held_out)


def by_heart(recipe: PoseRecipe) -> PoseRecipe:
    """The recipe for learning a few crops by heart: no crop is varied, and none seen mirrored."""
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


def identity(options: TrainOptions, train_data: Path) -> dict[str, Any]:
    """What must be the same, beside recipe and data flags, for a run to go on as itself."""
    if train_data.is_dir():
        train_data = train_data / "manifest.json"
    return {
        "seed": options.seed,
        "init": options.init,
        "overfit": options.overfit,
        "synchronized_batch_norm": options.synchronized_batch_norm,
        "train_sha256": files.sha256(train_data),
    }


def demo_data(folder: Path, **scenes: int) -> DataConfig:
    """The demo set, drawn into `folder` unless it stands there already."""
    write_demo_data(folder, **scenes)
    return DataConfig(
        train=str(folder / "annotations/person_keypoints_train.json"),
        val=str(folder / "annotations/person_keypoints_val.json"),
        images=str(folder / "images"),
    )


def fit(run: PoseRun, data: PoseData, options: TrainOptions) -> PoseSet:
    """Trains into the folder of `run`, whose lock the caller holds.

    Returns:
        The persons the run was judged on.
    """
    train.set_determinism(options.seed, options.deterministic)
    recipe, train_set, held_out = run.recipe, data.train, data.held_out
    if options.overfit:
        train_set = held_out = first_persons(train_set, options.overfit)
    if options.dry_run:
        recipe, held_out = replace(recipe, epochs=1), first_persons(held_out, SHEET_PERSONS)
    source = train_set.source
    steps_per_epoch = math.ceil(len(source.samples) / recipe.batch_size)
    if options.overfit:
        steps_per_epoch = OVERFIT_STEPS
    if options.dry_run:
        steps_per_epoch = 2
    ledger = SkipLedger(len(source.samples))
    step = build_step(recipe, data.schema, options, steps_per_epoch)

    def batches(start_step: int) -> tf.data.Dataset:
        return training_batches(
            source,
            size_wh=recipe.input_size_wh,
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            seed=options.seed,
            start_step=start_step,
            stop_step=steps_per_epoch * recipe.epochs,
            keypoint_weights=keypoint_weights(recipe, data.schema),
            convention=recipe.convention,
            ledger=ledger,
        )

    estimator = PoseEstimator(step.model, recipe, data.schema)
    sheet = _Sheet(estimator, held_out)
    best_by, largest = protocols.headline(held_out.source.samples.protocol)

    def evaluate(epoch: int) -> train.Metrics:
        ledger.check()
        tf.summary.image("truth, prediction, heatmap", sheet.draw()[None], step=epoch)
        metrics = evaluate_pose(estimator, held_out.source, held_out.truth).metrics
        return metrics | (judge_stacks(estimator, held_out) if recipe.num_stacks else {})

    loop = train.LoopConfig(
        steps_per_epoch=steps_per_epoch,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        evaluate_every=recipe.evaluate_every,
        checkpoint_seconds=options.checkpoint_seconds,
        best_by=best_by,
        smallest_is_best=not largest,
        loss_terms=tuple(f"loss of stack {s + 1}" for s in range(recipe.num_stacks)),
    )
    with clear_errors(ledger):
        train.train(step, batches, evaluate, run.folder, loop)
    if len(ledger):
        print(f"{len(ledger)} pictures could not be used: {ledger.counts()}; see skipped.json")
        ledger.write(run.folder / "skipped.json")
    return held_out


def judge_stacks(estimator: PoseEstimator, held_out: PoseSet) -> train.Metrics:
    """PCK@0.2 of every stack of an hourglass, without the flip test."""
    samples = held_out.source.samples
    batches = evaluation_batches(
        held_out.source,
        size_wh=estimator.recipe.input_size_wh,
        batch_size=EVALUATED_AT_ONCE,
        convention=estimator.recipe.convention,
        ledger=SkipLedger(len(samples)),
    )
    ids, keypoints = estimator.predict_stacks(batches)
    judged = samples.select(np.flatnonzero(np.isin(samples.sample_ids, ids)))
    return {
        f"PCK@0.2 of stack {stack + 1}": protocols.pck_of(judged, keypoints[:, stack])
        for stack in range(keypoints.shape[1])
    }


def report(run: PoseRun, held_out: PoseSet) -> None:
    """Judges the best weights, draws what they predict, exports them, and names what is next."""
    picture = run.folder / "predictions.jpg"
    if picture.exists():
        print(f"{run.folder}: finished already; another --out starts a new run")
        return
    estimator = PoseEstimator.from_run(run.folder)
    evaluation = evaluate_pose(estimator, held_out.source, held_out.truth)
    print(protocols.format_table(evaluation.samples.protocol, evaluation.metrics))
    exported = export_pose(run.folder)
    print(f"exported SavedModel: {exported}")
    # The picture is written last: where it stands, the run is finished.
    write_image(picture, draw_predictions(evaluation.samples, evaluation.keypoints))
    print(f"picture of predictions: {picture}")
    print(f"next: python scripts/predict.py PHOTO.jpg --run {run.folder}")


def draw_predictions(samples: KeypointSamples, keypoints: np.ndarray) -> np.ndarray:
    """A contact sheet of a dozen pictures with all their predicted persons (N, K, 3) drawn."""
    shown = np.unique(samples.image_index)[:12]
    pictures = [
        drawing.draw_skeleton(
            read_image(samples.image_paths[index], samples.orientation),
            keypoints[samples.image_index == index],
            samples.schema,
        )
        for index in shown
    ]
    return drawing.contact_sheet(pictures, columns=4, cell_wh=(320, 240))


def build_step(
    recipe: PoseRecipe, schema: KeypointSchema, options: TrainOptions, steps_per_epoch: int
) -> TrainStep:
    """Model, optimizer and loss of a recipe on the devices that `options` names."""
    strategy, jit = train.devices(options.strategy, options.xla, options.synchronized_batch_norm)
    with strategy.scope():
        model = build_model(recipe, schema.num_keypoints, options.synchronized_batch_norm)
        for line in initialise(model, options.init) if options.init else []:
            print(line)
        optimizer = build_optimizer(recipe, steps_per_epoch)
    loss = HeatmapLoss(
        recipe.input_size_wh,
        recipe.loss,
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
    """The weight of each keypoint in the loss; none is 1 for all."""
    if recipe.keypoint_weights == "equal":
        return None
    if schema.names != COCO_17.names:
        raise InputError("--keypoint-weights limbs: known for the 17 COCO keypoints only")
    return COCO_17_KEYPOINT_WEIGHTS


class _Sheet:
    """Truth, prediction and heatmap of the same few held-out persons."""

    def __init__(self, estimator: PoseEstimator, held_out: PoseSet):
        self.estimator = estimator
        samples = held_out.source.samples
        chosen = np.linspace(0, len(samples) - 1, min(SHEET_PERSONS, len(samples))).astype(int)
        recipe = estimator.recipe
        batches = evaluation_batches(
            ImageSource(samples.select(chosen)),
            size_wh=recipe.input_size_wh,
            batch_size=len(chosen),
            convention=recipe.convention,
            ledger=SkipLedger(len(chosen)),
        )
        self.batch = next(iter(batches.as_numpy_iterator()))

    def draw(self) -> np.ndarray:
        estimator = self.estimator
        heatmaps = crops_to_heatmaps(
            estimator.model, self.batch["image"], estimator.recipe, estimator.schema
        )
        keypoints = heatmaps_to_crop(heatmaps, estimator.recipe)
        return drawing.training_sheet(
            self.batch["image"],
            self.batch["keypoints"],
            np.asarray(keypoints),
            np.asarray(heatmaps),
            estimator.schema,
        )
