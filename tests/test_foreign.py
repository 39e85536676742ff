"""Code of the user's own: what is imported, what is checked, and what is never imported."""

import hashlib
import sys

import keras
import numpy as np
import pytest
from support.sealed_files import put, reseal

from kptkit import foreign, opener
from kptkit.errors import InputError
from kptkit.losses import HeatmapLoss, heatmap_mse
from kptkit.network import build_model
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import PoseRun
from kptkit.skeletons.known import COCO_17
from kptkit.weights.arrays import publish_arrays
from kptkit.weights.card import Origin, WeightsCard

NETWORK = """
from keras import Input, Model, layers

def net(num_keypoints, input_size_wh):
    width, height = input_size_wh
    image = Input((height, width, 3))
    x = layers.Conv2D(8, 3, 4, "same", name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    return Model(image, layers.Conv2D(num_keypoints, 1, dtype="float32", name="head")(x))

def unnamed(num_keypoints, input_size_wh):
    image = Input((*input_size_wh[::-1], 3))
    x = layers.Conv2D(8, 3, 4, "same")(image)
    return Model(image, layers.Conv2D(num_keypoints, 1, dtype="float32", name="head")(x))

def too_large(num_keypoints, input_size_wh):
    image = Input((*input_size_wh[::-1], 3))
    return Model(image, layers.Conv2D(num_keypoints, 1, name="head")(image))

def half(num_keypoints, input_size_wh):
    image = Input((*input_size_wh[::-1], 3))
    head = layers.Conv2D(num_keypoints, 3, 4, "same", dtype="float16", name="head")
    return Model(image, head(image))

class Subclass(Model):
    pass

def subclass(num_keypoints, input_size_wh):
    return Subclass()

def two_outputs(num_keypoints, input_size_wh):
    model = net(num_keypoints, input_size_wh)
    return Model(model.input, {"heatmaps": model.output, "again": model.output})

def other_arguments():
    return None

def ending(num_keypoints, input_size_wh):
    raise SystemExit(3)

def nothing(num_keypoints, input_size_wh):
    return None

number = 3
"""
RECIPE = PoseRecipe(input_size_wh=(64, 64))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder; modules in it have names of their own, since Python keeps modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("own_")]:
        del sys.modules[name]


def recipe(name):
    return PoseRecipe(input_size_wh=(48, 64), network=name)


@pytest.mark.parametrize("name", ["own_net:net", "own_package.inner.nets:net"])
def test_a_function_is_found_in_the_current_folder(folder, name):
    path = folder / (name.partition(":")[0].replace(".", "/") + ".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(NETWORK)
    found = foreign.import_function(name, "--network")
    assert (found.name, found.function.__name__) == (name, "net")
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    model = build_model(recipe(name), 5, foreign=found)
    assert model.output_shape == (None, 16, 12, 5)


def test_one_of_the_environment_too():
    found = foreign.import_function("kptkit.losses:heatmap_mse", "--loss")
    assert found.function is heatmap_mse


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", r"--network : expected package\.module:function"),
        ("own_net", "expected package.module:function"),
        ("own_net:", "expected package.module:function"),
        ("own net:net", "expected package.module:function"),
        ("../own_net:net", "expected package.module:function"),
        ("own_net:net()", "expected package.module:function"),
        ("own_nowhere:net", "no module own_nowhere in .* or the environment; run the command in"),
        ("own_net.inner:net", "no module own_net.inner in"),
        ("own_net:nett", r"no function nett in .*own_net\.py"),
        ("own_net:number", r"no function number in .*own_net\.py"),
        ("tabnanny:net", r"no function net in .*python.*tabnanny\.py"),
        ("own_net.py:net", r"no module own_net\.py in .*; did you mean own_net:net\?"),
        ("./inner/nets.py:net", r"; did you mean inner\.nets:net\?"),
        ("own_needy:net", r"it imports own_missing, which is missing \(.*own_needy\.py:1\)"),
        ("own_broken:net", r"importing it failed: SyntaxError: .* \(.*own_broken\.py:1\)"),
        ("own_failing:net", r"importing it failed: ZeroDivisionError: .*own_failing\.py:2\)"),
        ("own_ending:net", r"importing it failed: sys.exit\(0\) \(.*own_ending\.py:2\)"),
        ("math:floor", "expected a Python function with a source file"),
    ],
)
def test_what_cannot_be_imported_is_one_line(folder, name, message):
    (folder / "own_net.py").write_text(NETWORK)
    (folder / "tabnanny.py").write_text(NETWORK)  # the standard library goes first
    (folder / "own_needy.py").write_text("import own_missing")
    (folder / "own_broken.py").write_text("def net(:")
    (folder / "own_failing.py").write_text("\n1 / 0")
    (folder / "own_ending.py").write_text("import sys\nsys.exit(0)")
    with pytest.raises(InputError, match=message) as caught:
        foreign.import_function(name, "--network")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", r"returned NoneType; expected a keras\.Model"),
        ("too_large", r"maps \(None, 64, 48, 3\) to \(None, 64, 48, 5\); expected .*16, 12, 5\)"),
        ("half", "its heatmaps are float16; expected float32"),
        ("unnamed", "conv2d.*/kernel has an automatic name"),
        ("subclass", "no single input and output of known shape; expected keras.Model"),
        ("two_outputs", "no single input and output|expected .*16, 12, 5"),
        ("other_arguments", r"called with 5 keypoints and \(48, 64\) .* raised TypeError"),
        ("ending", r"raised sys.exit\(3\) \(.*own_net\.py:\d+\)"),
    ],
)
def test_a_model_that_cannot_be_trained_says_why(folder, function, message):
    (folder / "own_net.py").write_text(NETWORK)
    found = foreign.import_function(f"own_net:{function}", "--network")
    with pytest.raises(InputError, match=f"--network own_net:{function}: .*{message}"):
        build_model(recipe(found.name), 5, foreign=found)


