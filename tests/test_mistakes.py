"""What people mistype, command by command: one line that says what, before any work is done.

Each is started as `kptkit ...` in this process, in a folder with a few files; TensorFlow is not
even imported, and nothing is written.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kptkit import cli, images, quiet

ROOT = Path(__file__).parents[1]

# Command line; what its one line must contain.
MISTAKES = [
    # no such flag, no value, too few values, values of another kind
    ("predict a.jpg --wieghts x", "--wieghts: no such flag of kptkit predict; did you mean --weig"),
    ("predict a.jpg -x 3", "-x: no such flag of kptkit predict; kptkit predict --help lists them"),
    ("predict a.jpg --weights", "--weights: no value; expected a text"),
    ("predict a.jpg --weights --out x", "--weights: no value; expected a text"),
    ("predict a.jpg --box 1 2 3", "--box 1 2 3: expected 4 values: NUMBER NUMBER NUMBER NUMBER"),
    ("predict a.jpg --box 1 2 3 x", "--box x: expected a number"),
    ("predict a.jpg --box 1 2 3 nan", "--box nan: expected a number"),
    ("predict", "IMAGES not given; kptkit predict --help lists what it takes"),
    (
        "evaluate run --decoder drak",
        "--decoder drak: expected one of argmax, quarter, dark; did yo",
    ),
    ("evaluate run --oks-sigmas x", "--oks-sigmas x: expected a number"),
    ("evaluate run --flip-test=maybe", "--flip-test=maybe: expected --flip-test or --no-flip-test"),
    ("evaluate run other", "other: kptkit evaluate takes one RUN, then flags"),
    ("evaluate --task fac run", "--task fac: expected one of pose, face; did you mean face?"),
    ("export runs/demo --task face", "runs/demo: kptkit export --task face takes only flags"),
    ("export run --max-faces 3", "--max-faces: a flag of --task face, not of kptkit export"),
    ("data records", "--annotations and --images and --out not given"),
    (
        "train hrnet --variant foo",
        "--variant foo: expected one of demo, w18_small, w18, w32, w48, h",
    ),
    ("train hrnet --epochs 1.5", "--epochs 1.5: expected a whole number"),
    ("train hrnet --recipe dmo", "--recipe dmo: expected one of w32-256x192"),
    (
        "train mtcnn --stage qnet",
        "--stage qnet: expected one of pnet, rnet, onet, all; did you mea",
    ),
    # numbers out of range
    ("data records --annotations x.json --images p --out r --jpeg-quality 500", "1 to 100"),
    ("data records --annotations x.json --images p --out r --workers -1", "--workers -1: expected"),
    ("data demo --train-images 0", "--train-images 0: expected a whole number, 1 or more"),
    ("predict --task face a.jpg --min-face-size 5", "--min-face-size 5: expected a number, 10 to"),
    ("predict --task face a.jpg --score-thresholds 1 2 3", "--score-thresholds 2: expected a numb"),
    ("export run --version 0", "--version 0: expected a whole number, 1 or more"),
    ("export run --format onnx --batch-size -1", "--batch-size -1: expected a whole number, 1 or"),
    ("train hrnet --batch-size 0", "--batch-size: 0"),
    ("train hrnet --augment.scale 3", "--augment.scale: 3"),
    ("train hrnet --overfit -1", "--overfit -1: expected a whole number, 0 or more"),
    ("train hrnet --checkpoint-seconds -3", "--checkpoint-seconds -3: expected a number, 0 or mo"),
    ("data mine hard --score-thresholds 0.5 7", "--score-thresholds 7: expected a number, 0 to 1"),
    ("data mine pnet --pictures 0", "--pictures 0: expected a whole number, 1 or more"),
    # flags without effect
    ("evaluate --task face --images p", "--images: has no effect without --annotations or --landm"),
    (
        "evaluate --task face --landmark-images p",
        "--landmark-images: has no effect without --landm",
    ),
    (
        "evaluate --task face --annotations x.txt --wider-lists p --heights 3",
        "--heights: has no ef",
    ),
    ("evaluate --task face --resamples 9", "--resamples: has no effect without --compare"),
    ("data mine pnet --images p", "--images: has no effect without --annotations or --landmarks"),
    ("data mine hard --landmark-images p", "--landmark-images: has no effect without --landmarks"),
    ("train mtcnn --images p", "--images: has no effect without --annotations or --landmarks"),
    (
        "train mtcnn --judged.images p",
        "--judged.images: has no effect without --judged.annotations",
    ),
    (
        "train mtcnn --stage pnet --annotations x.txt",
        "--annotations: has no effect without --stage ",
    ),
    (
        "train mtcnn --stage pnet --hard.parts-per-face 3",
        "--hard.parts-per-face: has no effect wit",
    ),
    ("train mtcnn --stage rnet --workers 2", "--workers: has no effect without --stage all"),
    ("train mtcnn --init-share 0.5", "--init-share: has no effect without --init"),
    (
        "evaluate run --no-flip-test --flip-alignment none",
        "--flip-alignment: has no effect beside ",
    ),
    ("predict a.jpg --run run --weights x", "--run: has no effect beside --weights"),
    ("predict a.jpg --box 1 2 3 4 --boxes x.json", "--box: has no effect beside --boxes"),
    ("predict a.jpg --least-score 0.5", "--least-score: has no effect without --boxes"),
    ("convert --from list --out x.npz", "--out: has no effect beside --from list"),
    (
        "convert x.pt --from coco-w32-256x192 --recipe demo",
        "--recipe: has no effect without --from",
    ),
    (
        "export run --precision float16",
        "--precision: has no effect without --format litert or --fo",
    ),
    ("data check x.json --sheet s.png", "--sheet: has no effect without --images"),
    ("train hrnet --synchronized-batch-norm", "--synchronized-batch-norm: has no effect without"),
    ("train hrnet --variant w32 --network a:b", "--variant: has no effect beside --network"),
    ("train hrnet --learning-rate-drops 3", "--learning-rate-drops: has no effect without --sched"),
    (
        "train hrnet --augment.shift 0.1",
        "--augment.shift: has no effect without --augment.shift-pr",
    ),
    (
        "train hrnet --no-flip-test --flip-alignment none",
        "--flip-alignment: has no effect without ",
    ),
    # files and folders
    ("predict no.jpg", "no.jpg: no such file"),
    ("predict no.jpg x.json", "none of 2 pictures can be used"),
    (
        "predict a.jpg",
        "runs/demo: no run folder or weights file, nor a name of kptkit convert --fro",
    ),
    ("predict a.jpg --weights no.npz", "train first: kptkit train hrnet"),
    ("predict a.jpg --run p", "p: no run folder (no config.json); train one first"),
    ("predict a.jpg --box 900 2 950 4", "--box 900 2 950 4: outside a.jpg, which has 40x30 pixels"),
    (
        "predict a.jpg --box 9 2 5 4",
        "--box 9 2 5 4: expected x1 y1 x2 y2, with x1 < x2 and y1 < y2",
    ),
    ("predict a.jpg --boxes empty.json", "empty.json: no box for 'a.jpg'; it has no boxes"),
    ("predict a.jpg --boxes no.json", "--boxes no.json: no such file"),
    ("predict a.jpg --out b.jpg", "--out b.jpg: a file is there; expected the name of a folder"),
    ("predict a.jpg --out b.jpg/x", "--out b.jpg/x: b.jpg is a file; expected a folder there"),
    ("predict --task face a.jpg --weights no.npz", "train first: kptkit train mtcnn"),
    ("evaluate no", "no: no run folder or weights file"),
    ("evaluate run --data.val no.json", "--data.val no.json: no such file, nor a share"),
    ("evaluate --task face --compare no.npz", "no.npz: no such weights file"),
    ("export no", "no: no run folder or weights file"),
    ("data check no.json", "no.json: no such file"),
    ("data check x.json --images p --sheet a.txt", "--sheet a.txt: the name must end in .png, .j"),
    (
        "data check x.json --format mpii --category cat",
        "error: --category cat: the format mpii has no categ",
    ),
    (
        "data mine hard",
        "runs/mtcnn/mtcnn.npz: no such weights file; train it first (kptkit train mtcn",
    ),
    ("data mine hard --detector no.npz", "no.npz: no such weights file"),
    ("data label-faces --images no", "--images no: no such folder"),
    (
        "data face-boxes --annotations x.json --images x.json --out y",
        "--images x.json: a file; exp",
    ),
    ("train hrnet --data.train no.json", "--data.train no.json: no such file or folder"),
    (
        "train hrnet --data.train x.json",
        "--data.val and --data.images not given; expected --data.tr",
    ),
    ("train hrnet --data.images p", "--data.train and --data.val not given"),
    (
        "train hrnet --data.train x.json --data.val 1.0 --data.images p",
        "--data.val 1.0: expected a",
    ),
    (
        "train hrnet --data.train x.json --data.val 1.5 --data.images p",
        "a share above 0 and below 1",
    ),
    (
        "train hrnet --data.train x.json --data.val 0.1 --data.images p --data.val-images p",
        "--data.val-images: has no effect beside a share",
    ),
    (
        "train hrnet --variant hg1",
        "the recipe demo is for another network; kptkit train hourglass t",
    ),
    (
        "train hourglass --variant w32",
        "the recipe hg-demo is for another network; kptkit train hrne",
    ),
    ("train mtcnn --init no.npz", "no.npz: no such weights file"),
    ("serve pose", "pose: expected NAME=FOLDER"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("mistakes")
    (place / "p").mkdir()
    for name in ("a.jpg", "b.jpg"):
        images.write_image(place / name, np.full((30, 40, 3), 90, np.uint8))
    for name in ("x.json", "x.txt", "x.pt", "run"):
        (place / name).write_text("{}")
    (place / "empty.json").write_text("[]")
    return place


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
    """Mistakes are found before it is imported."""

    def too_late():
        pytest.fail("TensorFlow was about to be imported")

    monkeypatch.setattr(quiet, "import_tensorflow", too_late)


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_line(folder, monkeypatch, capsys, line, said):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(sys, "argv", ["kptkit", *line.split()])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    shown = capsys.readouterr()
    assert stopped.value.code == 2
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert not [name for name in ("Error", "NoneType", "[bold]", "Errno") if name in shown.err]
    assert sorted(folder.rglob("*")) == before


def test_every_command_is_tried():
    tried = {name for name in cli.COMMANDS for line, _ in MISTAKES if line.startswith(name)}
    assert set(cli.COMMANDS) - tried == {"data flic"}


def test_mistakes_are_found_in_a_second_without_tensorflow(folder):
    """In a process of its own: what is imported until then."""
    code = (
        "import sys\n"
        "from kptkit import cli\n"
        "sys.argv = ['kptkit', 'predict', 'a.jpg']\n"
        "try: cli.main()\n"
        "finally: print(json.dumps([n for n in ('tensorflow', 'keras') if n in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import json\n{code}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout) == []
