"""One network of the cascade: what it learns from, how it is judged, and what a kill costs."""

import csv
from dataclasses import replace

import keras
import numpy as np
import pytest

from kptkit.commands.train import default_face_config
from kptkit.data.batches.face import (
    CropSet,
    face_evaluation_batches,
    face_training_batches,
    hold_out,
)
from kptkit.data.records.crops import CropRecords
from kptkit.errors import InputError
from kptkit.metrics.crops import crop_metrics
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES
from kptkit.recipes.face import FACE_RECIPES, FaceRecipe
from kptkit.runs import FaceRun
from kptkit.train.face_stage import (
    StageData,
    build_stage_model,
    build_stage_step,
    evaluate_crops,
    fit_stage,
    ratio_for,
    score,
)
from kptkit.train.flags import FaceOptions
from kptkit.weights.arrays import load_arrays
from kptkit.weights.assign import model_arrays
from kptkit.weights.cascade import save_cascade

TINY = FaceRecipe(
    optimizer="adam",
    learning_rate=3e-3,
    schedule="cosine",
    batch_size=28,
    epochs=3,
    steps_per_epoch=8,
    ema_decay=0.9,
)


@pytest.fixture(scope="module")
def data(crop_folder):
    return StageData(*hold_out(CropRecords(crop_folder()), 0.1))


def fit(folder, data, stage="pnet", **changes):
    run = FaceRun(folder, stage, replace(TINY, **changes), {})
    return fit_stage(run, data, FaceOptions())


def history(folder):
    with open(folder / "history.csv") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that nothing disturbed, and its best metrics."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, fit(folder, data)


def test_a_network_learns_and_is_judged(whole):
    folder, metrics = whole
    rows = history(folder)
    assert [row["step"] for row in rows] == ["8", "16", "24"]
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])
    assert metrics["accuracy"] > 0.9
    names = {"score", "accuracy_faces", "accuracy_others", "recall_97"}
    assert names | {"box_error", "landmark_error"} < set(metrics)
    assert max(float(row["score"]) for row in rows) == metrics["score"]


def test_a_killed_run_goes_on_to_the_same_bits(whole, data, tmp_path, monkeypatch):
    from kptkit.train import face_stage

    calls = []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate_crops(*arguments)

    monkeypatch.setattr(face_stage, "evaluate_crops", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, data)
    assert len(history(tmp_path)) == 1
    monkeypatch.undo()
    fit(tmp_path, data)
    for mine, theirs in zip(history(tmp_path), history(whole[0]), strict=True):
        assert {k: v for k, v in mine.items() if k not in ("images_per_second", "data_wait")} == {
            k: v for k, v in theirs.items() if k not in ("images_per_second", "data_wait")
        }
    for name in ("best.npz", "last.npz"):
        mine, theirs = (load_arrays(folder / name) for folder in (tmp_path, whole[0]))
        assert all((mine[key] == theirs[key]).all() for key in theirs)


@pytest.mark.parametrize("stage", ["rnet", "onet"])
@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_the_first_loss_is_the_papers(crop_folder, stage, optimizer):
    """Cross-entropy of the hardest 0.7, squared errors of boxes and landmarks, L2 of kernels."""
    keras.utils.set_random_seed(3)
    recipe = replace(TINY, optimizer=optimizer, loss_weights=(1.0, 0.5, 2.0), l2=1e-2)
    step = build_stage_step(stage, recipe, FaceOptions(), 10)
    crops = CropSet.whole(CropRecords(crop_folder(stage, parts=1)))
    settings = {"augment_by": recipe.augment, "seed": 0, "start_step": 0, "stop_step": 1}
    (batch,) = face_training_batches(crops, batch_size=28, ratio=recipe.class_ratio, **settings)
    outputs = {k: v.numpy().astype(float) for k, v in step.model(batch["image"]).items()}
    true = {name: value.numpy() for name, value in batch.items()}

    margin = outputs["logits"][:, 1] - outputs["logits"][:, 0]
    signed = np.where(true["is_face"] == 1, -margin, margin)
    entropies = np.sort(np.log1p(np.exp(signed))[true["class_valid"]])[::-1]
    assert len(entropies) == 16
    squares = {
        name: ((outputs[name] - true[name]) ** 2).sum(axis=1)[true[f"{name}_valid"]].mean()
        for name in ("box", "landmark")
    }
    kernels = [
        v for k, v in model_arrays(step.model).items() if k.startswith("conv") and "kernel" in k
    ]
    assert len(kernels) == len(STAGES[stage].convolutions)
    expected = entropies[:11].mean() + 0.5 * squares["box"] + 2 * squares["landmark"]
    expected += 1e-2 * sum((kernel.astype(float) ** 2).sum() for kernel in kernels)
    before = model_arrays(step.model)
    np.testing.assert_allclose(step(batch), expected, rtol=1e-5)
    after = model_arrays(step.model)
    assert all((before[name] != after[name]).any() for name in before)


