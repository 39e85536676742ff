"""Trains a stacked hourglass on body keypoints or face landmarks, every stack supervised.

    python scripts/train_hourglass.py

learns the built-in demo set and is judged on scenes it never saw. With your own data:

    python scripts/train_hourglass.py --data.train X.json --data.val Y.json --data.images DIR

--recipe hg8 is the paper's, hg8-dark the stronger one in use since; --help lists every constant.
Everything else is as in train_hrnet.py.
"""

from functools import partial

from kptkit import cli

cli.import_tensorflow_quietly()

from kptkit.train.flags import TrainConfig, default_config
from kptkit.train.pose import train_pose

if __name__ == "__main__":
    defaults = partial(default_config, demo="hg-demo", own_data="hg-finetune")
    cli.run(train_pose, TrainConfig, defaults)
