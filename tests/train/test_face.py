"""The cascade around its networks: which crops they get, what is written, what is reported."""

import contextlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kptkit import images
from kptkit.commands.train import default_face_config
from kptkit.data.faces.flags import FaceLists
from kptkit.errors import InputError
from kptkit.models.mtcnn import mtcnn
from kptkit.runs import FaceRun, load_run
from kptkit.train import face
from kptkit.train.face import CASCADE, REPORT, finish, load_crops, train_stage, write_cascade
from kptkit.train.flags import FaceOptions, FaceTrainConfig
from kptkit.weights.arrays import load_arrays
from kptkit.weights.assign import model_arrays, save_weights
from kptkit.weights.cascade import load_stages, save_cascade


def config_of(stage, **options):
    """Two epochs of two steps."""
    config = default_face_config(["--stage", stage])
    constants = replace(config.constants, epochs=2, steps_per_epoch=2, batch_size=16)
    return replace(config, stage=stage, constants=constants, options=FaceOptions(**options))


@pytest.fixture(scope="module")
def trained(crop_folder, tmp_path_factory):
    """Where P-Net was trained, its crops, and what was said."""
    out, crops = tmp_path_factory.mktemp("runs"), crop_folder()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert train_stage("pnet", crops, out, config_of("pnet")) == ["pnet"]
    return out, crops, said.getvalue()


def test_a_run_folder_and_the_cascade_so_far(trained):
    out, crops, said = trained
    run = load_run(out / "pnet", FaceRun)
    assert (run.stage, run.recipe.epochs) == ("pnet", 2)
    assert run.data == {"train": str(crops), "val": "0.1"}
    assert {"history.csv", "metrics.json", "best.npz", "last.npz"} < set(os.listdir(run.folder))
    best = load_arrays(run.best)
    cascade = load_arrays(out / CASCADE)
    assert cascade.keys() == {f"pnet/{name}" for name in best}
    assert all((cascade[f"pnet/{name}"] == best[name]).all() for name in best)
    for expected in (
        "pnet: 81 negative, 45 positive, 36 part, 63 landmark crops to learn from",
        "pnet: 27 negative, 15 positive, 12 part, 21 landmark crops held out",
        "epoch 2/2  loss ",
        "pnet: best score ",
        f"cascade of pnet: {out / CASCADE}",
    ):
        assert expected in said


def test_a_finished_network_is_left_alone_and_another_is_refused(trained, capsys):
    out, crops, _ = trained
    before = (out / "pnet/best.npz").read_bytes(), (out / CASCADE).read_bytes()
    train_stage("pnet", crops, out, config_of("pnet"))
    assert "epoch" not in capsys.readouterr().out
    with pytest.raises(InputError, match=r"options.seed was 0, is now 1"):
        train_stage("pnet", crops, out, config_of("pnet", seed=1))
    assert before == ((out / "pnet/best.npz").read_bytes(), (out / CASCADE).read_bytes())


def test_crops_that_cannot_be_learned_from(crop_folder, tmp_path):
    config = config_of("rnet")
    with pytest.raises(InputError, match=r"no such folder; mine .*: kptkit data mine hard"):
        train_stage("rnet", tmp_path / "rnet", tmp_path, config)
    with pytest.raises(InputError, match="crops for pnet of 12 px, expected those for rnet of 24"):
        train_stage("rnet", crop_folder(), tmp_path, config)
    lacking = crop_folder("rnet", of_part=lambda _: (9, 5, 0, 7))
    with pytest.raises(InputError, match=r"part: no crops, but the class ratio asks for 1 in 7"):
        train_stage("rnet", lacking, tmp_path, config)
    assert os.listdir(tmp_path) == []


def test_a_second_folder_may_be_held_out(crop_folder):
    first, second = crop_folder(), crop_folder(parts=1)
    data = load_crops("pnet", first, str(second))
    assert (len(data.learned), len(data.held_out)) == (300, 75)
    with pytest.raises(InputError, match=r"pnet.* expected those for onet"):
        load_crops("onet", first, "0.1")


