"""Draws the demo data set: scenes of people with exact keypoints, boxes and faces.

    python data_prep/make_demo_data.py

takes about 20 seconds on 2 cores and writes data/demo with its labels in COCO's and WIDER FACE's
formats, and a preview.jpg to look at. The same flags give the same files.
"""

from dataclasses import dataclass
from pathlib import Path

from kptkit import commands


@dataclass(frozen=True)
class DemoDataConfig:
    """What to draw, and where."""

    out: Path = Path("data/demo")
    """Folder to write; must not hold anything else."""
    train_images: int = 2000
    val_images: int = 400
    seed: int = 0
    workers: int | None = None
    """Processes that draw; none: one per core."""


def main(config: DemoDataConfig) -> None:
    from kptkit.data.demo import write_demo_data

    folder = write_demo_data(
        config.out, config.train_images, config.val_images, config.seed, config.workers
    )
    annotations = folder / "annotations"
    print(f"{folder}: {config.train_images} training and {config.val_images} validation scenes")
    print(
        "next: python scripts/train_hrnet.py "
        f"--data.train {annotations}/person_keypoints_train.json "
        f"--data.val {annotations}/person_keypoints_val.json --data.images {folder}/images"
    )


if __name__ == "__main__":
    commands.run(main, DemoDataConfig)
