"""Every command that writes, on a tiny data set, as it runs undisturbed and when it is interrupted.

`prepare` draws the data, trains the runs that later commands need, and runs every command once: its
files, by SHA-256, are what a run must reach that was interrupted and repeated.
"""

import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Files that hold the time or a random number: TensorBoard's, and TensorFlow's name of a model.
UNCOMPARED = ("events.out.tfevents", "fingerprint.pb")
# Likewise keys of JSON and columns of tables: speeds, and the checksums of what holds them.
VARYING = ("images_per_second", "data_wait", "fingerprint.pb", "saved_model.pb", "sha256", "seal")

INTERRUPT_SOURCE = Path(__file__).with_name("interrupt.c")

_ANNOTATIONS = "demo/annotations/person_keypoints"
_HELD_OUT = ("--data.images", "demo/images", "--data.val", f"{_ANNOTATIONS}_val.json")
_DATA = ("--data.train", f"{_ANNOTATIONS}_train.json", *_HELD_OUT)
_TRAIN = (
    *("train", "hrnet", "--recipe", "demo", "--epochs", "2", "--evaluate-every", "1"),
    *("--batch-size", "4", "--input-size-wh", "64", "64", "--checkpoint-seconds", "0", *_DATA),
)
_FACES = (
    "--annotations",
    "demo/annotations/wider_face_train_bbx_gt.txt",
    "--images",
    "demo/images",
)
_LANDMARKS = (
    *("--landmarks", "demo/annotations/face_landmarks_train.txt"),
    *("--landmark-images", "demo/images"),
)


@dataclass(frozen=True)
class Command:
    """A command line; `out` is its last argument, a name in the folder that it may write to."""

    arguments: tuple[str, ...]
    out: str
    uncompared: tuple[str, ...] = UNCOMPARED


