"""Is the demo set a real problem? Two controls that must score low on it.

    python benchmarks/demo_controls.py

takes a few seconds. It prints the AP of the mean training pose placed in every held-out box (below
0.05), writes the training labels with the left and right keypoints of random persons exchanged,
and prints the command that trains on them: such a network must stay below half of the honest AP.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mean_pose import mean_pose, place

from kptkit import files
from kptkit.data.pose_sets import PoseData, load_pose_data
from kptkit.metrics import oks, tables
from kptkit.skeletons.known import COCO_17
from kptkit.train.pose import demo_data


@dataclass(frozen=True)
class Config:
    """Where the demo set is, and what to write."""

    demo: Path = Path("data/demo")
    """Folder of the demo set, which is drawn if missing."""
    out: Path = Path("runs/demo-swapped")
    """Folder for train.json and, later, the run."""
    seed: int = 0


def main(config: Config) -> None:
    """Runs both controls."""
    data_config = demo_data(config.demo)
    metrics = judge_mean_pose(load_pose_data(data_config))
    print("\nmean pose\n" + tables.one_row(metrics) + "\n")
    document = json.loads(Path(data_config.train).read_text())
    people = document["annotations"]
    count = swap_sides(people, np.random.default_rng(config.seed))
    swapped = config.out / "train.json"
    files.write_json(swapped, document)
    print(
        f"{swapped}: {count} of {len(document['annotations'])} persons have their sides exchanged"
    )
    print(
        f"next: kptkit train hrnet --recipe demo --data.train {swapped} "
        f"--data.val {data_config.val} --data.images {data_config.images} --out {config.out}/run"
    )


def judge_mean_pose(data: PoseData) -> dict[str, float]:
    """AP and AR of the mean training pose in the held-out boxes."""
    held_out = data.held_out.source.samples
    points_xy = place(mean_pose(data.train.source.samples), held_out)
    scores = np.ones(len(held_out))
    keypoints = np.concatenate([points_xy, np.ones((*points_xy.shape[:2], 1))], axis=-1)
    category = data.held_out.truth["categories"][0]["id"]
    image_ids = held_out.image_ids[held_out.image_index]
    results = oks.coco_results(image_ids, category, keypoints, scores)
    return oks.evaluate_oks(data.held_out.truth, results, held_out.schema.oks_sigmas)


def swap_sides(annotations: list[dict[str, Any]], random: np.random.Generator) -> int:
    """Exchanges left and right of a random half of the persons; returns their number."""
    swapped = random.random(len(annotations)) < 0.5
    for annotation, swap in zip(annotations, swapped, strict=True):
        if swap:
            triples = np.reshape(annotation["keypoints"], (-1, 3))
            exchanged = triples[list(COCO_17.flip_permutation)]
            annotation["keypoints"] = exchanged.ravel().tolist()
    return int(swapped.sum())


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
