"""The demo data set: drawn scenes of people with exact labels, as COCO json and WIDER txt.

It is made from a seed wherever it is needed, so that training, tests and benchmarks run without
any download:

    images/{train,val}/000001.jpg
    annotations/person_keypoints_{train,val}.json   COCO; file names are relative to images/, and a
                                                    person whose face is seen also has `face_box`
                                                    (x, y, w, h) and `face_landmarks` (5, 2)
    annotations/wider_face_{train,val}_bbx_gt.txt   WIDER FACE's records
    annotations/face_landmarks_{train,val}.txt      CNN_FacePoint's lines: path, face box left right
                                                    top bottom, five points x y
    manifest.json                                   what the set was made from
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kptkit.demo.scene import Scene, draw_scene
from kptkit.demo.worker import SPLITS
from kptkit.errors import InputError
from kptkit.files import publish_folder, write_json
from kptkit.skeletons.known import COCO_17

__all__ = ["GENERATOR_VERSION", "Scene", "draw_scene", "write_demo_data"]

# To be raised with every change of the pictures or labels that a seed gives.
GENERATOR_VERSION = 5

# The validation images' ids go on from here, so that no id stands for two images.
_FIRST_ID = {"train": 1, "val": 1_000_001}


def write_demo_data(
    folder: str | os.PathLike,
    train_images: int = 2600,
    val_images: int = 400,
    seed: int = 0,
    workers: int | None = None,
) -> Path:
    """Draws the demo set into `folder`, unless it stands there already.

    The same arguments give the same bytes, whatever the number of `workers` (processes; none: one
    per core, at most 16). The folder appears when it is finished.

    Raises:
        InputError: `folder` holds something else, or a demo set made from other arguments.
    """
    folder = Path(folder)
    counts = {"train": train_images, "val": val_images}
    manifest = {"generator": "kptkit demo", "version": GENERATOR_VERSION, "seed": seed}
    manifest["images"] = counts
    if _stands(folder, manifest):
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
            write_json(unfinished / "manifest.json", manifest | {"persons": persons})
    except OSError:
        if not _stands(folder, manifest):  # else another process drew the same set meanwhile
            raise
    return folder


def _stands(folder: Path, manifest: dict[str, Any]) -> bool:
    if not folder.exists():
        return False
    try:
        found = json.loads((folder / "manifest.json").read_text())
        different = [key for key, value in manifest.items() if found[key] != value]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{folder}: exists and holds no demo set; name another folder or remove it"
        ) from None
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
    command = [sys.executable, "-m", "kptkit.demo.worker", str(folder), str(seed)]
    command += [str(counts[split]) for split in SPLITS]
    scenes = []
    with ExitStack() as stack:
        processes = []
        for first in range(workers):
            share = [*command, str(first), str(workers)]
            # In a group of their own an interrupt does not reach them: they end when nobody reads.
            process = subprocess.Popen(share, stdout=subprocess.PIPE, process_group=0)
            processes.append(stack.enter_context(process))
        for index in tqdm(range(sum(counts.values())), desc="drawing scenes", unit="scene"):
            line = processes[index % workers].stdout.readline()
            if not line:
                raise RuntimeError(f"{' '.join(command)}: ended before scene {index + 1}")
            scenes.append(json.loads(line))
    return scenes


def _write_annotations(folder: Path, split: str, scenes: list[dict[str, Any]]) -> int:
    """Writes a split's label files; returns its number of persons."""
    images, annotations, wider, landmarks = [], [], [], []
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
        # WIDER writes a line of zeros below a picture without faces.
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
    (folder / f"person_keypoints_{split}.json").write_text(text)
    (folder / f"wider_face_{split}_bbx_gt.txt").write_text("".join(f"{w}\n" for w in wider))
    (folder / f"face_landmarks_{split}.txt").write_text("".join(f"{w}\n" for w in landmarks))
    return len(annotations)


def _landmark_line(name: str, person: dict[str, Any]) -> str:
    left, top, width, height = person["face_box"]
    box = [left, left + width, top, top + height]
    numbers = box + [value for point in person["face_landmarks"] for value in point]
    return " ".join([name, *(f"{number:.2f}" for number in numbers)])
