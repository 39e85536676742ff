"""The command that writes a server's files, as it is typed."""

import pytest


@pytest.fixture
def exports(tmp_path):
    """Two folders that have a version each, one that has none, and two of other formats."""
    for name in ("a/1", "b/12", "none/serving", "onnx/1", "mixed/1", "mixed/2", "back/1", "back/2"):
        (tmp_path / name).mkdir(parents=True)
    for file in ("a/1/saved_model.pb", "b/12/saved_model.pb", "onnx/1/pose.onnx"):
        (tmp_path / file).touch()
    for file in ("mixed/1/saved_model.pb", "mixed/2/pose.tflite"):  # the newest is served
        (tmp_path / file).touch()
    for file in ("back/1/pose.onnx", "back/2/saved_model.pb"):
        (tmp_path / file).touch()
    return tmp_path


def test_two_models(run_script, exports):
    models = [f"pose={exports}/a", f"face={exports}/b"]
    done = run_script("serve.py", *models, "--out", exports / "out", "--batching")
    assert done.code == 0, done
    *written, start = done.out.splitlines()
    names = ["models.config", "batching.config", "monitoring.config", "compose.yaml"]
    assert written == [f"written: {exports}/out/{name}" for name in names]
    assert start.startswith("start it: docker run --rm -p 127.0.0.1:8500:8500")
    assert start.endswith("--enable_batching --batching_parameters_file=/serving/batching.config")
    for name, folder in (("pose", "a"), ("face", "b")):
        assert f'name: "{name}"' in (exports / "out/models.config").read_text()
        assert f"source={exports}/{folder},target=/models/{name},readonly" in start
    again = run_script("serve.py", *models, "--out", exports / "out")
    assert len(again.out.splitlines()) == 1
    assert "batching" not in again.out


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["pose"], "pose: expected NAME=FOLDER"),
        (["pose={}/a", "pose={}/b"], "each name once"),
        (["pose={}/none"], "none: no version of a model"),
        (["pose={}/missing"], "missing: no version of a model"),
        (["a b={}/a"], "expected letters, digits"),
        (["pose={}/onnx"], "onnx/1: no SavedModel, which is all that TF Serving reads"),
        (["face={}/b", "pose={}/mixed"], "mixed/2: no SavedModel"),
        (["pose={}/a/1"], "a/1: no version of a model"),
    ],
)
def test_what_is_refused(run_script, exports, models, message):
    models = [model.format(exports) for model in models]
    assert message in run_script("serve.py", *models, "--out", exports / "out").error
    assert not (exports / "out").exists()


def test_of_several_formats_the_newest_counts(run_script, exports):
    done = run_script("serve.py", f"pose={exports}/back", "--out", exports / "out")
    assert done.code == 0, done


@pytest.mark.parametrize("file", ["models.config", "compose.yaml"])
@pytest.mark.parametrize(
    ("known", "asked", "missing"),
    [
        (["pose"], ["pose"], None),
        (["pose", "face"], ["face"], None),
        (["pose"], ["pose", "face"], "face"),
        (["pose2"], ["pose"], "pose"),
        (["pose"], ["pose2", "ose"], "pose2, ose"),
        ([], ["pose"], "pose"),
    ],
)
def test_a_file_that_is_kept_must_know_all_models(run_script, exports, file, known, asked, missing):
    """The other files are written as if there were none, unless one is refused."""
    out = exports / "out"
    if known:
        models = [f"{name}={exports}/a" for name in known]
        assert run_script("serve.py", *models, "--out", out).code == 0
    else:
        out.mkdir()
        (out / file).write_text("# name: 'pose' /models/pose\nservices: {}\n")
    for other in out.iterdir():
        if other.name != file:
            other.unlink()
    kept = (out / file).read_bytes()
    done = run_script("serve.py", *(f"{name}={exports}/b" for name in asked), "--out", out)
    if missing is None:
        assert done.code == 0, done
        assert len(list(out.iterdir())) == 4
    else:
        assert f"{out}/{file}: exists, and is kept, without {missing}; add what" in done.error
        assert [path.name for path in out.iterdir()] == [file]
    assert (out / file).read_bytes() == kept
