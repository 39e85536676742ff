"""The export command for runtimes that are not TensorFlow, as it is typed."""

import json

import pytest


def test_a_cascade_for_litert(run_script, tmp_path):
    face = ("--task", "face", "--format", "litert", "--precision", "float16", "--out", tmp_path)
    done = run_script("export.py", *face, "--min-face-size", 40, "--licence", "CC0")
    assert done.code == 0, done
    signatures, compared = done.out.splitlines()[:3], done.out.splitlines()[3:6]
    assert signatures[2] == (
        "onet: images float32[N, 48, 48, 3] -> scores float32[N], box float32[N, 4], "
        "landmark float32[N, 10]"
    )
    for stage, line in zip(("pnet", "rnet", "onet"), compared, strict=True):
        size = (tmp_path / f"1/{stage}.tflite").stat().st_size
        told = f"{stage}: {size:,} bytes; reloaded and compared, largest differences: scores 0.00"
        assert line.startswith(told)
    assert done.out.endswith(f"written: {tmp_path}/1\n")
    manifest = json.loads((tmp_path / "1/assets.extra/export.json").read_text())
    assert manifest["cascade"]["min_face_size"] == 40
    assert manifest["weights"]["licence"] == "CC0"

    done = run_script("export.py", *face, "--keep", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "2"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--precision", "float16"),
            "--precision: has no effect without --format litert or --format onnx",
        ),
        (
            ("--format", "litert", "--batch-size", 0),
            "--batch-size 0: expected a whole number, 1 or more",
        ),
        (
            ("--format", "litert", "--max-faces", 0),
            "--max-faces: 0, expected a whole number from 1",
        ),
        (("--format", "litert", "--version", 0), "--version 0: expected a whole number"),
    ],
)
def test_flags_that_do_not_go_together(run_script, tmp_path, flags, message):
    error = run_script("export.py", "--task", "face", *flags, "--out", tmp_path / "out").error
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_a_run_for_litert(run_script, workplace, tmp_path):
    flags = ("--format", "litert", "--no-flip-test", "--batch-size", 1, "--out", tmp_path)
    done = run_script("export.py", "run", *flags)
    assert done.code == 0, done
    crops, compared, written = done.out.splitlines()
    assert crops.startswith("pose: crops uint8[1, 64, 64, 3] -> heatmaps float32[1, 16, 16, 17]")
    assert "reloaded and compared, largest differences: heatmaps" in compared
    assert written == f"written: {tmp_path}/1"
