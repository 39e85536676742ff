"""The demo data set: drawn scenes of people with exact labels, in COCO's and WIDER FACE's formats.

It is generated from a seed, so that training, tests and benchmarks need no download:

    images/{train,val}/000001.jpg
    annotations/person_keypoints_{train,val}.json   COCO; file names are relative to images/; a
                                                    person with a visible face also has `face_box`
                                                    (x, y, w, h) and `face_landmarks` (5, 2)
    annotations/wider_face_{train,val}_bbx_gt.txt   WIDER FACE's format
    annotations/face_landmarks_{train,val}.txt      CNN_FacePoint's format: path, face box left
                                                    right top bottom, five points x y
    manifest.json                                   seed, version and sizes
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from kptkit.demo.scene import Scene, draw_scene
from kptkit.demo.worker import SPLITS
from kptkit.errors import InputError
from kptkit.files import publish_folder
from kptkit.sealed import convert, read_sealed, sealed_text
from kptkit.skeletons.known import COCO_17

__all__ = ["GENERATOR_VERSION", "Scene", "draw_scene", "write_demo_data"]

# Must be raised whenever the pictures or labels of a seed change.
GENERATOR_VERSION = 5

# First image and annotation id of each split, so far apart that no id occurs in both.
_FIRST_ID = {"train": 1, "val": 1_000_001}


MANIFEST = "manifest.json"


@dataclass(frozen=True)
class _Manifest:
    """The content of `manifest.json`."""

    generator: Literal["kptkit demo"]
    version: int
    seed: int
    images: dict[Literal["train", "val"], int]
    persons: dict[Literal["train", "val"], int]


def write_demo_data(
    folder: str | os.PathLike,
    train_images: int = 2600,
    val_images: int = 400,
    seed: int = 0,
    workers: int | None = None,
) -> Path:
    """Draws the demo set into `folder`, unless it already exists.

    The same arguments give the same files, with any number of workers. The folder appears only when
    it is complete.

    Args:
        workers: processes; default: one per core, at most 16.

    Returns:
        `folder`.

    Raises:
        InputError: `folder` contains something else, or a demo set made with other arguments.
    """
    folder = Path(folder)
    counts = {"train": train_images, "val": val_images}
    manifest = {"generator": "kptkit demo", "version": GENERATOR_VERSION, "seed": seed}
    manifest["images"] = counts
    if _exists(folder, manifest):
        return folder
    for split, count in counts.items():
        if count < 0:
            raise InputError(f"{split}_images: {count}; expected 0 or more")
    if workers is None:
        workers = min(os.cpu_count() or 1, 16)
    if workers < 1:
        raise InputError(f"workers: {workers}; expected 1 or more")
    try:
        with publish_folder(folder) as unfinished:
            for split in SPLITS:
                (unfinished / "images" / split).mkdir(parents=True)
            (unfinished / "annotations").mkdir()
            scenes = _draw_scenes(unfinished, counts, seed, workers)
            persons = {}
            for split in SPLITS:
                own = [s for s in scenes if s["image"]["file_name"].startswith(split + "/")]
                persons[split] = _write_annotations(unfinished / "annotations", split, own)
            content = sealed_text(manifest | {"persons": persons}, indent=2)
            (unfinished / MANIFEST).write_bytes(content.encode())
    except InputError:
        if not _exists(folder, manifest):  # unless another process has drawn the same set
            raise
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a demo set.

    Raises:
        InputError: it is missing or damaged.
    """
    path, advice = folder / MANIFEST, "remove the folder, and it is drawn again"
    manifest = read_sealed(path, advice)
    convert(manifest, _Manifest, str(path), advice)
    return manifest


def _exists(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether `folder` is the demo set with this manifest; InputError if it is anything else."""
    if not folder.exists():
        return False
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder}: exists and is not a demo set; name another folder or remove it"
        )
    found = read_manifest(folder)
    different = [key for key, value in manifest.items() if found[key] != value]
    if different:
        key = different[0]
        raise InputError(
            f"{folder}: holds a demo set of {key} {found[key]}, expected {manifest[key]}; name "
            "another folder or remove it"
        )
    return True


def _draw_scenes(
    folder: Path, counts: dict[str, int], seed: int, workers: int
) -> list[dict[str, Any]]:
    """The labels of all scenes in order; worker i draws scenes i, i + workers, ..."""
    # -P: the current folder is not searched for modules, as it is not for the installed command.
    command = [sys.executable, "-P", "-m", "kptkit.demo.worker", str(folder), str(seed)]
    command += [str(counts[split]) for split in SPLITS]
    scenes = []
    with ExitStack() as stack:
        outputs = []
        for first in range(workers):
            share = [*command, str(first), str(workers)]
            # In their own process group they get no Ctrl+C; this process ends them.
            process = subprocess.Popen(share, stdout=subprocess.PIPE, process_group=0)
            stack.enter_context(process)
            stack.callback(process.kill)
            outputs.append(iter(process.stdout or ()))
        for index in tqdm(range(sum(counts.values())), desc="drawing scenes", unit="scene"):
            line = next(outputs[index % workers], b"")
            if not line.endswith(b"\n"):
                raise InputError(
                    f"a process that draws scenes ended before scene {index + 1}, possibly because "
                    "memory ran out; run the command again, or with fewer --workers"
                )
            scenes.append(json.loads(line))
    return scenes


def _write_annotations(folder: Path, split: str, scenes: list[dict[str, Any]]) -> int:
    """Writes the label files of a split; returns its number of persons."""
    images, wider, landmarks = [], [], []
    annotations: list[dict[str, Any]] = []
    for image_id, scene in enumerate(scenes, _FIRST_ID[split]):
        images.append({"id": image_id} | scene["image"])
        name, faces = scene["image"]["file_name"], []
        for person in scene["people"]:
            flags = person.pop("face_flags", None)
            if flags is not None:
                faces.append([round(v) for v in person["face_box"]] + flags)
                landmarks.append(_landmark_line(name, person))
            number = _FIRST_ID[split] + len(annotations)
            annotations.append({"id": number, "image_id": image_id} | person)
        # In WIDER FACE's lists a picture without faces is followed by a line of zeros.
        lines = [" ".join(map(str, face)) for face in faces or [[0] * 10]]
        wider += [name, str(len(faces)), *lines]
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(COCO_17.names),
        "skeleton": [[a + 1, b + 1] for a, b in COCO_17.edges],
    }
    info = {"description": "kptkit demo set: drawn people", "version": str(GENERATOR_VERSION)}
    content = {"info": info, "images": images, "annotations": annotations}
    text = json.dumps(content | {"categories": [category]})
    (folder / f"person_keypoints_{split}.json").write_bytes(text.encode())
    (folder / f"wider_face_{split}_bbx_gt.txt").write_bytes(_lines(wider))
    (folder / f"face_landmarks_{split}.txt").write_bytes(_lines(landmarks))
    return len(annotations)


def _lines(lines: list[str]) -> bytes:
    """A text file; the same bytes on every system."""
    return "".join(f"{line}\n" for line in lines).encode()


def _landmark_line(name: str, person: dict[str, Any]) -> str:
    """A face in CNN_FacePoint's format."""
    left, top, width, height = person["face_box"]
    box = [left, left + width, top, top + height]
    numbers = box + [value for point in person["face_landmarks"] for value in point]
    return " ".join([name, *(f"{number:.2f}" for number in numbers)])
