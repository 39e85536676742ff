"""One opener: run folder, weights file and name give the same network, by every way in."""

import numpy as np
import pytest
from support.export_runs import small_run

import kptkit
from kptkit import opener
from kptkit.arrays import save_arrays
from kptkit.errors import InputError
from kptkit.network import PoseNetwork
from kptkit.pose import PoseEstimator
from kptkit.skeletons import COCO_17
from kptkit.weights.arrays import load_arrays
from kptkit.weights.assign import model_arrays, save_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Its last weights are other numbers than its best."""
    run = small_run(tmp_path_factory.mktemp("run"), "demo")
    last = {name: array + 1 for name, array in load_arrays(run.best).items()}
    save_arrays(run.folder / "last.npz", last)
    return run


@pytest.mark.parametrize("name", ["", "best.npz", "last.npz"])
def test_a_run_folder_and_the_weights_inside_it(run, name):
    source = opener.find(run.folder / name)
    assert source.weights == run.folder / (name or "best.npz")
    assert (source.folder, source.recipe, source.schema) == (run.folder, run.recipe, COCO_17)
    assert source.origin is None


def test_every_way_in_gives_the_same_network(run):
    last = run.folder / "last.npz"
    for weights, estimator in (
        (run.best, PoseEstimator(run.folder)),
        (run.best, PoseEstimator.from_run(run.folder)),
        (run.best, PoseEstimator.from_weights(str(run.best))),
        (run.best, PoseEstimator(kptkit.load(run.folder))),
        (last, PoseEstimator.from_run(run.folder, "last.npz")),
        (last, PoseEstimator(last)),
    ):
        assert (estimator.recipe, estimator.schema) == (run.recipe, COCO_17)
        expected, found = load_arrays(weights), model_arrays(estimator.model)
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
    with pytest.raises(InputError, match=r"weights: last\.npz; expected a run folder beside it"):
        opener.find(run.best, "last.npz")
    with pytest.raises(InputError, match=r"none\.npz: no such weights file"):
        PoseEstimator.from_run(run.folder, "none.npz")
