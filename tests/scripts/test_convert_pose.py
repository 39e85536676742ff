"""Published pose weights from a server or a file to predictions, and as a start for training.

The network is the demo's, whose layers have W32's names; W32 itself is compared in docs/results.md.
"""

import hashlib
import http.server
import json
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support.torch_states import state_of_model

from kptkit import opener
from kptkit.convert.pose_names import from_hrnet
from kptkit.images.codec import read_image
from kptkit.models.hrnet import hrnet
from kptkit.network import PoseNetwork
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import RECIPES
from kptkit.skeletons.known import COCO_17
from kptkit.weights import assign, known
from kptkit.weights.arrays import publish_arrays
from kptkit.weights.card import Origin, WeightsCard
from kptkit.weights.known import KnownFile, KnownWeights, cached_path

pytestmark = pytest.mark.usefixtures("cache")

PHOTO = "demo/images/val/000001.jpg"
RECIPE = replace(
    RECIPES["demo"],
    input_size_wh=(64, 64),
    loss="mse",
    flip_alignment="whole_pixel",
    decoder="dark",
)


@pytest.fixture(scope="module")
def model():
    """The network with the weights that are published."""
    model = hrnet(17, "demo", (64, 64))
    assign.assign_weights(model, from_hrnet(state_of_model(model), "").arrays, "")
    return model


@pytest.fixture
def checkpoint(model, tmp_path):
    """What a training script of PyTorch leaves."""
    torch = pytest.importorskip("torch", reason="needs PyTorch (the extra `weights`)")
    state = {f"module.{n}": torch.from_numpy(x) for n, x in state_of_model(model).items()}
    path = tmp_path / "published/demo-net.pth"
    path.parent.mkdir()
    torch.save({"epoch": 3, "state_dict": state}, path)
    return path


@pytest.fixture
def publish(monkeypatch):
    """Puts a row into the table of known weights."""

    def add(name, digest="", url="", recipe=RECIPE):
        row = KnownWeights(
            "pose",
            (KnownFile("demo-net.pth", url, digest),),
            *("AP 12.3", "Somebody 2020", "MIT"),
            "demo",
            recipe,
            recipe and COCO_17,
        )
        monkeypatch.setitem(known.KNOWN, name, row)

    return add


