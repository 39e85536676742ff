"""Mines P-Net's crops: faces, parts of faces, background, and faces with their five points.

    python data_prep/gen_pnet_samples.py --annotations wider_face_train_bbx_gt.txt --images DIR \\
        --landmarks trainImageList.txt --landmark-images DIR
    python data_prep/gen_pnet_samples.py

The second mines the demo set, drawn if need be, in half a minute on 2 cores. The same flags and
lists give the same bytes for any number of workers. Stopped at any moment, the same command goes
on.
"""

import functools
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from kptkit import commands
from kptkit.data.face_lists import FaceLists
from kptkit.data.pnet_mining import SIZE, PnetMiningConfig, pnet_crops


@dataclass(frozen=True)
class PnetSamplesConfig:
    """What to mine, and where to put it."""

    lists: tyro.conf.OmitArgPrefixes[FaceLists] = FaceLists()
    out: Path = Path("data/pnet")
    """Folder to write."""
    mining: tyro.conf.OmitArgPrefixes[PnetMiningConfig] = PnetMiningConfig()
    workers: int | None = None
    """Processes; none: one per core."""
    seed: int = 0


def main(config: PnetSamplesConfig) -> None:
    commands.import_tensorflow_quietly()
    from kptkit.data.crop_writer import summary, write_crops
    from kptkit.data.crops import divide, mine_part
    from kptkit.data.face_lists import load_faces

    sets, made_from = load_faces(config.lists)
    plan = {
        "stage": "pnet",
        "size": SIZE,
        "seed": config.seed,
        "mining": asdict(config.mining),
        "made_from": made_from,
    }
    mine_image = functools.partial(pnet_crops, config=config.mining)
    mine = functools.partial(mine_part, mine_image=mine_image, smallest_side=SIZE, seed=config.seed)
    workers = config.workers or os.cpu_count() or 1
    manifest = write_crops(config.out, plan, divide(sets), mine, workers)
    print(f"{config.out}: {summary(manifest)}")
    print(f"next: python scripts/train_mtcnn.py --stage pnet --data.train {config.out}")


if __name__ == "__main__":
    commands.run(main, PnetSamplesConfig)
