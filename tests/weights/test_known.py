"""The table of known assign, and where a name leads."""

import hashlib
import os
import re
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest

from kptkit import opener
from kptkit.errors import InputError
from kptkit.models import hourglass, hrnet, sizes
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import RECIPES
from kptkit.skeletons.known import COCO_17
from kptkit.weights import assign
from kptkit.weights.arrays import CARD, load_arrays, publish_arrays
from kptkit.weights.card import Origin, WeightsCard
from kptkit.weights.cascade import load_cascade
from kptkit.weights.known import KNOWN, cached_or_path, cached_path, known

pytestmark = pytest.mark.usefixtures("cache")

RECIPE = replace(RECIPES["demo"], input_size_wh=(64, 64), flip_alignment="whole_pixel")
ORIGIN = Origin("demo.pth", "0" * 64, "AP 1", "Somebody 2020", "MIT")


@pytest.fixture(scope="module")
def model():
    return hrnet.hrnet(17, "demo", (64, 64))


@pytest.fixture
def file(model, tmp_path):
    card = WeightsCard(model.name, ORIGIN, RECIPE, COCO_17)
    publish_arrays(tmp_path / "a.npz", assign.model_arrays(model), card)
    return tmp_path / "a.npz"


@pytest.mark.parametrize("name", KNOWN)
def test_every_row_is_whole(name):
    row = KNOWN[name]
    assert row.score
    assert row.cite
    assert row.licence
    assert row.files
    for file in row.files:
        assert re.fullmatch("[0-9a-f]{8,64}" if file.url else "[0-9a-f]*", file.sha256)
        if file.url:
            assert urlsplit(file.url).scheme == "https"
            assert file.url.endswith("/" + file.name)
            # mmpose's and HRNet's names carry their checksum.
            assert len(file.sha256) == 64 or file.sha256 in file.name
    if row.task == "face":
        assert len(row.files) == 3
        return
    assert row.variant in sizes.HRNETS | sizes.HOURGLASSES
    assert (row.recipe is None) == (row.schema is None)
    if row.recipe:
        assert row.recipe.variant == row.variant
        width, height = row.recipe.input_size_wh
        assert f"{row.variant}-{height}x{width}" in name or row.recipe.num_stacks
        assert row.schema.num_keypoints == (17 if name.startswith("coco") else 16)
        ways = (row.recipe.decoder, row.recipe.convention, row.recipe.flip_alignment)
        assert ways == {
            "dark": ("dark", "official", "whole_pixel"),
            "udp": ("dark", "udp", "none"),
            "darkpose": ("dark", "darkpose", "none"),
            "princeton": ("quarter", "princeton", "none"),
        }.get(name.rpartition("-")[2], ("quarter", "official", "whole_pixel"))


def test_addresses_and_checksums_are_of_one_file_each():
    files = [file for row in KNOWN.values() for file in row.files if file.url]
    assert len({file.url for file in files}) == len({file.sha256 for file in files}) == len(files)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("coco-w32-256x192", "--from coco-w32-256x192"),
        (
            "coco-w48-384x288-official",
            "--from coco-w48-384x288-official pose_hrnet_w48_384x288.pth",
        ),
    ],
)
def test_a_name_that_is_not_in_the_cache_says_what_fetches_it(name, command):
    for take in (opener.load, PoseEstimator.from_weights):
        with pytest.raises(InputError, match=f"{name}: not here yet") as caught:
            take(name)
        assert str(caught.value).endswith(f"kptkit convert {command}")


def test_names_of_the_other_task_and_of_none():
    with pytest.raises(InputError, match="coco-w32-256x192: pose weights; expected face weights"):
        load_cascade("coco-w32-256x192")
    with pytest.raises(InputError, match="mtcnn-original: face weights; expected pose weights"):
        opener.load("mtcnn-original")
    with pytest.raises(InputError, match=r"kptkit convert --from mtcnn-original$"):
        load_cascade("mtcnn-original")
    with pytest.raises(InputError, match=r"did you mean coco-w32-256x192\?"):
        opener.load("coco-w32-256x129")
    with pytest.raises(InputError, match=r"known are coco-w32.*did you mean mpii-w32-256x256\?"):
        known("mpii-w32")
    with pytest.raises(InputError, match="kptkit convert --from list; train first"):
        cached_or_path("zzzz", "pose")


