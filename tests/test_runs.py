"""Run folders of both tasks: what was written is read back, and one is not taken for the other."""

import json
from dataclasses import replace

import pytest
from support.sealed_files import put, reseal

from kptkit.data.augment.settings import FaceAugment
from kptkit.errors import InputError
from kptkit.recipes.face import FACE_RECIPES
from kptkit.recipes.pose import RECIPES
from kptkit.runs import FaceRun, PoseRun, best_metrics, load_run
from kptkit.sealed import write_sealed
from kptkit.skeletons.known import COCO_17

FACE = replace(
    FACE_RECIPES["demo"]["onet"], class_ratio=(5, 1, 1, 0), augment=FaceAugment(hue=0.01)
)


@pytest.fixture(params=["pose", "face"])
def run(request, tmp_path):
    if request.param == "pose":
        return PoseRun(tmp_path, RECIPES["demo"], COCO_17, {"train": "/a.json", "val": None})
    return FaceRun(tmp_path, "onet", FACE, {"train": "/crops"})


def test_what_was_written_is_read_back(run):
    run.write({"seed": 3})
    assert load_run(run.folder, type(run)) == run
    config = json.loads((run.folder / "config.json").read_text())
    assert (config["task"], config["options"]) == (run.task, {"seed": 3})


@pytest.mark.parametrize("learned", [None, "checkpoints/step-00000003", "best.npz", "last.npz"])
def test_settings_bind_from_the_first_thing_learned_on(run, learned):
    """A run that was killed in its first epoch has checkpoints and no weights file."""
    run.write({"seed": 0})
    if learned is None:
        run.write({"seed": 1})
    else:
        (run.folder / learned).mkdir(parents=True)
        run.write({"seed": 0})
        with pytest.raises(InputError, match=r"other settings: options\.seed was 0, is now 1; "):
            run.write({"seed": 1})
    config = json.loads((run.folder / "config.json").read_text())
    assert config["options"] == {"seed": int(learned is None)}


def test_a_run_of_another_task_is_refused(run):
    run.write({})
    other = PoseRun if isinstance(run, FaceRun) else FaceRun
    with pytest.raises(InputError, match=f"task: '{run.task}'; expected a run of task"):
        load_run(run.folder, other)


# Of both tasks: the place of the value, another value, and what is said of it.
BOTH = [
    ("recipe.batch", 3, r"recipe.batch: unknown"),
    ("recipe", None, "recipe: expected object, got null"),
    ("data", ..., "object missing required field data"),
    ("options", [], "options: expected object, got array"),
    ("task", ..., "task: None; expected a run of task"),
    ("task", ["evil"] * 9999, "task: .*; expected a run of task"),
    ("recipe.batch_size", True, "recipe.batch_size: expected int, got bool"),
    ("recipe.batch_size", 10**9, "recipe.batch_size: 1000000000; expected a whole number"),
    ("recipe.epochs", 10**9, "recipe.epochs: "),
    ("recipe.evaluate_every", 0, "recipe.evaluate_every: 0"),
    ("recipe.warmup_steps", -1, "recipe.warmup_steps: -1"),
    ("recipe.learning_rate", "1", "recipe.learning_rate: expected float, got str"),
    ("recipe.learning_rate", 1e300, "recipe.learning_rate: 1e[+]300"),
    ("recipe.learning_rate_drops", [1.0] * 1001, "recipe.learning_rate_drops: more than 1000"),
    ("recipe.learning_rate_drops", [-1], "recipe.learning_rate_drops: -1"),
    ("recipe.ema_decay", 1, "recipe.ema_decay: 1"),
    ("recipe.optimizer", "evil", "recipe.optimizer: invalid value 'evil'"),
    ("recipe.precision", "float16", "recipe.precision: invalid value"),
    ("recipe.augment", {"scale": {}}, "recipe.augment"),
]
POSE = [
    ("recipe.decoder", "evil", "recipe.decoder: invalid value 'evil'"),
    ("recipe.variant", "w99", "recipe.variant: invalid value 'w99'"),
    ("recipe.input_size_wh", [96, 128, 160], "recipe.input_size_wh: expected array of length 2"),
    ("recipe.input_size_wh", [10**9, 10**9], "recipe.input_size_wh: "),
    ("recipe.input_size_wh", [32 * 10**9, 32], "recipe.input_size_wh: 32000000000; expected"),
    ("recipe.loss", "evil", "recipe.loss: evil; expected mse"),
    ("recipe.target_sigma", 1e9, "recipe.target_sigma: 1000000000.0"),
    ("recipe.stack_weights", [1.0], "recipe.stack_weights: 1 numbers"),
    ("recipe.augment.rotation_degrees", 1e300, "recipe.augment.*rotation_degrees: 1e[+]300"),
    ("recipe.augment.half_body_min_visible", -1, "recipe.augment.*half_body_min_visible: -1"),
    ("schema.names", [], "schema.names: no keypoints"),
    ("schema.names", ["a"] * 17, "schema.names: 'a' appears 17 times"),
    ("schema.edges", [[0, 99]], "schema.edges: keypoint 99"),
    ("schema.edges", [[0, 1]] * 10_001, "schema.number of edges: 10001"),
    ("schema.oks_sigmas", [0.0] * 17, "schema.oks_sigmas: 0.0 for 'nose'"),
    ("data.train", 3, "data.train: expected str . null, got int"),
    ("data.format", "evil", "data.format: invalid value 'evil'"),
    ("data.evil", "x", "data.evil: unknown"),
    ("code", {"a": 1}, "code.*: expected str, got int"),
]
FACES = [
    ("stage", "lnet", "stage: invalid value 'lnet'"),
    ("recipe.class_ratio", [3, 1, 1], "recipe.class_ratio: expected array of length 4, got 3"),
    ("recipe.class_ratio", [3, 1, 1, 10**9], "recipe.class_ratio: 1000000000"),
    ("recipe.loss_weights", [1, 1, 1e300], "recipe.loss_weights: 1e[+]300"),
    ("recipe.l2", -1, "recipe.l2: -1"),
    ("recipe.steps_per_epoch", 10**12, "recipe.steps_per_epoch: 1000000000000"),
    ("recipe.augment.hue", 2, "recipe.augment.*hue: 2"),
    ("data", {"train": 1}, "data.*: expected str, got int"),
]


