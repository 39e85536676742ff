"""The command that mines hard examples, as it is typed."""

import runpy
from pathlib import Path

import pytest

from kptkit.data.records.crops import CropRecords
from kptkit.demo.dataset import write_demo_data

SCRIPT = Path(__file__).parents[2] / "data_prep/gen_hard_samples.py"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command in this process; gives its exit code, its output and its errors."""

    def run_command(*arguments):
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run_command


def test_the_command_mines_and_says_what_comes_next(run, tmp_path, cascade_file):
    demo = write_demo_data(tmp_path / "demo", 12, 0)
    annotations = demo / "annotations"
    flags = [
        *("--stage", "rnet", "--detector", cascade_file, "--score-thresholds", "0.8", "0.5"),
        *("--annotations", annotations / "wider_face_train_bbx_gt.txt"),
        *("--landmarks", annotations / "face_landmarks_train.txt", "--images", demo / "images"),
        *("--pictures", "12", "--min-face-size", "16", "--out", tmp_path / "rnet"),
    ]
    code, out, err = run(*flags)
    assert code == 0, err
    records = CropRecords(tmp_path / "rnet")
    assert (records.stage, records.manifest["plan"]["pictures"]) == ("rnet", 12)
    assert records.manifest["plan"]["cascade"]["min_face_size"] == 16
    assert f"{records.manifest['counts']['negative']:,} negative" in out
    command = "next: kptkit train mtcnn --stage rnet --recipe wider --data.train"
    assert f"{command} {tmp_path / 'rnet'}" in out
    assert "12/12" in err  # the progress bar
    assert run(*flags)[:2] == (0, out)


def test_without_a_trained_cascade(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run()
    assert code == 2
    assert err.startswith("error: runs/mtcnn/mtcnn.npz: no such")
    assert not list(tmp_path.iterdir())
