"""HRNet on Leeds Sports Pose extended: PCK@0.2 beside the mean pose.

    kptkit train hrnet --data.format lsp --data.train $KPTKIT_DATA/lspet/train.json \\
        --data.val $KPTKIT_DATA/lspet/val.json --data.images $KPTKIT_DATA/lspet/images \\
        --input-size-wh 128 128 --epochs 30 --out runs/lspet
    python benchmarks/lspet.py judge --run runs/lspet

takes an hour on two CPU cores. PCK is normalised by the torso (left shoulder to right hip); persons
without a labelled torso are left out.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mean_pose import mean_pose, place

from kptkit.data.pose_flags import DataConfig
from kptkit.data.pose_sets import load_held_out, load_pose_data
from kptkit.evaluate.pose import evaluate_pose
from kptkit.fields import Positional
from kptkit.metrics import pck
from kptkit.metrics.distances import distance_between
from kptkit.pose.estimator import PoseEstimator
from kptkit.runs import PoseRun, load_run
from kptkit.skeletons.known import LSP_14


@dataclass(frozen=True)
class Config:
    """Print PCK@0.2 of a run and of the mean pose."""

    step: Positional[Literal["judge"]] = "judge"
    run: Path = Path("runs/lspet")


def main(config: Config) -> None:
    """PCK@0.2 of the run's best weights, and of the mean training pose placed in every box."""
    data = DataConfig(**load_run(config.run, PoseRun).data)
    held_out = load_held_out(data, [])
    estimator = PoseEstimator.from_run(config.run)
    evaluation = evaluate_pose(estimator, held_out.source, held_out.truth)
    samples = evaluation.samples
    names = LSP_14.names
    mean = mean_pose(load_pose_data(data).train.source.samples)
    for name, predicted in (
        ("mean pose", place(mean, samples)),
        (str(config.run), evaluation.keypoints[..., :2]),
    ):
        torso = distance_between(samples.keypoints, names.index("left_shoulder"), 2)
        visible = samples.keypoints[..., 2] > 0
        shares, counts = pck.pck(predicted, samples.keypoints[..., :2], visible, torso)
        mean_share = pck.mean_pck(shares, counts)
        joints = ", ".join(f"{n} {s:.2f}" for n, s in zip(names, shares[0], strict=True))
        print(f"{name}: PCK@0.2 {mean_share[0]:.3f} of {int(counts.sum())} joints ({joints})")


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