COMMANDS = {
    "demo": Command(("data", "demo", "--train-images", "12", "--val-images", "3", "--out"), "demo"),
    "pnet": Command(("data", "mine", "pnet", *_FACES, *_LANDMARKS, "--out"), "pnet"),
    "pnet-val": Command(
        (
            *(
                "data",
                "mine",
                "pnet",
                "--annotations",
                "demo/annotations/wider_face_val_bbx_gt.txt",
            ),
            *("--images", "demo/images", "--landmarks", "demo/annotations/face_landmarks_val.txt"),
            *("--landmark-images", "demo/images", "--seed", "1", "--workers", "1", "--out"),
        ),
        "pnet-val",
    ),
    "hard": Command(
        (
            "data",
            "mine",
            "hard",
            "--stage",
            "rnet",
            "--detector",
            "default",
            *_FACES,
            *_LANDMARKS,
            "--out",
        ),
        "rnet",
    ),
    "records": Command(
        (
            *("data", "records", "--annotations", f"{_ANNOTATIONS}_train.json"),
            *("--images", "demo/images", "--shard-size", "3", "--out"),
        ),
        "records",
    ),
    "face-boxes": Command(
        (
            *("data", "face-boxes", "--format", "wflw", "--annotations", "faces.txt"),
            *("--images", "demo/images", "--out"),
        ),
        "faces.json",
    ),
    "label-faces": Command(("data", "label-faces", "--images", "demo/images", "--out"), "labels"),
    "check": Command(
        (
            *("data", "check", f"{_ANNOTATIONS}_train.json", "--images", "demo/images"),
            "--sheet",
        ),
        "sheet.jpg",
    ),
    "train-hrnet": Command(
        # A graph's names depend on what its process did before, here whether it trained or resumed.
        (*_TRAIN, "--out"),
        "run",
        (*UNCOMPARED, "saved_model.pb"),
    ),
    "train-pnet": Command(
        (
            *("train", "mtcnn", "--stage", "pnet", "--epochs", "2", "--steps-per-epoch", "2"),
            *(
                "--checkpoint-seconds",
                "0",
                "--data.train",
                "pnet",
                "--data.val",
                "pnet-val",
                "--out",
            ),
        ),
        "cascade",
    ),
    "evaluate": Command(("evaluate", "run", *_HELD_OUT, "--out"), "evaluation"),
    "evaluate-faces": Command(("evaluate", "--task", "face", *_FACES, "--out"), "face-evaluation"),
    "predict": Command(
        ("predict", "demo/images/train/000001.jpg", "--run", "run", "--out"), "persons"
    ),
    "predict-faces": Command(
        ("predict", "--task", "face", "demo/images/train/000001.jpg", "--out"), "faces"
    ),
    "export": Command(("export", "run", "--out"), "export"),
    "export-faces": Command(("export", "--task", "face", "--out"), "face-export"),
    "export-litert": Command(("export", "run", "--format", "litert", "--out"), "litert"),
    # The compose file leads from its folder to the models.
    "serve": Command(
        ("serve", "face={given}/face-export", "--out"), "serving", (*UNCOMPARED, "compose.yaml")
    ),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    error: str
    """The end of its error stream, without progress bars."""
    changes: int
    """How many changes to files below the output's folder it made or tried."""


def prepare(folder: str) -> None:
    """Fills a folder with the interrupter, the data, and what every command writes undisturbed."""
    place = Path(folder)
    compiler = ["cc", "-shared", "-fPIC", "-O1", "-o", str(place / "interrupt.so")]
    subprocess.run([*compiler, str(INTERRUPT_SOURCE), "-ldl"], check=True)
    undisturbed = {}
    for name, command in COMMANDS.items():
        ended = run(place, name, place)
        if ended.code:
            raise RuntimeError(f"{name}: {ended.code}: {ended.error}")
        undisturbed[name] = {"changes": ended.changes, "files": files_of(place, name, place)}
        if command.out == "demo":
            write_points(place)
    (place / "undisturbed.json").write_text(json.dumps(undisturbed))


def write_points(folder: Path) -> None:
    """The faces of the demo's pictures with WFLW's 98 points, in WFLW's form."""
    lines = iter((folder / "demo/annotations/wider_face_train_bbx_gt.txt").read_text().splitlines())
    shares = np.linspace(0.1, 0.9, 98)[:, None]
    with open(folder / "faces.txt", "w") as file:
        for picture in lines:
            for _ in range(max(int(next(lines)), 1)):
                x, y, width, height = map(float, next(lines).split()[:4])
                points = np.array([x, y]) + np.array([width, height]) * shares
                numbers = [*points.ravel(), x, y, x + width, y + height, *[0] * 6]
                print(*(f"{number:g}" for number in numbers), picture, file=file)


def run(folder: Path, name: str, out: Path, at: int = 0, how: str = "process") -> Ended:
    """Runs a command in a prepared folder, its output below `out`.

    Args:
        at: the number of the change before which it is interrupted; 0: it is not.
        how: see `interrupt.c`.
    """
    command = COMMANDS[name]
    arguments = [x.format(given=folder) for x in command.arguments]
    with tempfile.TemporaryDirectory() as elsewhere:
        count, complaints = Path(elsewhere, "count"), Path(elsewhere, "errors")
        count.write_bytes(bytes(8))
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "LD_PRELOAD": str(folder / "interrupt.so"),
            "INTERRUPT_BELOW": str(out),
            "INTERRUPT_COUNT": str(count),
            "INTERRUPT_AT": str(at),
            "INTERRUPT_HOW": how,
        }
        with open(complaints, "wb") as errors:
            # A session of its own: a kill of the whole group does not reach the campaign.
            done = subprocess.run(
                [sys.executable, "-m", "kptkit", *arguments, str(out / command.out)],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=500,
                start_new_session=True,
            )
        lines = complaints.read_bytes()[-5000:].decode(errors="replace").splitlines()
        error = "\n".join(line for line in lines[-20:] if line and "\r" not in line)
        return Ended(done.returncode, error, int.from_bytes(count.read_bytes(), sys.byteorder))


def files_of(folder: Path, name: str, out: Path) -> dict[str, str]:
    """The SHA-256 of the content of every file that a command wrote; "" for folders.

    Args:
        folder, out: as for `run`.
    """
    command = COMMANDS[name]
    written = out / command.out
    return {
        str(path.relative_to(out)): _sha256(path, folder, out) if path.is_file() else ""
        for path in [written, *sorted(written.rglob("*"))]
        if path.name != ".lock" and not path.name.startswith(command.uncompared)
    }


def _sha256(path: Path, folder: Path, out: Path) -> str:
    """The SHA-256 of a file's bytes, without what two undisturbed runs do not share."""
    data = path.read_bytes()
    for place in (folder, out):
        data = data.replace(os.fsencode(place), b"FOLDER")
    if path.suffix == ".json":
        data = json.dumps(_lasting(json.loads(data))).encode()
    elif path.suffix == ".csv":
        data = json.dumps(_lasting(list(csv.DictReader(data.decode().splitlines())))).encode()
    return hashlib.sha256(data).hexdigest()


def _lasting(content: Any) -> Any:
    """JSON without the values of `VARYING`."""
    if isinstance(content, dict):
        return {key: _lasting(value) for key, value in content.items() if key not in VARYING}
    return [_lasting(value) for value in content] if isinstance(content, list) else content