@pytest.fixture
def server(checkpoint):
    """The address of a page with the checkpoint's folder."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=checkpoint.parent)
    handler_class = type("Quiet", (handler.func,), {"log_message": lambda *_: None})
    httpd = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler_class, directory=checkpoint.parent)
    )
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def in_cache(name, model, recipe=RECIPE):
    """Puts converted weights where a name is looked for, without PyTorch."""
    arrays = assign.model_arrays(model)
    if recipe is None:
        arrays = {n: x for n, x in arrays.items() if not n.startswith("final_layer/")}
    card = WeightsCard(model.name, Origin("a.pth"), recipe, recipe and COCO_17)
    publish_arrays(cached_path(name), arrays, card)


def test_from_a_server_to_predictions(
    run_script, workplace, model, checkpoint, server, publish, tmp_path, cache
):
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    publish("test-demo", digest[:8], f"{server}/demo-net.pth")
    error = run_script("predict.py", PHOTO, "--weights", "test-demo").error
    assert error.endswith("fetch it once: kptkit convert --from test-demo")

    done = run_script("convert_weights.py", "--from", "test-demo")
    assert done.code == 0, done
    counters = sum(n.endswith("num_batches_tracked") for n in state_of_model(model))
    assert done.out.splitlines() == [
        f"left out: {counters} counters of batches",
        "published: AP 12.3",
        "cite: Somebody 2020",
        "licence: MIT",
        f"written: {cache}/test-demo.npz",
    ]
    assert (cache / "downloads/test-demo/demo-net.pth").read_bytes() == checkpoint.read_bytes()

    out = tmp_path / "out"
    done = run_script("predict.py", PHOTO, "--weights", "test-demo", "--out", out)
    assert done.code == 0, done
    (person,) = json.loads((out / "keypoints.json").read_text())
    image = read_image(workplace.folder / PHOTO)
    expected = PoseEstimator(PoseNetwork(model, RECIPE, COCO_17)).predict(image).keypoints[0]
    found = np.reshape(person["keypoints"], (17, 3))
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=0.01)


def test_the_file_comes_whole_or_not_at_all(run_script, checkpoint, server, publish, cache):
    publish("test-demo", "0" * 8, f"{server}/demo-net.pth")
    assert "expected 00000000..." in run_script("convert_weights.py", "--from", "test-demo").error
    publish("test-demo", "0" * 8, f"{server}/nothing.pth")
    assert "404" in run_script("convert_weights.py", "--from", "test-demo").error
    assert not list(cache.rglob("*.p*"))
    assert not list(cache.rglob("*.npz"))


def test_a_file_that_one_has(run_script, checkpoint, publish, cache, tmp_path):
    publish("test-demo")
    error = run_script("convert_weights.py", "--from", "test-demo").error
    assert "demo-net.pth has no direct address" in error
    done = run_script("convert_weights.py", "--from", "test-demo", checkpoint)
    assert done.code == 0, done
    run = opener.find("test-demo")
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    said = Origin("demo-net.pth", digest, "AP 12.3", "Somebody 2020", "MIT")
    assert (run.recipe, run.schema, run.origin) == (RECIPE, COCO_17, said)
    publish("test-demo", "0" * 8)
    error = run_script("convert_weights.py", "--from", "test-demo", checkpoint).error
    assert "that of demo-net.pth begins with 00000000" in error
    error = run_script("convert_weights.py", "--from", "test-demo", tmp_path / "no.pth").error
    assert error == f"{tmp_path}/no.pth: no such file"


def test_a_checkpoint_of_ones_own(run_script, checkpoint, tmp_path):
    out = tmp_path / "mine.npz"
    flags = ("--from", "hrnet", checkpoint, "--out", out)
    done = run_script("convert_weights.py", *flags, "--recipe", "demo")
    assert done.code == 0, done
    assert "convention: official, as mmpose's DARK; ilovepose/DarkPose's has another" in done.out
    assert opener.find(out).recipe == RECIPES["demo"]
    for recipe, message in [
        ("w32-256x192", "demo-net.pth: 16 channels; expected an HRNet of 32, w32"),
        ("mpii-w32-256x256", "16 channels"),
        ("hg8", "--recipe hg8: hg8 is not a variant of hrnet"),
        ("demmo", "did you mean demo?"),
    ]:
        assert message in run_script("convert_weights.py", *flags, "--recipe", recipe).error
    error = run_script("convert_weights.py", *flags).error
    assert error == "--from hrnet: expected one file, --recipe and --out"


def test_other_keypoints_are_named_by_a_file(run_script, workplace, checkpoint, tmp_path):
    labels = tmp_path / "labels.json"
    content = json.loads(workplace.annotations("val").read_text())
    category = content["categories"][0]
    flags = ("--from", "hrnet", checkpoint, "--out", tmp_path / "a.npz", "--recipe", "demo")
    category["keypoints"][0] = "snout"
    labels.write_text(json.dumps(content))
    done = run_script("convert_weights.py", *flags, "--keypoints", labels)
    assert done.code == 0, done
    assert opener.find(tmp_path / "a.npz").schema.names[0] == "snout"


def test_three_maps_a_keypoint_are_refused_by_name(run_script, workplace, checkpoint, tmp_path):
    torch = pytest.importorskip("torch")
    content = torch.load(checkpoint, weights_only=True)
    state = content["state_dict"]
    for kind in ("weight", "bias"):
        name = f"module.final_layer.{kind}"
        state[name] = torch.cat([state[name]] * 3)
    torch.save(content, checkpoint)
    flags = ("--from", "hrnet", checkpoint, "--out", tmp_path / "a.npz", "--recipe", "demo")
    error = run_script("convert_weights.py", *flags).error
    assert "51 maps; expected one for each of 17 keypoints (offsets beside heatmaps, UDP" in error
    assert not (tmp_path / "a.npz").exists()


def test_the_list_of_names(run_script):
    done = run_script("convert_weights.py", "--from", "list")
    assert done.code == 0, done
    for name in known.KNOWN:
        assert f"\n{name}: " in "\n" + done.out
    assert "https://" in done.out
    error = run_script("convert_weights.py", "--from", "coco-w32-256x193").error
    assert "did you mean coco-w32-256x192?" in error


@pytest.mark.slow
def test_published_weights_are_judged_and_exported(run_script, workplace, model, publish, tmp_path):
    publish("test-demo")
    in_cache("test-demo", model)
    data = ("--data.val", workplace.annotations("val"), "--data.images", "demo/images")
    done = run_script("evaluate.py", "test-demo", *data, "--out", tmp_path / "out")
    assert done.code == 0, done
    assert "|    AP |" in done.out
    assert (tmp_path / "out/metrics.json").is_file()
    done = run_script("export.py", "test-demo", "--out", tmp_path / "export")
    assert done.code == 0, done
    manifest = json.loads((tmp_path / "export/1/assets.extra/export.json").read_text())
    assert manifest["recipe"]["flip_alignment"] == RECIPE.flip_alignment
    assert manifest["schema"] == COCO_17.to_json()


def with_24_keypoints(workplace, path):
    """The demo's labels with seven more points on every person, and their path."""
    content = json.loads(workplace.annotations("train").read_text())
    category = content["categories"][0]
    category["keypoints"] += [f"extra_{number}" for number in range(7)]
    for annotation in content["annotations"]:
        annotation["keypoints"] += annotation["keypoints"][:21]
        annotation["num_keypoints"] = sum(v > 0 for v in annotation["keypoints"][2::3])
    path.write_text(json.dumps(content))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("name", "recipe", "had"), [("a", RECIPE, "17"), ("b", None, "no")])
def test_24_keypoints_are_learned_from_published_weights(
    run_script, workplace, model, publish, tmp_path, name, recipe, had
):
    """From weights for 17 keypoints, and from ImageNet's features without a head."""
    publish(f"test-{name}", recipe=recipe)
    in_cache(f"test-{name}", model, recipe)
    labels = with_24_keypoints(workplace, tmp_path / "labels.json")
    flags = (
        *("--recipe", "demo", "--input-size-wh", "64", "64", "--batch-size", "4", "--dry-run"),
        *("--data.train", labels, "--data.val", "0.25", "--data.images", "demo/images"),
    )
    done = run_script("train_hrnet.py", *flags, "--init", f"test-{name}", "--out", tmp_path / "o")
    assert done.code == 0, done
    assert f"its head has {had} keypoints, this model 24; the head starts afresh" in done.out
    assert "epoch 1/1  loss " in done.out
    error = run_script(
        "train_hrnet.py", *flags, "--variant", "w18_small", "--init", f"test-{name}"
    ).error
    assert error.startswith(
        f"--init test-{name}: weights of hrnet_demo, but the model is hrnet_w18"
    )
    assert error.endswith("--variant or the --recipe that fits, demo")
