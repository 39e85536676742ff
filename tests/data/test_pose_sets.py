import json

import numpy as np
import pytest

from kptkit import images
from kptkit.data.pose_flags import DataConfig
from kptkit.data.pose_sets import load_held_out, load_pose_data
from kptkit.errors import InputError
from kptkit.skeletons.known import LSP_14, MPII_16


@pytest.fixture
def folder(tmp_path):
    for number in range(1, 5):
        images.write_image(tmp_path / f"{number}.jpg", np.zeros((80, 100, 3), np.uint8))
    return tmp_path


def joints(count):
    return np.random.default_rng(0).uniform(5, 75, (count, 2)).tolist()


def lsp(folder, name="lsp.json", numbers=(1, 2, 3, 4)):
    people = [{"image": f"{n}.jpg", "joints": [[*xy, 1] for xy in joints(14)]} for n in numbers]
    (folder / name).write_text(json.dumps(people))
    return str(folder / name)


def flic(folder, parts):
    rows = [
        {
            "filepath": f"{n}.jpg",
            "coords": np.full((2, 29), 40).tolist(),
            "torsobox": [10, 10, 30, 50],
            "imgdims": [80, 100, 3],
            "istrain": part == "train",
            "istest": part == "test",
        }
        for n, part in enumerate(parts, start=1)
    ]
    for row in rows:
        row["coords"] = np.random.default_rng(1).uniform(5, 75, (2, 29)).tolist()
    (folder / "flic.json").write_text(json.dumps(rows))
    return str(folder / "flic.json")


def config(folder, train, val, **flags):
    return DataConfig(train=train, val=val, images=str(folder), **flags)


def ids(pose_set):
    return pose_set.source.samples.sample_ids.tolist()


def test_a_share_is_held_out(folder):
    flags = config(folder, lsp(folder), "0.25", format="lsp")
    data = load_pose_data(flags)
    assert data.schema == LSP_14
    assert len(ids(data.train)) == 3
    assert sorted(ids(data.train) + ids(data.held_out)) == [1, 2, 3, 4]
    assert ids(load_held_out(flags, [])) == ids(data.held_out)
    assert data.held_out.source.samples.protocol == "pck_torso"


def test_two_files(folder):
    train, val = lsp(folder, "train.json", (1, 2, 3)), lsp(folder, "val.json", (4,))
    data = load_pose_data(config(folder, train, val, format="lsp"))
    assert (ids(data.train), ids(data.held_out)) == ([1, 2, 3], [1])


def test_one_file_of_both_parts(folder):
    path = flic(folder, ["train", "test", None, "test"])
    flags = config(folder, path, path, format="flic")
    data = load_pose_data(flags)
    assert (ids(data.train), ids(data.held_out)) == ([1, 3], [2, 4])
    assert ids(load_held_out(flags, [])) == [2, 4]
    assert len(set(data.notices)) == len(data.notices)


def test_a_share_comes_from_the_training_part(folder):
    path = flic(folder, ["train", "test", "train", "train"])
    data = load_pose_data(config(folder, path, "0.34", format="flic"))
    assert sorted(ids(data.train) + ids(data.held_out)) == [1, 3, 4]


def test_a_file_without_a_test_part(folder):
    path = flic(folder, ["train"] * 4)
    with pytest.raises(InputError, match=r"flic\.json: no persons to evaluate on"):
        load_pose_data(config(folder, path, path, format="flic"))


def test_another_format_is_told(folder):
    with pytest.raises(InputError, match=r"lsp\.json: .*expected"):
        load_pose_data(config(folder, lsp(folder), "0.5", format="mpii"))
    with pytest.raises(InputError, match=r"lsp\.json: a list at the top level; expected a COCO"):
        load_pose_data(config(folder, lsp(folder), "0.5"))
    with pytest.raises(InputError, match=r"--data\.category dog: the format lsp has no categor"):
        load_pose_data(config(folder, lsp(folder), "0.5", format="lsp", category="dog"))


def test_the_message_says_how_to_list_every_fault(folder):
    broken = folder / "lsp.json"
    broken.write_text(json.dumps([{"image": "1.jpg", "joints": []}] * 2))
    with pytest.raises(
        InputError, match=r"and 2 more; kptkit data check .*lsp\.json --format lsp lists"
    ):
        load_pose_data(config(folder, str(broken), "0.5", format="lsp"))


def test_no_folder_of_pictures(folder):
    with pytest.raises(InputError, match=r"--data\.images not given"):
        load_pose_data(DataConfig(train=lsp(folder), val="0.5", format="lsp"))


def test_sets_of_different_keypoints(folder):
    people = [
        {
            "image": "1.jpg",
            "center": [50, 40],
            "scale": 0.4,
            "joints": joints(16),
            "joints_vis": [1] * 16,
        }
    ]
    (folder / "mpii.json").write_text(json.dumps(people))
    data = load_pose_data(
        config(folder, str(folder / "mpii.json"), str(folder / "mpii.json"), format="mpii")
    )
    assert data.schema == MPII_16


@pytest.mark.parametrize("val", [lambda _: "0.1", lsp])
def test_a_folder_without_records_is_said_to_be_one(folder, val):
    with pytest.raises(InputError, match=r"--data.train .*: a folder without records .*annotation"):
        load_pose_data(config(folder, str(folder), val(folder)))


def test_unfinished_records_are_said_to_be_unfinished(folder):
    (folder / "plan.json").touch()
    lsp(folder)
    with pytest.raises(InputError, match="the records are not finished"):
        load_pose_data(config(folder, str(folder), str(folder / "lsp.json")))
    with pytest.raises(InputError, match="records cannot be split"):
        load_pose_data(config(folder, str(folder), "0.1"))