def test_judging_sees_every_crop_once(data):
    model = mtcnn("pnet")
    metrics = evaluate_crops(lambda images: model(images), data.held_out)
    (batch,) = face_evaluation_batches(data.held_out, 10_000)
    outputs = model(batch["image"])
    predicted = {name: value.numpy()[:, 0, 0] for name, value in outputs.items()}
    true = {name: value.numpy() for name, value in batch.items()}
    assert metrics == pytest.approx(crop_metrics(true, predicted))


def test_the_score_weighs_errors_as_the_loss_does():
    metrics = {"recall_97": 0.8, "box_error": 0.1, "landmark_error": 0.2}
    assert score(metrics, TINY) == pytest.approx(0.8 - 0.5 * 0.1 - 0.5 * 0.2)
    assert score(metrics, replace(TINY, loss_weights=(2, 1, 0))) == pytest.approx(1.6 - 0.1)
    unknown = metrics | {"landmark_error": float("nan")}
    assert score(unknown, replace(TINY, class_ratio=(3, 1, 1, 0))) == pytest.approx(0.75)
    del metrics["landmark_error"]
    assert score(metrics, TINY) == pytest.approx(0.75)


def test_fine_tuning_starts_from_a_cascade_and_keeps_its_heads(tmp_path):
    keras.utils.set_random_seed(1)
    models = {"pnet": mtcnn("pnet", landmarks=False), "rnet": mtcnn("rnet")}
    save_cascade(tmp_path / "some.npz", models)
    for stage, model in models.items():
        network = build_stage_model(stage, TINY, str(tmp_path / "some.npz"))
        for name, array in model_arrays(model).items():
            np.testing.assert_array_equal(model_arrays(network)[name], array)
    assert network.losses  # the published networks are decayed too
    assert ratio_for(models["pnet"], TINY) == (3, 1, 1, 0)
    assert ratio_for(models["rnet"], TINY) == (3, 1, 1, 2)
    with pytest.raises(InputError, match=r"some.npz: .* onet must be in it too"):
        build_stage_model("onet", TINY, str(tmp_path / "some.npz"))


@pytest.mark.parametrize("recipe", FACE_RECIPES)
def test_recipes_are_complete(recipe):
    assert list(FACE_RECIPES[recipe]) == list(STAGES)
    assert FACE_RECIPES[recipe]["onet"].loss_weights == (1, 0.5, 1)
    for stage in ("pnet", "rnet"):
        assert FACE_RECIPES[recipe][stage].loss_weights == (1, 0.5, 0.5)


def test_the_published_recipe():
    recipes = FACE_RECIPES["published"]
    assert [recipe.epochs for recipe in recipes.values()] == [30, 22, 22]
    for recipe in recipes.values():
        assert (recipe.optimizer, recipe.schedule) == ("momentum", "step")
        assert (recipe.learning_rate_drops, recipe.l2) == ((6, 14, 20), 2.5e-4)
    assert (recipes["pnet"].learning_rate, recipes["pnet"].batch_size) == (0.01, 384)


@pytest.mark.parametrize(
    ("arguments", "recipe", "stage"),
    [
        ([], "demo", "pnet"),
        (["--stage", "onet"], "demo", "onet"),
        (["--data.train", "crops", "--stage=rnet"], "wider", "rnet"),
        (["--annotations=x.txt"], "wider", "pnet"),
        (["--annotations", "x.txt", "--recipe", "published"], "published", "pnet"),
    ],
)
def test_which_constants_a_command_starts_from(arguments, recipe, stage):
    config = default_face_config(arguments)
    assert (config.recipe, config.constants) == (recipe, FACE_RECIPES[recipe][stage])


def test_constants_given_for_all_stages_hold_for_each():
    config = default_face_config([])
    given = replace(config, constants=replace(config.constants, epochs=7, learning_rate=0.5))
    for stage, recipe in FACE_RECIPES["demo"].items():
        assert given.recipe_of(stage) == replace(recipe, epochs=7, learning_rate=0.5)
        assert config.recipe_of(stage) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_ratio": (0, 1, 1, 1)}, r"class_ratio: \(0, 1, 1, 1\)"),
        ({"class_ratio": (3, 1, -1, 1)}, "class_ratio"),
        ({"loss_weights": (1, -1, 1)}, "loss_weights"),
        ({"hard_share": 0}, "hard_share: 0; expected a number above 0"),
        ({"l2": -1}, "l2: -1"),
        ({"steps_per_epoch": -1}, "steps_per_epoch: -1"),
        ({"batch_size": 0}, "batch_size: 0; expected a whole number from 1"),
    ],
)
def test_recipes_refuse_what_makes_no_sense(changes, message):
    with pytest.raises(InputError, match=message):
        replace(TINY, **changes)
