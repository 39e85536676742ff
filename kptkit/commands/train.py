"""Trains a network: HRNet, the stacked hourglass, or the cascade of MTCNN."""

import inspect
from functools import partial

from kptkit import cli
from kptkit.recipes.face import FACE_RECIPES
from kptkit.recipes.pose import RECIPES
from kptkit.train.face import train_face
from kptkit.train.flags import FaceTrainConfig, TrainConfig
from kptkit.train.pose import train_pose


def hrnet() -> None:
    """Trains an HRNet on body keypoints.

        python scripts/train_hrnet.py

    trains on the built-in demo set and evaluates on scenes it never saw. With COCO keypoints:

        python scripts/train_hrnet.py --data.train X.json --data.val Y.json --data.images DIR

    uses the fine-tuning recipe (--recipe NAME for another; --help lists all constants). The run
    folder is all that evaluate.py, predict.py and export.py need; the same command resumes after a
    stop.
    """
    cli.run(train_pose, TrainConfig, default_config, inspect.getdoc(hrnet))


def hourglass() -> None:
    """Trains a stacked hourglass on body keypoints or face landmarks, every stack supervised.

        python scripts/train_hourglass.py

    trains on the built-in demo set and evaluates on scenes it never saw. With your own data:

        python scripts/train_hourglass.py --data.train X.json --data.val Y.json --data.images DIR

    --recipe hg8 is the paper's, hg8-dark a stronger, newer one; --help lists all constants.
    Everything else is as in train_hrnet.py.
    """
    defaults = partial(default_config, demo="hg-demo", own_data="hg-finetune")
    cli.run(train_pose, TrainConfig, defaults, inspect.getdoc(hourglass))


def mtcnn() -> None:
    """Trains MTCNN's networks for finding faces and their five landmarks.

        python scripts/train_mtcnn.py

    mines and trains P-Net, R-Net and O-Net on the built-in demo set and evaluates the detector on
    scenes it never saw; it takes about ten minutes on two cores. To train one network, on crops of
    data_prep/gen_pnet_samples.py or data_prep/gen_hard_samples.py:

        python scripts/train_mtcnn.py --stage pnet

    To train on your own faces, with the lists that those two commands take:

        python scripts/train_mtcnn.py --annotations X.txt --images DIR --landmarks Y.txt \\
            --landmark-images DIR --out runs/own --data.train data/own

    uses the recipe for real data (--recipe NAME for another; --help lists all constants). --init
    original fine-tunes the published weights. The same command resumes after a stop.
    """
    cli.run(train_face, FaceTrainConfig, default_face_config, inspect.getdoc(mtcnn))


def default_config(
    arguments: list[str], demo: str = "demo", own_data: str = "finetune"
) -> TrainConfig:
    """The configuration of `--recipe`, which flags override.

    Args:
        demo, own_data: the default recipes for the demo set and with `--data.train`.

    Raises:
        InputError: there is no such recipe.
    """
    name = own_data if any(a.startswith("--data.train") for a in arguments) else demo
    name = cli.flag_value(arguments, "--recipe") or name
    cli.check_name("--recipe", name, RECIPES)
    return TrainConfig(recipe=name, constants=RECIPES[name])


def default_face_config(arguments: list[str]) -> FaceTrainConfig:
    """As `default_config`, for the cascade, with the constants of `--stage`.

    Raises:
        InputError: there is no such recipe.
    """
    own_data = any(a.startswith(("--data.train", "--annotations")) for a in arguments)
    name = cli.flag_value(arguments, "--recipe") or ("wider" if own_data else "demo")
    cli.check_name("--recipe", name, FACE_RECIPES)
    stage = cli.flag_value(arguments, "--stage") or "all"
    # An unknown stage is refused later, when the flags are parsed.
    constants = FACE_RECIPES[name].get(stage, FACE_RECIPES[name]["pnet"])
    return FaceTrainConfig(recipe=name, constants=constants)
