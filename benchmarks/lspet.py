"""HRNet on Leeds Sports Pose extended: the data as COCO files, and PCK@0.2 beside the mean pose.

    python benchmarks/lspet.py prepare --data $KPTKIT_DATA/lspet --out runs/lspet-data
    python scripts/train_hrnet.py --data.train runs/lspet-data/train.json \\
        --data.val runs/lspet-data/val.json --data.images $KPTKIT_DATA/lspet/images \\
        --input-size-wh 128 128 --epochs 30 --out runs/lspet
    python benchmarks/lspet.py judge --run runs/lspet

An hour of two CPU cores. PCK is normalised by the torso (left shoulder to right hip); persons whose
torso is not labelled are left out of it.
"""

from kptkit import commands

commands.import_tensorflow_quietly()

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from mean_pose import mean_pose, place

from kptkit import boxes, files, images
from kptkit.data.pose_data import DataConfig, load_held_out, load_pose_data
from kptkit.evaluate import evaluate_pose
from kptkit.metrics import pck
from kptkit.pose import PoseEstimator
from kptkit.run import load_run

# The order of the joints in the data set.
NAMES = [
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    *("neck", "head_top"),
]
EDGES = [(0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (12, 13), (2, 3)]
# How far a person reaches beyond the joints, as a share of their box's longer side.
MARGIN = 0.1


@dataclass(frozen=True)
class Prepare:
    """Write COCO files."""

    data: Path
    """Folder with train.json, val.json and images."""
    out: Path = Path("runs/lspet-data")


@dataclass(frozen=True)
class Judge:
    """Print PCK@0.2 of a run and of the mean pose."""

    run: Path = Path("runs/lspet")


Config = (
    Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Judge, tyro.conf.subcommand("judge")]
)


def main(config: Prepare | Judge) -> None:
    """One of the two steps."""
    if isinstance(config, Judge):
        judge(config.run)
        return
    for split in ("train", "val"):
        people = json.loads((config.data / f"{split}.json").read_text())
        document = coco_document(people, config.data / "images")
        files.write_json(config.out / f"{split}.json", document)


def coco_document(people: list[dict], folder: Path) -> dict:
    """The COCO form of persons with 14 joints (x, y, visible), one person an image."""
    category = {"id": 1, "name": "person", "keypoints": NAMES}
    category["skeleton"] = [[a + 1, b + 1] for a, b in EDGES]
    document = {"images": [], "annotations": [], "categories": [category]}
    for number, person in enumerate(people, start=1):
        width, height = images.image_size_wh(images.read_bytes(folder / person["image"]))
        joints = np.array(person["joints"], float)
        visible = joints[joints[:, 2] > 0, :2]
        if len(visible) < 2:
            continue
        low, high = visible.min(axis=0), visible.max(axis=0)
        margin = MARGIN * (high - low).max()
        box = boxes.clip(np.array([[*(low - margin), *(high + margin)]]), (width, height))
        keypoints = np.where(joints[:, 2:] > 0, joints * [1, 1, 2], 0)
        image = {"id": number, "file_name": person["image"], "width": width, "height": height}
        document["images"].append(image)
        document["annotations"].append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": boxes.to_xywh(box)[0].tolist(),
                "keypoints": keypoints.ravel().tolist(),
            }
        )
    return document


def judge(folder: Path) -> None:
    """PCK@0.2 of the run's best weights, and of the mean training pose placed in every box."""
    config = DataConfig(**load_run(folder).data)
    held_out = load_held_out(config, [])
    estimator = PoseEstimator.from_run(folder)
    evaluation = evaluate_pose(estimator, held_out.source, held_out.truth)
    samples = evaluation.samples
    mean = mean_pose(load_pose_data(config).train.source.samples)
    for name, predicted in (
        ("mean pose", place(mean, samples)),
        (str(folder), evaluation.keypoints[..., :2]),
    ):
        torso = pck.torso_sizes(samples.keypoints, NAMES.index("left_shoulder"), 2)
        visible = samples.keypoints[..., 2] > 0
        shares, counts = pck.pck(predicted, samples.keypoints[..., :2], visible, torso)
        mean_share = pck.mean_pck(shares, counts)
        joints = ", ".join(f"{n} {s:.2f}" for n, s in zip(NAMES, shares[0], strict=True))
        print(f"{name}: PCK@0.2 {mean_share[0]:.3f} of {int(counts.sum())} joints ({joints})")


if __name__ == "__main__":
    commands.run(main, Config)
