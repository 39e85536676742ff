"""Exports a trained run as a SavedModel for TF Serving.

    python scripts/export.py runs/demo

writes RUN/export/<version>/, which answers pictures and boxes with keypoints in image pixels, in
any process that has TensorFlow. What is written is first loaded and compared with the run itself.
"""

from kptkit import commands

commands.import_tensorflow_quietly()

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from kptkit.export import MANIFEST, export_pose


@dataclass(frozen=True)
class Config:
    """What to export, and where to."""

    run: tyro.conf.Positional[Path]
    """Run folder of train_hrnet.py."""
    out: Path | None = None
    """Folder for the version folders; none: RUN/export."""
    version: int | None = None
    """Number to publish under; none: one more than the highest there."""
    flip_test: bool = True
    """Whether mirrored crops are read too, if the recipe says so; without, an answer takes half the
    time."""


def main(config: Config) -> None:
    """Export, then the signatures and how well they agree."""
    flip_test = None if config.flip_test else False
    folder = export_pose(config.run, config.out, config.version, flip_test)
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, signature in manifest["signatures"].items():
        print(f"{name}: {_shapes(signature['inputs'])} -> {_shapes(signature['outputs'])}")
    difference = manifest["largest_difference"]
    print(
        f"reloaded and compared: {difference['keypoints_compared']} keypoints differ from the run "
        f"by at most {difference['keypoints_px']:.4f} px and {difference['scores']:.5f} in scores"
    )
    print(f"written: {folder}")


def _shapes(tensors: dict[str, dict]) -> str:
    """The tensors of a signature in one line; N is the batch, and ? what a request decides."""
    texts = []
    for name, tensor in tensors.items():
        batch, *sides = tensor["shape"]
        sides = [
            "N" if batch is None else str(batch),
            *("?" if s is None else str(s) for s in sides),
        ]
        texts.append(f"{name} {tensor['dtype']}[{', '.join(sides)}]")
    return ", ".join(texts)


if __name__ == "__main__":
    commands.run(main, Config)
