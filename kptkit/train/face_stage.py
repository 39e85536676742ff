"""Trains one network of the cascade on crops, into its run folder."""

import math
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from kptkit.data.batches.face import (
    ClassCounts,
    CropSet,
    face_evaluation_batches,
    face_training_batches,
)
from kptkit.losses import mtcnn_loss
from kptkit.metrics.crops import crop_metrics
from kptkit.models.blocks import dtype_policy_scope
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import Stage
from kptkit.recipes.face import FaceRecipe
from kptkit.runs import FaceRun
from kptkit.train.flags import FaceOptions
from kptkit.train.loop import LoopConfig, Metrics, devices, set_determinism, train
from kptkit.train.optimizer import build_optimizer
from kptkit.train.step import TrainStep
from kptkit.weights.assign import assign_weights, model_arrays
from kptkit.weights.cascade import load_stages

# The most held-out crops of each kind that an evaluation uses, so that it takes seconds; and the
# batch size of an evaluation.
MOST_EVALUATED = 2000
EVALUATED_AT_ONCE = 512

DRY_RUN_EVALUATED = 8


@dataclass(frozen=True)
class StageData:
    """The crops of one network."""

    learned: CropSet
    held_out: CropSet


def fit_stage(run: FaceRun, data: StageData, options: FaceOptions) -> Metrics:
    """Trains into the folder of `run` (the caller holds its lock); returns the best metrics.

    The best weights are those with the largest `score`.

    Raises:
        InputError: a kind of crops is missing, `options.init` cannot be used, or the loss is not
            finite.
    """
    set_determinism(options.seed, options.deterministic)
    recipe, held_out = run.recipe, data.held_out.at_most(MOST_EVALUATED)
    steps_per_epoch = recipe.steps_per_epoch or math.ceil(len(data.learned) / recipe.batch_size)
    if options.dry_run:
        recipe, steps_per_epoch = replace(recipe, epochs=1), 2
        held_out = held_out.at_most(DRY_RUN_EVALUATED)
    step = build_stage_step(run.stage, recipe, options, steps_per_epoch)

    def batches(start_step: int) -> tf.data.Dataset:
        return face_training_batches(
            data.learned,
            batch_size=recipe.batch_size,
            ratio=ratio_for(step.model, recipe),
            augment_by=recipe.augment,
            seed=options.seed,
            start_step=start_step,
            stop_step=steps_per_epoch * recipe.epochs,
        )

    @tf.function(autograph=False, reduce_retracing=True)
    def predict(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return step.model(images, training=False)

    def evaluate(_: int) -> Metrics:
        metrics = evaluate_crops(predict, held_out)
        return {"score": score(metrics, recipe)} | metrics

    loop = LoopConfig(
        steps_per_epoch=steps_per_epoch,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        evaluate_every=recipe.evaluate_every,
        checkpoint_seconds=options.checkpoint_seconds,
        best_by="score",
    )
    return train(step, batches, evaluate, run.folder, loop)


def build_stage_step(
    stage: Stage, recipe: FaceRecipe, options: FaceOptions, steps_per_epoch: int
) -> TrainStep:
    """Model, optimizer and loss of a recipe, on the devices chosen by `options`."""
    strategy, jit = devices(options.strategy, options.xla)
    with strategy.scope():
        model = build_stage_model(stage, recipe, options.init)
        optimizer = build_optimizer(recipe, steps_per_epoch)
    return TrainStep(
        model,
        optimizer,
        lambda batch, outputs: mtcnn_loss(batch, outputs, recipe.loss_weights, recipe.hard_share),
        strategy,
        recipe.ema_decay,
        jit,
    )


def build_stage_model(stage: Stage, recipe: FaceRecipe, init: str | None) -> keras.Model:
    """A network with fresh weights, or with the heads and the weights of the cascade `init`."""
    source = load_stages(init, stage)[stage] if init else None
    landmarks = "landmark" in source.output if source else recipe.landmark_head
    with dtype_policy_scope(recipe.precision):
        model = mtcnn(stage, landmarks, recipe.l2)
    if source:
        assign_weights(model, model_arrays(source), f"--init {init}")
    return model


def ratio_for(model: keras.Model, recipe: FaceRecipe) -> ClassCounts:
    """The recipe's class ratio; no landmark crops for a network without a landmark head."""
    return recipe.class_ratio if "landmark" in model.output else (*recipe.class_ratio[:3], 0)


def evaluate_crops(predict: tf.types.experimental.GenericFunction, crops: CropSet) -> Metrics:
    """A network's metrics on crops; see `kptkit.metrics.crops.crop_metrics`.

    Args:
        predict: maps images (B, S, S, 3) uint8 to the network's outputs.
    """
    true, predicted = [], []
    for batch in face_evaluation_batches(crops, EVALUATED_AT_ONCE):
        outputs = predict(batch.pop("image"))
        # P-Net's outputs have the spatial dimensions of a single window.
        predicted.append({k: v.numpy().reshape(-1, v.shape[-1]) for k, v in outputs.items()})
        true.append({k: v.numpy() for k, v in batch.items()})
    return crop_metrics(*(_joined(parts) for parts in (true, predicted)))


def score(metrics: Metrics, recipe: FaceRecipe) -> float:
    """The number that selects the best weights: recall minus the box and landmark errors.

    Recall is a share of the faces, the box error a share of the window's side, the landmark error
    a share of the distance between the eyes; the errors are weighted as in the loss.
    """
    classification, box, landmark = recipe.loss_weights
    total = classification * metrics["recall_97"] - box * metrics["box_error"]
    if recipe.class_ratio[3]:
        total -= landmark * metrics.get("landmark_error", 0.0)
    return total


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
