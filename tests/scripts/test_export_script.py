"""The export command, as it is typed."""

import json


def test_a_run_becomes_a_numbered_version(run_script, workplace, tmp_path):
    done = run_script("export.py", "run", "--out", tmp_path, "--version", 7, "--no-flip-test")
    assert done.code == 0, done
    *signatures, compared, written = done.out.splitlines()
    assert written == f"written: {tmp_path}/7"
    assert compared.startswith("reloaded and compared: 34 keypoints differ")
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


def test_no_run(run_script, tmp_path):
    assert "no run folder" in run_script("export.py", tmp_path).error
