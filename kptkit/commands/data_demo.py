"""Draws the demo data set: scenes of people with exact keypoints, boxes and faces.

    kptkit data demo

takes about 20 seconds on 2 cores and writes data/demo, with labels in COCO's and WIDER FACE's
formats and a preview.jpg. The same flags give the same files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from kptkit import flags
from kptkit.fields import COUNT, Range, Written
from kptkit.wording import counted


@dataclass(frozen=True)
class DemoDataConfig:
    """What to draw, and where to write it."""

    out: Annotated[Path, Written("folder")] = Path("data/demo")
    """Folder to write; it must not hold other files."""
    train_images: Annotated[int, COUNT] = 2600
    """Number of scenes to learn from."""
    val_images: Annotated[int, COUNT] = 400
    """Number of scenes to evaluate on."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """Another seed gives other scenes."""
    workers: Annotated[int | None, COUNT] = None
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
        f"{folder}: {counted(config.train_images, 'training scene')} with "
        f"{counted(persons['train'], 'person')}, "
        f"{counted(config.val_images, 'validation scene')} with "
        f"{counted(persons['val'], 'person')}; see preview.jpg"
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
