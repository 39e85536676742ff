"""The command that writes a server's files, as it is typed."""

import pytest


@pytest.fixture
def exports(tmp_path):
    """Two folders that have a version each, one that has none."""
    for name in ("a/1", "b/12", "none/serving"):
        (tmp_path / name).mkdir(parents=True)
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
    ],
)
def test_what_is_refused(run_script, exports, models, message):
    models = [model.format(exports) for model in models]
    assert message in run_script("serve.py", *models, "--out", exports / "out").error
    assert not (exports / "out").exists()
