"""Draws the demo data set: scenes of people with exact keypoints, boxes and faces.

    kptkit data demo

takes about 20 seconds on 2 cores and writes data/demo, with labels in COCO's and WIDER FACE's
formats and a preview.jpg. The same flags give the same files.
"""

from dataclasses import dataclass
from pathlib import Path

from kptkit import flags


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
    """Draws the set and its preview, and prints how to train on it."""
    from kptkit.demo.dataset import read_manifest, write_demo_data
    from kptkit.demo.preview import write_preview

    folder = write_demo_data(
        config.out, config.train_images, config.val_images, config.seed, config.workers
    )
    write_preview(folder)
    persons = read_manifest(folder)["persons"]
    print(
        f"{folder}: {config.train_images} training scenes with {persons['train']} persons, "
        f"{config.val_images} validation scenes with {persons['val']}; see preview.jpg"
    )
    annotations = folder / "annotations"
    print(
        "next: kptkit train hrnet "
        f"--data.train {annotations}/person_keypoints_train.json "
        f"--data.val {annotations}/person_keypoints_val.json --data.images {folder}/images"
    )


def command() -> None:
    """The command line."""
    flags.run(main, DemoDataConfig, __doc__, tensorflow=False)