def test_shared_batch_statistics_are_for_our_own(folder):
    (folder / "own_net.py").write_text(NETWORK)
    found = foreign.import_function("own_net:net", "--network")
    with pytest.raises(InputError, match="for kptkit's own networks"):
        build_model(recipe(found.name), 5, synchronized=True, foreign=found)


def test_permission_is_for_the_very_network(folder):
    (folder / "own_net.py").write_text(NETWORK)
    found = foreign.import_function("own_net:net", "--network")
    with pytest.raises(
        InputError, match="to import that code, if you trust it, give --network own_net:net"
    ):
        build_model(recipe(found.name), 5)
    with pytest.raises(InputError, match="its network is own_net:other"):
        build_model(recipe("own_net:other"), 5, foreign=found)
    with pytest.raises(InputError, match="--network own_net:net: it was trained as one of kptkit"):
        build_model(RECIPE, 5, foreign=found)


@pytest.fixture
def run(folder):
    """A run whose code says when it is imported."""
    (folder / "own_net.py").write_text("print('imported')\n" + NETWORK)
    found = foreign.import_function("own_net:net", "--network")
    sha256 = {found.name: found.sha256}
    run = PoseRun(folder / "run", recipe(found.name), COCO_17, {}, sha256)
    run.write({})
    model = build_model(run.recipe, 17, foreign=found)
    arrays = {variable.path: np.asarray(variable) for variable in model.variables}
    np.savez(run.folder / "best.npz", **arrays)
    del sys.modules["own_net"]
    return run


def test_a_run_imports_its_code_only_when_it_is_named_again(run, capsys):
    capsys.readouterr()
    for source in (run.folder, run.folder / "best.npz"):
        with pytest.raises(InputError, match=r"run: its network is own_net:net, code outside"):
            opener.load(source)
        with pytest.raises(InputError, match="own_net:other: its network is own_net:net"):
            opener.load(source, network="own_net:other")
    assert "own_net" not in sys.modules
    network = opener.load(run.folder, network="own_net:net")
    assert network.model.output_shape == (None, 16, 12, 17)
    assert capsys.readouterr() == ("imported\n", "")


def test_a_network_of_ours_imports_nothing(folder):
    (folder / "own_net.py").write_text(NETWORK)
    PoseRun(folder / "run", RECIPE, COCO_17, {}).write({})
    with pytest.raises(InputError, match="trained as one of kptkit's own networks; leave it out"):
        opener.find(folder / "run", network="own_net:net")
    assert "own_net" not in sys.modules


