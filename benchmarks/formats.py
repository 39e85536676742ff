"""Networks in each export format: bytes on disk, largest difference, milliseconds per image.

    pip install -e ".[litert,onnx]"
    python benchmarks/formats.py

takes half an hour on 2 cores, mostly for training and conversions. It measures W32 at 256x192, the
2-stack hourglass at 256x256 and the face cascade. A recipe's name means a network overfitted on
eight drawn people, because float16 rounding affects trained weights otherwise than fresh ones; runs
or weights may be given instead. All formats of a network alternate in one process on the same
crops, with all cores; figures are medians. Inputs are crops, outputs keypoints; mirrored crops are
evaluated only with `--flip-test`.

Differences are those measured by the export, on drawn people: keypoints in crop pixels (SavedModel:
picture pixels), the others as shares of the highest peak. For LiteRT and ONNX, P-Net, R-Net and
O-Net are measured separately, beside Keras.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf

from kptkit import opener
from kptkit.demo.scene import draw_scene
from kptkit.export import litert, onnx
from kptkit.export.check_inputs import face_windows, levels, person_crops
from kptkit.export.face import export_face
from kptkit.export.pose import export_pose
from kptkit.export.target import Format, Precision, Target
from kptkit.export.version_folders import MANIFEST
from kptkit.face.detector import FaceDetector
from kptkit.models.sizes import STAGES
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import RECIPES
from kptkit.weights.assign import save_weights
from kptkit.weights.cascade import save_cascade

SCRIPTS = Path(__file__).parents[1] / "scripts"
LOADERS = {"litert": litert.load, "onnx": onnx.load}
PORTABLE: list[tuple[Format, Precision]] = [
    (format, precision) for format in LOADERS for precision in ("float32", "float16")
]
# Seconds between calls: idle threads of LiteRT and ONNX Runtime spin for a while and would take the
# cores from the next format.
PAUSE = 0.05
LABELS = {"litert": "LiteRT", "onnx": "ONNX"}


@dataclass(frozen=True)
class Config:
    """What to measure, and how many repeats."""

    networks: tuple[str, ...] = ("w32-256x192", "hg2")
    """Recipes, run folders, weights files, or names of published weights."""
    face: bool = True
    """Whether the face cascade is measured too."""
    batch_size: int = 1
    """Crops per call."""
    fixed_batch: bool = False
    """Whether LiteRT and ONNX files are written for that batch size only."""
    flip_test: bool = False
    """Whether mirrored crops are evaluated too."""
    repeats: int = 21
    """Number of alternating repeats."""


@dataclass(frozen=True)
class Row:
    """One format of a network: its size, its difference, and a call that runs it."""

    format: str
    precision: str
    bytes: int
    difference: str
    call: Callable[[], object]


def main(config: Config) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with TemporaryDirectory() as folder:
        for index, network in enumerate(config.networks):
            rows = pose_rows(config, network, Path(folder, str(index)))
            report(network, rows, config.batch_size, config.repeats)
        if config.face:
            for (name, images), rows in face_tables(Path(folder, "face")).items():
                report(name, rows, images, config.repeats)


def pose_rows(config: Config, network: str, folder: Path) -> list[Row]:
    """All formats of a pose network."""
    source = learned_run(network, folder / "run") if network in RECIPES else network
    loaded = opener.find(source)
    recipe = dataclasses.replace(loaded.recipe, flip_test=config.flip_test, precision="float32")
    estimator = PoseEstimator(opener.build(loaded, recipe))
    crops = person_crops(estimator)
    crops = np.resize(crops, (config.batch_size, *crops.shape[1:]))

    save_weights(estimator.model, folder / "keras.npz")
    weights = (folder / "keras.npz").stat().st_size
    rows = [Row("Keras", "float32", weights, "", lambda: estimator.predict_crops(crops))]

    flip_test = None if config.flip_test else False
    path = export_pose(source, folder / "saved_model", flip_test=flip_test)
    serve = tf.saved_model.load(path).signatures["crops"]
    call = lambda: serve(crops=tf.constant(crops))["keypoints"].numpy()  # noqa: E731
    rows.append(Row("SavedModel", "float32", size_of(path), difference_of(path), call))

    batch = config.batch_size if config.fixed_batch else None
    for format, precision in PORTABLE:
        target = Target(format, precision, batch)
        out = folder / target.folder_name
        path = export_pose(source, out, target=target, flip_test=flip_test)
        rows.append(converted_row(path, "pose", target, {"crops": crops}))
    return rows


def learned_run(recipe: str, folder: Path) -> Path:
    """The run of a network overfitted on eight drawn people, in about four minutes."""
    script = "train_hourglass.py" if RECIPES[recipe].num_stacks else "train_hrnet.py"
    options = ("--overfit", "8", "--batch-size", "8", "--epochs", "3", "--evaluate-every", "3")
    command = [sys.executable, SCRIPTS / script, "--recipe", recipe, *options, "--out", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def face_tables(folder: Path) -> dict[tuple[str, int], list[Row]]:
    """The rows of the cascade and of each of its networks, by name and images per call."""
    detector = FaceDetector()
    models = detector.cascade.models
    folder.mkdir()
    save_cascade(folder / "mtcnn.npz", models)
    image = draw_scene(np.random.default_rng(0)).image
    sides = tf.constant([image.shape[:2]])
    path = export_face(out=folder / "saved_model")
    serve = tf.saved_model.load(path).signatures["images"]
    whole = [
        Row("Keras", "float32", size_of(folder / "mtcnn.npz"), "", lambda: detector.detect(image)),
        Row(
            "SavedModel",
            "float32",
            size_of(path),
            difference_of(path),
            lambda: serve(images=tf.constant(image[None]), image_hw=sides)["boxes"].numpy(),
        ),
    ]
    tables = {(f"face cascade, a picture of {image.shape[1]}x{image.shape[0]}", 1): whole}
    targets = [Target(format, precision) for format, precision in PORTABLE]
    exports = {
        target: export_face("default", folder / target.folder_name, target=target)
        for target in targets
    }
    for stage, model in models.items():
        pictures = face_windows(STAGES[stage].size) if STAGES[stage].hidden else levels()[0][:1]
        network = tf.function(model, autograph=False)
        keras_row = Row(
            "Keras",
            "float32",
            4 * model.count_params(),
            "",
            lambda network=network, x=pictures: network(x)["box"].numpy(),
        )
        rows = [converted_row(exports[t], stage, t, {"images": pictures}) for t in targets]
        count, height, width, _ = pictures.shape
        tables[f"{stage}, {count} of {width}x{height} in a call", count] = [keras_row, *rows]
    return tables


def converted_row(path: Path, name: str, target: Target, inputs: dict[str, np.ndarray]) -> Row:
    """One file for LiteRT or ONNX Runtime."""
    file = next(path.glob(f"{name}.*"))
    run = LOADERS[target.format](file)
    return Row(
        LABELS[target.format],
        target.precision,
        file.stat().st_size,
        difference_of(path, name),
        lambda: run(inputs),
    )


def size_of(path: Path) -> int:
    """The size in bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def difference_of(path: Path, name: str | None = None) -> str:
    """The largest difference stated in an export's manifest."""
    found: dict[str, Any] = json.loads((path / MANIFEST).read_text())["largest_difference"]
    found = found[name] if name else found
    counts = {n: v for n, v in found.items() if isinstance(v, int)}
    text = ", ".join(f"{n} {v:.1e}" for n, v in found.items() if n not in counts)
    return f"{text} ({', '.join(f'{n} {v}' for n, v in counts.items())})" if counts else text


def report(name: str, rows: list[Row], images: int, repeats: int) -> None:
    """Times the alternating calls of a network's rows, without the first, and prints the rows."""
    seconds = np.zeros((repeats, len(rows)))
    for turn in range(-2, repeats):
        for column, row in enumerate(rows):
            time.sleep(PAUSE)
            start = time.perf_counter()
            row.call()
            if turn >= 0:
                seconds[turn, column] = time.perf_counter() - start
    times = np.median(seconds, axis=0) * 1e3 / images
    speeds = np.median(seconds[:, :1] / seconds, axis=0)
    print(f"\n{name}, medians of {repeats} turns")
    print("| format | precision | MB | ms an image | x Keras | largest difference |")
    print("|---|---|---|---|---|---|")
    for row, milliseconds, speed in zip(rows, times, speeds, strict=True):
        print(
            f"| {row.format} | {row.precision} | {row.bytes / 1e6:.2f} | {milliseconds:.2f} | "
            f"{speed:.2f} | {row.difference} |"
        )


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
