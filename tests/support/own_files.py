"""One small folder of each kind of our own files, for the tests that damage them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptkit import images
from kptkit.arrays import read_arrays, save_arrays
from kptkit.data.augment.settings import AugmentConfig
from kptkit.data.mining.crops import CropKind, Crops, FacePart, ImageCrops
from kptkit.data.records.crop_writer import write_crops
from kptkit.data.records.pose import CutConfig
from kptkit.data.records.pose_writer import write_records
from kptkit.recipes.face import FACE_RECIPES
from kptkit.recipes.pose import RECIPES
from kptkit.runs import FaceRun, PoseRun
from kptkit.samples import FaceSamples, KeypointSamples
from kptkit.sealed import sealed_text, write_sealed
from kptkit.skeletons.known import COCO_17
from kptkit.train.checkpoint import Checkpoints, named_variables
from kptkit.train.loop import Progress, SavedProgress
from kptkit.weights.arrays import publish_arrays
from kptkit.weights.card import Origin, WeightsCard

SIZE = 12


def pose_records(folder: Path) -> None:
    """Six persons on three pictures, in two shards."""
    rng = np.random.default_rng(0)
    pictures = folder.parent / "pictures"
    pictures.mkdir()
    paths = tuple(str(pictures / f"{number}.png") for number in range(3))
    for path in paths:
        images.write_image(path, rng.integers(0, 255, (60, 80, 3)).astype(np.uint8))
    boxes = np.tile(np.array([[10, 10, 40, 50]], np.float32), (6, 1))
    keypoints = np.concatenate([rng.uniform(10, 40, (6, 17, 2)), np.full((6, 17, 1), 2)], 2)
    samples = KeypointSamples(
        schema=COCO_17,
        image_paths=paths,
        image_ids=np.arange(3),
        image_wh=np.array([[80, 60]] * 3, np.int32),
        image_index=np.arange(6) // 2,
        sample_ids=np.arange(1, 7),
        boxes_xyxy=boxes,
        keypoints=keypoints.astype(np.float32),
        box_scores=np.ones(6, np.float32),
    )
    cut = CutConfig((48, 64), AugmentConfig(), shard_size=3)
    write_records(samples, folder, cut, pictures, {"annotations": "a.json"}, workers=1)


def _crops(part: FacePart) -> list[ImageCrops]:
    rng = np.random.default_rng(part.first_number)
    kinds = np.array([kind for kind in CropKind for _ in range(3)], np.int8)
    pixels = rng.integers(0, 255, (len(kinds), SIZE, SIZE, 3)).astype(np.uint8)
    boxes = np.zeros((len(kinds), 4), np.float32)
    landmarks = np.zeros((len(kinds), 10), np.float32)
    return [ImageCrops("", part.first_number, Crops(kinds, pixels, boxes, landmarks))]


def go_on_with_crops(folder: Path) -> dict[str, Any]:
    """Writes what is missing of a folder of crops; returns its manifest."""
    none = np.zeros(0, np.int64)
    samples = FaceSamples(("",), none, np.zeros((0, 4)), none > 0, np.zeros((0, 5, 2)), True)
    plan = {"stage": "pnet", "size": SIZE, "seed": 0, "mining": {"a": [1]}, "made_from": ["x"]}
    return write_crops(folder, plan, [FacePart(n, samples) for n in range(2)], _crops, workers=0)


def unfinished_crops(folder: Path) -> None:
    """All crops, but no manifest yet."""
    manifest = go_on_with_crops(folder)
    (folder / "manifest.json").unlink()
    for number in range(2):
        shards = manifest["shards"][4 * number : 4 * number + 4]
        counts = {shard["kind"]: shard["records"] for shard in shards}
        account = {"counts": counts, "notes": {}, "skipped": {}}
        content = {"shards": shards, "account": account}
        write_sealed(folder / f"made-{number:05d}.json", content)


def pose_run(folder: Path) -> None:
    """A run folder without weights."""
    data = {"train": "/a.json", "val": "0.1", "images": "/b"}
    PoseRun(folder, RECIPES["hg-demo"], COCO_17, data, {"net:build": "0" * 64}).write({"seed": 3})
    write_sealed(folder / "metrics.json", {"best": {"AP": 0.5}, "last": {"AP": 0.25}})


def face_run(folder: Path) -> None:
    """The run of a network of the cascade."""
    data = {"train": "/crops", "val": "0.1"}
    FaceRun(folder, "rnet", FACE_RECIPES["demo"]["rnet"], data).write({"seed": 3, "init": None})


def _variables() -> list[keras.Variable]:
    return [keras.Variable(np.zeros((3, 4), np.float32)), keras.Variable(np.zeros((), np.int64))]


def checkpoints(folder: Path) -> None:
    """Two checkpoints, of steps 5 and 7."""
    variables = _variables()
    saver = Checkpoints(folder, named_variables("model", variables))
    row = {"epoch": 1.0, "step": 5.0, "loss": 0.5, "AP": float("nan")}
    for step in (5, 7):
        variables[0].assign(np.full((3, 4), step / 3))
        variables[1].assign(step)
        progress = Progress([row], [[0.1 * n] for n in range(step - 5)], 0.5, {"AP": 0.5})
        saver.save(step, progress.saved())


def restore_checkpoints(folder: Path) -> tuple[int, SavedProgress, list[np.ndarray], list[str]]:
    """The step, the progress, the variables and the warnings of the newest sound checkpoint."""
    variables = _variables()
    saver = Checkpoints(folder, named_variables("model", variables))
    step, progress, warnings = saver.restore(SavedProgress)
    return step, progress, [np.asarray(variable) for variable in variables], warnings


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"conv{n}/kernel": rng.random((2, n), np.float32) for n in range(1, 6)}


def weights(folder: Path) -> None:
    """Published weights: a card among the arrays, and a checksum beside them."""
    card = WeightsCard("hg2_small", Origin("a.pth", cite="x"), RECIPES["hg-demo"], COCO_17)
    publish_arrays(folder / "card.npz", _arrays(), card)


def bare_weights(folder: Path) -> None:
    """The weights of a run."""
    save_arrays(folder / "best.npz", _arrays())
    assert read_arrays(folder / "best.npz").keys() == _arrays().keys()


def demo(folder: Path) -> None:
    """The manifest of a demo set."""
    counts = {"train": 2, "val": 1}
    content = {"generator": "kptkit demo", "version": 5, "seed": 0, "images": counts}
    write_sealed(folder / "manifest.json", content | {"persons": counts})


def export(folder: Path) -> None:
    """The manifest of an export."""
    tensor = {"dtype": "float32", "shape": [None, 64, 48, 3], "meaning": "a picture"}
    signature = {"inputs": {"image": tensor}, "outputs": {"heatmaps": tensor}}
    content = {"task": "pose", "signatures": {"serving_default": signature}}
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra/export.json").write_text(sealed_text(content, indent=2))


def report(folder: Path) -> None:
    """What says that a cascade is finished."""
    write_sealed(folder / "report.json", {"sha256": "0" * 64, "judged": ["a.txt"]})


MAKERS = {
    "pose_records": pose_records,
    "crop_records": go_on_with_crops,
    "unfinished_crops": unfinished_crops,
    "pose_run": pose_run,
    "face_run": face_run,
    "checkpoints": checkpoints,
    "weights": weights,
    "bare_weights": bare_weights,
    "demo": demo,
    "export": export,
    "report": report,
}
