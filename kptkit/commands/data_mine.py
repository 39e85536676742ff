"""Mines the crops that P-Net, R-Net and O-Net learn from."""

import inspect

from kptkit import cli
from kptkit.data.records.crop_writer import summary
from kptkit.train.mine_faces import (
    HardSamplesConfig,
    PnetSamplesConfig,
    mine_hard_samples,
    mine_pnet_samples,
    training_command,
)


def pnet() -> None:
    """Mines P-Net's crops: faces, parts of faces, background, and faces with their five points.

        python data_prep/gen_pnet_samples.py --annotations wider_face_train_bbx_gt.txt \\
            --images DIR --landmarks trainImageList.txt --landmark-images DIR
        python data_prep/gen_pnet_samples.py

    The second mines the demo set, drawn if need be, in half a minute on 2 cores. The same flags
    and lists give the same bytes for any number of workers. Stopped at any moment, the same
    command resumes.
    """
    cli.run(_mine_pnet, PnetSamplesConfig, description=inspect.getdoc(pnet))


def hard() -> None:
    """Mines R-Net's and O-Net's crops: what the cascade so far takes for faces, rightly or not.

        python data_prep/gen_hard_samples.py --stage rnet
        python data_prep/gen_hard_samples.py --stage onet --annotations X.txt --images DIR \\
            --landmarks Y.txt --landmark-images DIR

    The first runs P-Net as just trained on the demo set; --detector original or FILE takes another
    cascade. The same flags, lists and weights give the same bytes for any number of workers.
    Stopped at any moment, the same command resumes.
    """
    cli.run(_mine_hard, HardSamplesConfig, description=inspect.getdoc(hard))


def _mine_pnet(config: PnetSamplesConfig) -> None:
    print(f"{config.out}: {summary(mine_pnet_samples(config))}")
    print(f"next: {training_command('pnet', config.out, config.lists)}")


def _mine_hard(config: HardSamplesConfig) -> None:
    print(f"{config.folder}: {summary(mine_hard_samples(config))}")
    print(f"next: {training_command(config.stage, config.folder, config.lists)}")
