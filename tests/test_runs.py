"""Run folders of both tasks: what was written is read back, and one is not taken for the other."""

import json
from dataclasses import replace

import pytest

from kptkit.data.augment.settings import FaceAugment
from kptkit.errors import InputError
from kptkit.recipes.face import FACE_RECIPES, FaceRecipe
from kptkit.recipes.pose import RECIPES
from kptkit.runs import FaceRun, PoseRun, load_run
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


@pytest.mark.parametrize(
    "change",
    [{"recipe": {"batch": 3}}, {"recipe": None}, {"data": ...}, {"task": ...}, {"stage": "lnet"}],
)
def test_a_broken_configuration_is_one_line(tmp_path, change):
    FaceRun(tmp_path, "pnet", FaceRecipe(), {}).write({})
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | change
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))
    with pytest.raises(InputError, match=r"config.json: not a run's configuration"):
        load_run(tmp_path, FaceRun)


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no run folder \(no config.json\)"):
        load_run(tmp_path, PoseRun)
