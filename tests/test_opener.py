"""One opener: run folder, weights file and name give the same network, by every way in."""

import shutil

import numpy as np
import pytest
from support.export_runs import small_run

import kptkit
from kptkit import opener
from kptkit.errors import InputError
from kptkit.network import PoseNetwork
from kptkit.pose import PoseEstimator
from kptkit.skeletons import COCO_17
from kptkit.weights.arrays import load_arrays
from kptkit.weights.assign import model_arrays, save_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = small_run(tmp_path_factory.mktemp("run"), "demo")
    shutil.copy(run.best, run.folder / "last.npz")
    return run


@pytest.mark.parametrize("name", ["", "best.npz", "last.npz"])
def test_a_run_folder_and_the_weights_inside_it(run, name):
    source = opener.find(run.folder / name)
    assert source.weights == run.folder / (name or "best.npz")
    assert (source.folder, source.recipe, source.schema) == (run.folder, run.recipe, COCO_17)
    assert source.origin is None


def test_every_way_in_gives_the_same_network(run):
    expected = load_arrays(run.best)
    for estimator in (
        PoseEstimator(run.folder),
        PoseEstimator.from_run(run.folder, "last.npz"),
        PoseEstimator.from_weights(str(run.best)),
        PoseEstimator(kptkit.load(run.folder)),
    ):
        assert (estimator.recipe, estimator.schema) == (run.recipe, COCO_17)
        found = model_arrays(estimator.model)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
    assert kptkit.load is kptkit.weights.load is opener.load


def test_a_network_that_is_loaded_already_is_taken_as_it_is(run):
    network = opener.load(run.folder)
    assert isinstance(network, PoseNetwork)
    assert PoseEstimator(network).network is network


def test_other_constants_of_the_recipe(run):
    source = opener.find(run.folder)
    assert opener.load(run.folder).recipe.precision == "mixed_bfloat16"
    recipe = kptkit.recipes.PoseRecipe(**(vars(source.recipe) | {"precision": "float32"}))
    assert opener.build(source, recipe).model.dtype_policy.name == "float32"


def test_weights_that_no_run_explains(run, tmp_path):
    save_weights(opener.load(run.folder).model, tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"a\.npz: weights without a recipe; give the folder"):
        opener.find(tmp_path / "a.npz")
    with pytest.raises(InputError, match=f"{tmp_path}: no run folder"):
        PoseEstimator(tmp_path)
    with pytest.raises(InputError, match=r"none\.npz: no such weights file"):
        PoseEstimator.from_run(run.folder, "none.npz")
