"""Trains an HRNet on body keypoints.

    python scripts/train_hrnet.py

learns the built-in demo set and is judged on scenes it never saw. With your own COCO keypoints:

    python scripts/train_hrnet.py --data.train X.json --data.val Y.json --data.images DIR

uses the fine-tuning recipe (--recipe NAME for another; --help lists every constant). The run folder
is all that evaluate.py, predict.py and export.py need; the same command goes on after a stop.
"""

from kptkit import cli

cli.import_tensorflow_quietly()

from kptkit.train.flags import TrainConfig, default_config
from kptkit.train.pose import train_pose

if __name__ == "__main__":
    cli.run(train_pose, TrainConfig, default_config)
