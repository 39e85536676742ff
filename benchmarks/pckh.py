"""MPII's published evaluation reproduced: PCKh per joint, at 0.5 and 0.1.

    python benchmarks/pckh.py --data $KPTKIT_DATA/mpii/pckh_reference.mat

takes five seconds. The file holds ground truth, head boxes and one set of predictions for 1,400
persons. The official evaluation gives PCKh@0.5 81.944 and PCKh@0.1 27.214, at 0.10 head sizes as in
mmpose, without pelvis and thorax, which were not predicted here. HRNet's code evaluates PCKh@0.1 at
0.11 head sizes, which gives 31.187.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

from dataclasses import dataclass
from pathlib import Path

import scipy.io

from kptkit.data.formats.mpii import head_sizes
from kptkit.errors import InputError
from kptkit.metrics import pck, tables

# Results of the official evaluation on the file, in percent.
OFFICIAL = {"PCKh@0.5": 81.944, "PCKh@0.1": 27.214}

POINTS = ("pos_pred_src", "pos_gt_src", "headboxes_src")


@dataclass(frozen=True)
class Config:
    """What to score."""

    data: Path
    """MATLAB file with pos_pred_src, pos_gt_src, headboxes_src and jnt_missing."""


def main(config: Config) -> None:
    """Prints a table in percent; raises an error if a mean differs from the official one."""
    if not config.data.is_file():
        raise InputError(f"{config.data}: no such file; expected MPII's truth and predictions")
    content = scipy.io.loadmat(config.data)
    predicted, true, head_boxes = (content[name].transpose(2, 0, 1) for name in POINTS)
    names = [str(name[0]) for name in content["dataset_joints"][0]]
    uncounted = [k for k, name in enumerate(names) if name in pck.UNCOUNTED_JOINTS]
    sizes = head_sizes(head_boxes)
    shares, counts = pck.pck(
        predicted, true, content["jnt_missing"].T == 0, sizes, pck.PCKH_THRESHOLDS
    )
    columns = [f"PCKh@{threshold:g}" for threshold in pck.PCKH_THRESHOLDS]
    rows = [["", "labelled", *columns]]
    for name, count, own in zip(names, counts, shares.T, strict=True):
        rows.append([name, str(count), *map(tables.decimals, 100 * own)])
    means = 100 * pck.mean_pck(shares, counts, uncounted)
    whole = 100 * pck.mean_pck(shares, counts)
    without = counts.sum() - counts[uncounted].sum()
    rows.append(["without pelvis and thorax", str(without), *map(tables.decimals, means)])
    rows.append(["all", str(counts.sum()), *map(tables.decimals, whole)])
    print(tables.markdown(rows))
    for name, mean in zip(columns, means, strict=True):
        if tables.decimals(mean) != tables.decimals(OFFICIAL.get(name, mean)):
            raise InputError(f"{config.data}: {name} is {mean:.3f}; expected {OFFICIAL[name]}")


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