def test_a_name_is_never_looked_for_in_the_working_folder(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for planted in ("coco-w32-256x192", "coco-w32-256x192.npz"):
        os.link(file, planted)
    with pytest.raises(InputError, match="not here yet"):
        opener.load("coco-w32-256x192")


def test_a_name_in_the_cache(model, file, cache):
    cache.mkdir()
    file.rename(cached_path("coco-w32-256x192"))
    found = PoseEstimator.from_weights("coco-w32-256x192")
    assert (found.recipe, found.schema) == (RECIPE, COCO_17)
    for name, array in assign.model_arrays(model).items():
        np.testing.assert_array_equal(assign.model_arrays(found.model)[name], array)
    run = opener.find("coco-w32-256x192")
    assert str(run.folder) == "runs/coco-w32-256x192"
    assert run.origin == ORIGIN


def test_a_card_survives_and_a_checksum_stands_beside(file):
    run = opener.find(file)
    assert (run.recipe, run.schema, run.origin) == (RECIPE, COCO_17, ORIGIN)
    assert run.weights == file
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    sidecar = file.with_name("a.npz.sha256")
    assert sidecar.read_text() == f"{digest}  a.npz\n"
    sidecar.write_text("0" * 64)
    with pytest.raises(InputError, match="its SHA-256 is"):
        opener.load(file)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"network": "a", "origin": 1}', "[" * 100_000, '{"origin": {"a": "b"}}'),
        '{"network": "a", "origin": {"source": ""}, "recipe": {"variant": 1}, "schema": {}}',
        '{"network": "a", "origin": {"source": ""}, "recipe": {"input_size_wh": [1, 1]}}',
    ],
)
def test_a_card_that_is_none(file, text):
    arrays = load_arrays(file)
    arrays[CARD] = np.array(text)
    publish_arrays(file, arrays)
    with pytest.raises(InputError, match=r"a\.npz: card: .*(expected|required|unknown)"):
        opener.load(file)


def test_weights_without_a_recipe(model, file):
    assign.save_weights(model, file.with_name("b.npz"))
    with pytest.raises(InputError, match="weights without a recipe; give the folder"):
        opener.load(file.with_name("b.npz"))


def test_features_are_to_start_from(model, tmp_path):
    arrays = assign.model_arrays(model)
    features = {n: x for n, x in arrays.items() if not n.startswith("final_layer/")}
    publish_arrays(tmp_path / "f.npz", features, WeightsCard("hrnet_demo", ORIGIN))
    with pytest.raises(InputError, match=r"without a head; .* --init .*f\.npz"):
        opener.load(tmp_path / "f.npz")
    other = hrnet.hrnet(24, "demo", (96, 64))
    (line,) = opener.initialise(other, tmp_path / "f.npz")
    assert line.endswith("its head has no keypoints, this model 24; the head starts afresh")
    for name, array in features.items():
        np.testing.assert_array_equal(assign.model_arrays(other)[name], array)


def test_another_network_is_named_before_its_arrays(file, cache):
    cache.mkdir()
    file.rename(cached_path("coco-w32-256x192"))
    with pytest.raises(InputError, match="weights of hrnet_demo, but the model is hourglass_hg2_s"):
        opener.initialise(hourglass.hourglass(17, "hg2_small", (64, 64)), "coco-w32-256x192")


def test_an_hourglass_renews_every_head(tmp_path):
    three, five = (hourglass.hourglass(k, "hg2_small", (64, 64)) for k in (3, 5))
    assign.save_weights(three, tmp_path / "a.npz")
    theirs, fresh = assign.model_arrays(three), assign.model_arrays(five)
    (line,) = opener.initialise(five, tmp_path / "a.npz")
    assert "its head has 3 keypoints, this model 5" in line
    for name, array in assign.model_arrays(five).items():
        is_head = name.startswith(("outs.", "merge_preds."))
        expected = fresh[name] if is_head else theirs[name]
        np.testing.assert_array_equal(array, expected)
    with pytest.raises(InputError, match="does not fit"):
        opener.initialise(hourglass.hourglass(3, "hg4_small", (64, 64)), tmp_path / "a.npz")
