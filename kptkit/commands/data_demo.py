"""Draws the demo data set: scenes of people with exact keypoints, boxes and faces.

    python data_prep/make_demo_data.py

takes about 20 seconds on 2 cores and writes data/demo, with labels in COCO's and WIDER FACE's
formats and a preview.jpg. The same flags give the same files.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from kptkit import cli


@dataclass(frozen=True)
class DemoDataConfig:
    """What to draw, and where to write it."""

    out: Path = Path("data/demo")
    """Folder to write; it must not hold other files."""
    train_images: int = 2600
    val_images: int = 400
    seed: int = 0
    workers: int | None = None
    """Number of processes; default: one per core."""


def main(config: DemoDataConfig) -> None:
    from kptkit.demo.dataset import write_demo_data

    folder = write_demo_data(
        config.out, config.train_images, config.val_images, config.seed, config.workers
    )
    write_preview(folder)
    persons = json.loads((folder / "manifest.json").read_text())["persons"]
    print(
        f"{folder}: {config.train_images} training scenes with {persons['train']} persons, "
        f"{config.val_images} validation scenes with {persons['val']}; see preview.jpg"
    )
    annotations = folder / "annotations"
    print(
        "next: python scripts/train_hrnet.py "
        f"--data.train {annotations}/person_keypoints_train.json "
        f"--data.val {annotations}/person_keypoints_val.json --data.images {folder}/images"
    )


def write_preview(folder: Path, num_scenes: int = 8) -> None:
    """Writes preview.jpg: the first training scenes, plain and with boxes and skeletons."""
    import numpy as np

    from kptkit import images
    from kptkit.geometry import boxes
    from kptkit.images import drawing
    from kptkit.skeletons.known import COCO_17

    content = json.loads((folder / "annotations/person_keypoints_train.json").read_text())
    pictures = []
    for entry in content["images"][:num_scenes]:
        people = [a for a in content["annotations"] if a["image_id"] == entry["id"]]
        found = [a["bbox"] for a in people] + [a["face_box"] for a in people if "face_box" in a]
        keypoints = np.array([a["keypoints"] for a in people]).reshape(-1, 17, 3)
        picture = images.read_image(folder / "images" / entry["file_name"])
        drawn = drawing.draw_skeleton(picture, keypoints, COCO_17)
        pictures += [picture, drawing.draw_boxes(drawn, boxes.from_xywh(np.array(found)))]
    if pictures:
        sheet = drawing.contact_sheet(pictures, columns=4, cell_wh=(400, 320))
        images.write_image(folder / "preview.jpg", sheet)


def command() -> None:
    """The command line."""
    cli.run(main, DemoDataConfig, description=__doc__)