@pytest.mark.parametrize("run", ["pose"], indirect=True)
@pytest.mark.parametrize(("place", "value", "message"), BOTH + POSE)
def test_values_in_a_pose_run_are_checked(run, place, value, message):
    check_refused(run, place, value, message)


@pytest.mark.parametrize("run", ["face"], indirect=True)
@pytest.mark.parametrize(("place", "value", "message"), BOTH + FACES)
def test_values_in_a_face_run_are_checked(run, place, value, message):
    check_refused(run, place, value, message)


def check_refused(run, place, value, message):
    """That a configuration made on purpose, with a right seal, is one line."""
    run.write({})
    path = run.folder / "config.json"
    reseal(path, put(place, value))
    with pytest.raises(InputError, match=f"^{path}: {message}") as refused:
        load_run(run.folder, type(run))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_changed_configuration_is_noticed(run):
    run.write({})
    path = run.folder / "config.json"
    path.write_text(path.read_text().replace('"epochs": ', '"epochs": 1'))
    with pytest.raises(InputError, match=r"config.json: altered since it was written; train again"):
        load_run(run.folder, type(run))
    (run.folder / "best.npz").touch()
    with pytest.raises(InputError, match=r"config.json: altered"):
        run.write({})


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, {}), ({"best": {}}, {}), ({"best": {"AP": 1}, "last": {"AP": 0.5}}, {"AP": 1.0})],
)
def test_the_metrics_of_the_best_weights(tmp_path, content, expected):
    if content is not None:
        write_sealed(tmp_path / "metrics.json", content)
    assert best_metrics(tmp_path) == expected


def test_metrics_that_are_a_link_to_nowhere_are_not_taken_for_none(tmp_path):
    (tmp_path / "metrics.json").symlink_to("metrics.json")
    with pytest.raises(InputError, match=r"metrics.json: .*expected a JSON file"):
        best_metrics(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [({}, "missing required field best"), ({"best": {"AP": "x"}}, "expected float, got str")],
)
def test_other_metrics_are_one_line(tmp_path, content, message):
    write_sealed(tmp_path / "metrics.json", content)
    with pytest.raises(InputError, match=f"metrics.json: .*{message}"):
        best_metrics(tmp_path)


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no run folder \(no config.json\)"):
        load_run(tmp_path, PoseRun)
