"""Mines the training crops of P-Net, R-Net and O-Net."""

import inspect

from kptkit import flags, quiet
from kptkit.commands import early
from kptkit.train.flags import HardSamplesConfig, PnetSamplesConfig


def pnet() -> None:
    """Mines P-Net's crops: faces, parts of faces, background, and faces with their five points.

        kptkit data mine pnet --annotations wider_face_train_bbx_gt.txt \\
            --images DIR --landmarks trainImageList.txt --landmark-images DIR
        kptkit data mine pnet

    The second mines the demo set (drawn if missing) in half a minute on 2 cores. The same flags and
    lists give the same bytes with any number of workers. After a stop, the same command resumes.
    """
    flags.run(_mine_pnet, PnetSamplesConfig, inspect.getdoc(pnet))


def hard() -> None:
    """Mines R-Net's and O-Net's crops: true and false detections of the stages before.

        kptkit data mine hard --stage rnet
        kptkit data mine hard --stage onet --annotations X.txt --images DIR \\
            --landmarks Y.txt --landmark-images DIR

    The first runs the P-Net in runs/mtcnn on the demo set; --detector original or FILE uses another
    cascade. The same flags, lists and weights give the same bytes with any number of workers. After
    a stop, the same command resumes.
    """
    flags.run(_mine_hard, HardSamplesConfig, inspect.getdoc(hard), tensorflow=False)


def _mine_pnet(config: PnetSamplesConfig) -> None:
    from kptkit.data.records.crop_writer import summary
    from kptkit.train.mine_faces import mine_pnet_samples, training_command

    print(f"{config.out}: {summary(mine_pnet_samples(config))}")
    print(f"next: {training_command('pnet', config.out, config.lists)}")


def _mine_hard(config: HardSamplesConfig) -> None:
    early.check_cascade(config.detector, "pnet" if config.stage == "rnet" else "rnet")
    quiet.import_tensorflow()
    from kptkit.data.records.crop_writer import summary
    from kptkit.train.mine_faces import mine_hard_samples, training_command

    print(f"{config.folder}: {summary(mine_hard_samples(config))}")
    print(f"next: {training_command(config.stage, config.folder, config.lists)}")
