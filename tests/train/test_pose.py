"""What a recipe builds: the first loss, Keras's own fit, and the choices around it."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kptkit.commands.train import default_config
from kptkit.data.augment.settings import AugmentConfig
from kptkit.data.batches.pose import pose_evaluation_batches, pose_training_batches
from kptkit.data.pose_flags import DataConfig
from kptkit.data.pose_sets import PoseData, PoseSet
from kptkit.data.records.sources import ImageSource
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.images.codec import write_image
from kptkit.losses import HeatmapLoss
from kptkit.models.hrnet import hrnet
from kptkit.recipes.pose import RECIPES, PoseRecipe
from kptkit.samples import KeypointSamples
from kptkit.skeletons.known import COCO_17
from kptkit.skeletons.schema import KeypointSchema
from kptkit.train.flags import TrainOptions
from kptkit.train.optimizer import Adam
from kptkit.train.pose import keypoint_weights, pose_identity, workload

SIZE_WH = (64, 64)
FIVE = KeypointSchema(tuple("abcde"), (), (), (0.05,) * 5)


def batch(count=4):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (count, SIZE_WH[1], SIZE_WH[0], 3), dtype=np.uint8)
    keypoints = np.concatenate(
        [rng.uniform(0, 64, (count, 17, 2)), np.ones((count, 17, 1))], axis=-1
    ).astype(np.float32)
    return image, keypoints


@pytest.mark.parametrize("variant", ["demo", "w18_small"])
def test_the_first_mse_is_that_of_predicting_zero(variant):
    """Larger first outputs send the network to the plateau of predicting zero, where it stays."""
    keras.utils.set_random_seed(0)
    image, keypoints = batch()
    heatmaps = hrnet(17, variant, SIZE_WH)(image, training=True)
    loss = HeatmapLoss(SIZE_WH, "mse")
    first = float(np.mean(loss.call(keypoints, heatmaps)))
    zero = float(np.mean(loss.call(keypoints, np.zeros(heatmaps.shape, np.float32))))
    assert zero / 2 < first < 2 * zero


def test_a_model_trains_in_keras_fit():
    keras.utils.set_random_seed(0)
    image, keypoints = batch(8)
    model = hrnet(17, "demo", SIZE_WH)
    model.compile(Adam(5e-3), HeatmapLoss(SIZE_WH, "cross_entropy"), run_eagerly=True)
    losses = model.fit(image, keypoints, batch_size=8, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_recipes_are_the_papers():
    official = RECIPES["w32-256x192"]
    assert official == PoseRecipe()
    assert (official.learning_rate, official.learning_rate_drops) == (1e-3, (170, 200))
    assert (official.epochs, official.batch_size) == (210, 128)
    assert (official.augment.scale, official.augment.rotation_degrees) == (0.35, 45.0)
    for name, recipe in RECIPES.items():
        if name[0] == "w":
            width = "x".join(map(str, recipe.input_size_wh[::-1]))
            assert name.startswith(f"{recipe.variant}-{width}")
            assert (recipe.decoder == "dark") == name.endswith("-dark")
            assert recipe.heatmap_sigma == {256: 2, 384: 3}[recipe.input_size_wh[1]]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "demo"),
        (["--data.train", "x.json"], "finetune"),
        (["--data.train=x.json", "--recipe", "w48-384x288"], "w48-384x288"),
        (["--recipe=w32-256x192-dark"], "w32-256x192-dark"),
    ],
)
def test_which_recipe_a_command_starts_from(arguments, name):
    config = default_config(arguments)
    assert (config.recipe, config.constants) == (name, RECIPES[name])


def test_the_hourglass_script_starts_from_its_own_recipes():
    defaults = {"demo": "hg-demo", "own_data": "hg-finetune"}
    assert default_config([], **defaults).recipe == "hg-demo"
    assert default_config(["--data.train=x.json"], **defaults).recipe == "hg-finetune"


def test_an_unknown_recipe_is_an_error_with_a_suggestion():
    with pytest.raises(InputError, match=r"did you mean w32-256x192\?"):
        default_config(["--recipe", "w32-256x193"])


def test_the_hourglass_recipes():
    paper = RECIPES["hg8"]
    assert (paper.variant, paper.num_stacks, paper.input_size_wh) == ("hg8", 8, (256, 256))
    assert (paper.optimizer, paper.learning_rate) == ("rmsprop", 2.5e-4)
    assert (paper.flip_test, paper.flip_alignment, paper.decoder) == (True, "none", "quarter")
    assert (paper.augment.distribution, paper.augment.scale) == ("uniform", 0.25)
    assert (paper.augment.rotation_degrees, paper.augment.rotation_probability) == (30.0, 1.0)
    assert (paper.heatmap_sigma, RECIPES["hg8-dark"].heatmap_sigma) == (1.0, 2.0)
    stronger = RECIPES["hg8-dark"]
    assert (stronger.target, stronger.decoder) == ("unbiased", "dark")
    assert (stronger.optimizer, stronger.flip_alignment) == ("adam", "fractional")


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"variant": "hg2", "input_size_wh": (192, 224)}, "expected multiples of 64"),
        ({"variant": "w32", "input_size_wh": (192, 250)}, "expected multiples of 32"),
        ({"stack_weights": (1.0,)}, "0 stacks of w32"),
        (
            {"variant": "hg2", "input_size_wh": (64, 64), "stack_weights": (1.0,)},
            "stack_weights: 1 numbers; expected one for each of the 2 stacks of hg2",
        ),
        ({"target_sigma": -1.0}, "target_sigma: -1.0; expected a number from 0"),
    ],
)
def test_recipes_that_no_network_has(constants, message):
    with pytest.raises(InputError, match=message):
        PoseRecipe(**constants)


def test_limb_weights_are_for_coco_only():
    limbs = PoseRecipe(keypoint_weights="limbs")
    assert keypoint_weights(PoseRecipe(), FIVE) is None
    assert keypoint_weights(limbs, COCO_17)[COCO_17.names.index("left_wrist")] == 1.5
    with pytest.raises(InputError, match="17 COCO keypoints only"):
        keypoint_weights(limbs, FIVE)


def test_identity_follows_the_training_data(tmp_path):
    path = tmp_path / "train.json"
    path.write_text("a")
    before = pose_identity(TrainOptions(), path)
    assert pose_identity(TrainOptions(checkpoint_seconds=9), path) == before
    assert pose_identity(TrainOptions(seed=1), path) != before
    path.write_text("b")
    assert pose_identity(TrainOptions(), path) != before


def test_what_is_learned_by_heart_is_neither_varied_nor_mirrored(tmp_path):
    """Every crop that is trained on is the crop of evaluation, whatever the recipe varies."""
    rng = np.random.default_rng(0)
    write_image(tmp_path / "a.png", rng.integers(0, 256, (80, 90, 3), np.uint8))
    low, side = np.float32([20, 10]), np.float32([40, 60])
    points = low + rng.uniform(size=(3, 17, 2)) * side
    samples = KeypointSamples(
        schema=COCO_17,
        image_paths=(str(tmp_path / "a.png"),),
        image_ids=np.zeros(1, np.int64),
        image_wh=np.int32([[90, 80]]),
        image_index=np.zeros(3, np.int64),
        sample_ids=np.arange(3),
        boxes_xyxy=np.tile(np.concatenate([low, low + side]), (3, 1)),
        keypoints=np.concatenate([points, np.full((3, 17, 1), 2)], axis=2).astype(np.float32),
        box_scores=np.ones(3, np.float32),
    )
    persons = PoseSet(ImageSource(samples), {"annotations": [{"id": n} for n in range(3)]})
    always = {f"{name}_probability": 1 for name in ("rotation", "flip", "half_body", "shift")}
    strong = AugmentConfig(**always, shift=0.2, photometric=True)
    recipe = replace(RECIPES["demo"], augment=strong, flip_test=True)
    work = workload(recipe, PoseData(COCO_17, persons, persons, ()), TrainOptions(overfit=1))
    assert work.train is work.held_out
    assert work.train.source.samples.sample_ids.tolist() == [0]
    assert not work.recipe.flip_test
    assert work.recipe.batch_size == 1  # there is one person, and each step sees it
    shared = {"size_wh": SIZE_WH, "batch_size": 4, "skipped": SkippedPictures(1)}
    one_step = {"augment": work.recipe.augment, "seed": 0, "start_step": 0, "stop_step": 1}
    learned = next(iter(pose_training_batches(work.train.source, **one_step, **shared)))
    judged = next(iter(pose_evaluation_batches(work.held_out.source, **shared)))
    for name, atol in (("image", 1), ("keypoints", 1e-4), ("image_to_crop", 1e-4)):
        found, expected = (np.asarray(batch[name], np.float32) for batch in (learned, judged))
        np.testing.assert_allclose(found, np.repeat(expected[:1], 4, axis=0), rtol=0, atol=atol)


@pytest.mark.parametrize(("batch_size", "used"), [(2, 2), (3, 3), (4096, 3)])
def test_a_batch_is_not_larger_than_the_set(tmp_path, capsys, batch_size, used):
    """4,096 of 29 persons once took 23.7 GB, nearly all of it padding."""
    empty = np.zeros((3, 17, 3), np.float32)
    samples = KeypointSamples(
        schema=COCO_17,
        image_paths=("a.png",),
        image_ids=np.zeros(1, np.int64),
        image_wh=np.int32([[90, 80]]),
        image_index=np.zeros(3, np.int64),
        sample_ids=np.arange(3),
        boxes_xyxy=np.zeros((3, 4), np.float32),
        keypoints=empty,
        box_scores=np.ones(3, np.float32),
    )
    persons = PoseSet(ImageSource(samples), {"annotations": []})
    recipe = replace(RECIPES["demo"], batch_size=batch_size)
    work = workload(recipe, PoseData(COCO_17, persons, persons, ()), TrainOptions())
    assert work.recipe.batch_size == used
    assert work.steps_per_epoch == -(-3 // used)
    said = "batch of 3 persons: there are no more to learn from; --batch-size was 4,096\n"
    assert capsys.readouterr().out == (said if batch_size > 3 else "")


def test_paths_of_a_run_are_absolute_and_shares_stay():
    config = DataConfig(train="a.json", val="0.1", images="b").absolute()
    assert config.train.startswith("/")
    assert config.images.startswith("/")
    assert (config.val, config.val_images) == ("0.1", None)
