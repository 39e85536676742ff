"""The export command, as it is typed."""

import json

import pytest


def test_a_run_becomes_a_numbered_version(run_script, workplace, tmp_path):
    done = run_script("export.py", "run", "--out", tmp_path, "--version", 7, "--no-flip-test")
    assert done.code == 0, done
    *signatures, compared, serve, written = done.out.splitlines()
    assert serve.startswith("to serve it: docker run --rm -p 127.0.0.1:8500:8500 -p 127.0.0.1:")
    assert f"source={tmp_path},target=/models/pose,readonly" in serve
    assert written == f"written: {tmp_path}/7"
    assert compared.startswith("reloaded and compared with the run: 34 keypoints agree to ")
    assert len(signatures) == 5
    assert signatures[0] == (
        "serving_default: image_bytes string[N], boxes float32[N, ?, 4] -> keypoints "
        "float32[N, ?, 17, 2], keypoint_scores float32[N, ?, 17], scores float32[N, ?]"
    )
    manifest = json.loads((tmp_path / "7/assets.extra/export.json").read_text())
    assert manifest["recipe"]["flip_test"] is False
    config = json.loads((workplace.run / "config.json").read_text())
    assert config["recipe"]["flip_test"] is True

    assert (
        "7: exists already"
        in run_script("export.py", "run", "--out", tmp_path, "--version", 7).error
    )


@pytest.mark.slow
def test_old_versions_go_where_that_is_asked_for(run_script, workplace, cascade_file, tmp_path):
    face = ("--task", "face", "--weights", cascade_file, "--out", tmp_path, "--min-face-size", 90)
    assert run_script("export.py", *face).code == 0
    done = run_script("export.py", *face, "--keep", 1, "--licence", "CC0")
    assert done.out.endswith(f"written: {tmp_path}/2\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "2", "serving"]
    card = (tmp_path / "2/assets.extra/model_card.md").read_text()
    assert "| licence of the weights | CC0 |" in card
    assert (
        "--keep 0: expected a whole number, 1 or more"
        in run_script("export.py", *face, "--keep", 0).error
    )


def test_no_run(run_script, tmp_path):
    assert "no run folder" in run_script("export.py", tmp_path).error


def test_a_cascade_becomes_a_numbered_version(run_script, cascade_file, tmp_path):
    face = ("--task", "face", "--weights", cascade_file.parent, "--out", tmp_path)
    flags = ("--min-face-size", 60, "--score-thresholds", 0.6, 0.6, 0.5, "--max-faces", 9)
    done = run_script("export.py", *face, *flags)
    assert done.code == 0, done
    serving, images, compared, serve, written = done.out.splitlines()
    assert f"source={tmp_path},target=/models/face,readonly" in serve
    assert serving == (
        "serving_default: image_bytes string[N] -> boxes float32[N, ?, 4], scores float32[N, ?], "
        "landmarks float32[N, ?, 5, 2], counts int32[N]"
    )
    assert images.startswith("images: images uint8[N, ?, ?, 3], image_hw int32[N, 2] -> boxes")
    assert "faces of drawn scenes agree to 0.00" in compared
    assert written == f"written: {tmp_path}/1"
    manifest = json.loads((tmp_path / "1/assets.extra/export.json").read_text())
    assert manifest["cascade"]["min_face_size"] == 60
    assert manifest["cascade"]["score_thresholds"] == [0.6, 0.6, 0.5]
    assert manifest["limits"]["faces_on_a_picture"] == 9


def test_a_cascade_that_cannot_be(run_script, tmp_path):
    face = ("--task", "face", "--out", tmp_path / "out")
    error = run_script("export.py", *face, "--weights", tmp_path / "no.npz").error
    assert "no such weights file" in error
    assert "--scale-factor: 2.0" in run_script("export.py", *face, "--scale-factor", 2).error
    assert list(tmp_path.iterdir()) == []