def test_changed_code_is_said(run, capsys):
    path = run.folder.parent / "own_net.py"
    path.write_text(path.read_text() + "# a comment\n")
    opener.load(run.folder, network="own_net:net")
    shown = capsys.readouterr().err
    assert shown.startswith(f"warning: {run.folder}: the source of own_net:net is not the one")
    with pytest.raises(InputError, match="source of own_net:net has changed since this run began"):
        PoseRun(run.folder, run.recipe, COCO_17, {}, {"own_net:net": "0"}).write({})


def test_a_run_of_an_earlier_version_goes_on(folder):
    """It has no `code`, and its recipe no `network`."""
    run = PoseRun(folder / "run", RECIPE, COCO_17, {})
    run.write({"seed": 0})
    (run.folder / "best.npz").touch()
    path = run.folder / "config.json"
    for place in ("code", "recipe.network"):
        reseal(path, put(place, ...))
    run.write({"seed": 0})
    with pytest.raises(InputError, match=r"options\.seed was 0, is now 1"):
        run.write({"seed": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "nets"}, r"network: nets; expected package\.module:function"),
        ({"loss": "mes"}, r"loss: mes; expected mse, ohkm, cross_entropy or package"),
        ({"loss": "a:b:c"}, "loss: a:b:c; expected"),
    ],
)
def test_names_are_checked_with_the_recipe(changes, message):
    with pytest.raises(InputError, match=message):
        PoseRecipe(**changes)


@pytest.mark.parametrize("stacks", [0, 2])
def test_a_loss_of_ones_own_is_used_as_ours_are(stacks):
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(4, 40, (3, 5, 2)), np.ones((3, 5, 1))], axis=-1)
    shape = (3, stacks, 16, 12, 5) if stacks else (3, 16, 12, 5)
    maps = rng.uniform(0, 1, shape).astype(np.float32)
    own = HeatmapLoss((48, 64), lambda *arguments: heatmap_mse(*arguments))
    np.testing.assert_array_equal(own(keypoints, maps), HeatmapLoss((48, 64))(keypoints, maps))
    summed = HeatmapLoss((48, 64), lambda *arguments: keras.ops.sum(heatmap_mse(*arguments)))
    with pytest.raises(InputError, match=r"loss: <lambda>: returned shape \(\); expected \(B,\)"):
        summed(keypoints, maps)
    nothing = HeatmapLoss((48, 64), lambda *_: None)
    with pytest.raises(InputError, match=r"returned None; expected a tensor \(B,\)"):
        nothing(keypoints, maps)
    by_keypoint = HeatmapLoss((48, 64), lambda true, *_: keras.ops.mean(true, axis=(0, 1, 2)))
    with pytest.raises(InputError, match=r"returned shape \(5,\); expected \(B,\)"):
        by_keypoint(keypoints, maps)
    with pytest.raises(InputError, match="loss: own_losses:one; expected a function, or one of"):
        HeatmapLoss((48, 64), "own_losses:one")


@pytest.mark.parametrize("where", ["run", "card"])
def test_what_came_from_elsewhere_imports_nothing(folder, where):
    """Neither the loss that a run names, nor the network of a weights file."""
    (folder / "own_net.py").write_text(NETWORK)
    if where == "run":
        recipe_with_loss = PoseRecipe(input_size_wh=(64, 64), variant="demo", loss="own_net:net")
        run = PoseRun(folder / "run", recipe_with_loss, COCO_17, {}, {"own_net:net": "0"})
        run.write({})
        model = build_model(PoseRecipe(input_size_wh=(64, 64), variant="demo"), 17)
        np.savez(run.best, **{variable.path: np.asarray(variable) for variable in model.variables})
        opener.load(run.folder)
    else:
        card = WeightsCard("functional", Origin("elsewhere"), recipe("own_net:net"), COCO_17)
        publish_arrays(folder / "weights.npz", {"first/kernel": np.zeros(1, np.float32)}, card)
        with pytest.raises(InputError, match="its network is own_net:net, code outside kptkit"):
            opener.load(folder / "weights.npz")
    assert "own_net" not in sys.modules