def test_stages_that_were_not_trained_are_those_of_init(tmp_path, trained):
    own = {stage: mtcnn(stage) for stage in ("pnet", "rnet")}
    save_cascade(tmp_path / "init.npz", own)
    fresh = mtcnn("rnet", landmarks=False)
    (tmp_path / "rnet").mkdir()
    save_weights(fresh, tmp_path / "rnet/best.npz")
    run = load_run(trained[0] / "pnet", FaceRun)
    replace(run, folder=tmp_path / "rnet", stage="rnet").write({})
    assert write_cascade("rnet", tmp_path, str(tmp_path / "init.npz")) == ["pnet", "rnet"]
    written = load_stages(tmp_path / CASCADE, "rnet")
    for expected, found in ((own["pnet"], written["pnet"]), (fresh, written["rnet"])):
        arrays = model_arrays(found)
        for name, array in model_arrays(expected).items():
            np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_cascade_may_keep_a_share_of_where_it_started(tmp_path, trained, share):
    start, end = mtcnn("pnet"), mtcnn("pnet")
    save_cascade(tmp_path / "init.npz", {"pnet": start})
    (tmp_path / "pnet").mkdir()
    save_weights(end, tmp_path / "pnet/best.npz")
    run = load_run(trained[0] / "pnet", FaceRun)
    replace(run, folder=tmp_path / "pnet").write({})
    write_cascade("pnet", tmp_path, str(tmp_path / "init.npz"), share)
    written = model_arrays(load_stages(tmp_path / CASCADE, "pnet")["pnet"])
    first, last = model_arrays(start), model_arrays(end)
    for name, array in written.items():
        np.testing.assert_allclose(
            array, last[name] + share * (first[name] - last[name]), 1e-5, 1e-7
        )


def test_a_share_of_nothing_is_refused():
    with pytest.raises(InputError, match="expected --init beside it"):
        FaceOptions(init_share=0.5)
    with pytest.raises(InputError, match="expected 0 to 1"):
        FaceOptions(init="original", init_share=1.5)


def test_a_folder_that_holds_something_else_does_not_become_a_network(tmp_path):
    (tmp_path / "pnet").mkdir()
    save_weights(mtcnn("pnet"), tmp_path / "pnet/best.npz")
    with pytest.raises(InputError, match="no run folder"):
        write_cascade("pnet", tmp_path, None)


@pytest.fixture
def finished(tmp_path, cascade_file):
    """A folder with a whole cascade, and two pictures to judge it on."""
    (tmp_path / "runs/mtcnn").mkdir(parents=True)
    for name in ("mtcnn.npz", "mtcnn.npz.sha256"):
        (tmp_path / "runs/mtcnn" / name).write_bytes((cascade_file.parent / name).read_bytes())
    rng = np.random.default_rng(0)
    lines = []
    for name in ("a.png", "b.png"):
        images.write_image(tmp_path / name, rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        lines += [name, "1", "10 10 30 30 0 0 0 0 0 0"]
    (tmp_path / "wider.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "runs", FaceLists((tmp_path / "wider.txt",), (tmp_path,))


def test_a_cascade_is_judged_drawn_and_exported_once(finished, capsys):
    out, judged = finished
    finish(out, judged)
    said = capsys.readouterr().out
    for expected in ("AP", "picture of predictions: ", "exported SavedModel: ", "next: kptkit pre"):
        assert expected in said
    folder = out / "mtcnn"
    assert json.loads((folder / "metrics.json").read_text())
    assert images.read_image(folder / "predictions.jpg").shape[2] == 3
    assert (folder / "export/1/saved_model.pb").is_file()
    finish(out, judged)
    assert "finished already" in capsys.readouterr().out
    assert sorted(name for name in os.listdir(folder / "export") if name.isdecimal()) == ["1"]


def test_a_cascade_without_faces_to_be_judged_on_is_exported(finished, capsys, monkeypatch):
    out, _ = finished
    monkeypatch.setattr(face, "export_face", lambda weights, folder: folder)
    finish(out, FaceLists())
    assert "not judged: no held-out faces" in capsys.readouterr().out
    assert (out / REPORT).exists()
    assert not (out / "mtcnn/metrics.json").exists()


def test_a_command_says_what_comes_next(trained, capsys):
    out, crops, _ = trained
    config = replace(config_of("pnet"), out=out)
    given = replace(config, data=replace(config.data, train=crops))
    face.train_face(given)
    said = capsys.readouterr().out.splitlines()[-1]
    command = "next: kptkit data mine hard --stage rnet --detector"
    assert said == f"{command} {out / CASCADE}"


def test_the_chain_calls_each_step_in_order(tmp_path, monkeypatch):
    calls = []

    def note(name, result=None):
        def called(*arguments):
            calls.append((name, *[a for a in arguments if isinstance(a, (str, Path))]))
            return result

        return called

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(face, "demo_lists", lambda *_, **__: FaceLists(images=(tmp_path,)))
    monkeypatch.setattr(face, "mine", note("mine"))
    monkeypatch.setattr(face, "train_stage", note("train", ["pnet", "rnet", "onet"]))
    monkeypatch.setattr(face, "finish", note("finish"))
    face.train_face(FaceTrainConfig("demo", default_face_config([]).constants))
    expected = []
    for stage in ("pnet", "rnet", "onet"):
        place = (stage, Path("data", stage), Path("runs"))
        expected += [("mine", *place), ("train", *place)]
    assert calls == [*expected, ("finish", Path("runs"))]
