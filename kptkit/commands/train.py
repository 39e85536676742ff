"""Trains a network: HRNet, the stacked hourglass, or the cascade of MTCNN."""

import inspect
from functools import partial

from kptkit import flags, quiet
from kptkit.checks import check_name
from kptkit.commands import early
from kptkit.data.pose_flags import DataConfig
from kptkit.errors import InputError
from kptkit.models.sizes import HOURGLASSES, HRNETS
from kptkit.recipes.face import FACE_RECIPES
from kptkit.recipes.pose import RECIPES
from kptkit.train.flags import FaceTrainConfig, TrainConfig


def hrnet() -> None:
    """Trains an HRNet on body keypoints.

        kptkit train hrnet

    trains on the built-in demo set and evaluates on scenes it never saw. With COCO keypoints:

        kptkit train hrnet --data.train X.json --data.val Y.json --data.images DIR

    uses the fine-tuning recipe (--recipe NAME for another; --help lists all constants). The run
    folder is all that evaluation, prediction and export need; the same command resumes after a
    stop.

    A network and a loss of your own, without changing kptkit:

        kptkit train hrnet --network my_nets:tiny --loss my_losses:wing --out runs/tiny

    my_nets.py is in the current folder or installed; --network and --loss say what they must be.
    """
    flags.run(_train_pose, TrainConfig, inspect.getdoc(hrnet), default_config, False)


def hourglass() -> None:
    """Trains a stacked hourglass on body keypoints or face landmarks, every stack supervised.

        kptkit train hourglass

    trains on the built-in demo set and evaluates on scenes it never saw. With your own data:

        kptkit train hourglass --data.train X.json --data.val Y.json --data.images DIR

    --recipe hg8 is the paper's, hg8-dark a stronger, newer one; --help lists all constants.
    Everything else is as in kptkit train hrnet.
    """
    defaults = partial(default_config, demo="hg-demo", own_data="hg-finetune")
    flags.run(_train_pose, TrainConfig, inspect.getdoc(hourglass), defaults, False)


def mtcnn() -> None:
    """Trains MTCNN's networks for finding faces and their five landmarks.

        kptkit train mtcnn

    mines and trains P-Net, R-Net and O-Net on the built-in demo set and evaluates the detector on
    scenes it never saw; it takes about ten minutes on two cores. To train one network, on crops of
    kptkit data mine pnet or kptkit data mine hard:

        kptkit train mtcnn --stage pnet

    To train on your own faces, with the lists that those two commands take:

        kptkit train mtcnn --annotations X.txt --images DIR --landmarks Y.txt \\
            --landmark-images DIR --out runs/own --data.train data/own

    uses the recipe for real data (--recipe NAME for another; --help lists all constants). --init
    original fine-tunes the published weights. The same command resumes after a stop.
    """
    flags.run(_train_face, FaceTrainConfig, inspect.getdoc(mtcnn), default_face_config, False)


def _train_pose(config: TrainConfig) -> None:
    if config.data != DataConfig():
        config.data.check_complete()
    quiet.import_tensorflow()
    from kptkit.train.pose import train_pose

    train_pose(config)


def _train_face(config: FaceTrainConfig) -> None:
    if config.options.init:
        early.check_cascade(config.options.init)
    quiet.import_tensorflow()
    from kptkit.train.face import train_face

    train_face(config)


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
    name = flags.flag_value(arguments, "--recipe") or name
    check_name("--recipe", name, RECIPES)
    _check_family(flags.flag_value(arguments, "--variant"), name)
    return TrainConfig(recipe=name, constants=RECIPES[name])


def _check_family(variant: str | None, recipe: str) -> None:
    """Refuses an hourglass with an HRNet's recipe, and the other way: their constants differ."""
    is_hourglass, for_hourglass = variant in HOURGLASSES, RECIPES[recipe].variant in HOURGLASSES
    if (is_hourglass or variant in HRNETS) and is_hourglass != for_hourglass:
        command = "hourglass" if is_hourglass else "hrnet"
        raise InputError(
            f"--variant {variant}: the recipe {recipe} is for another network; kptkit train "
            f"{command} trains it, or a --recipe of its own"
        )


def default_face_config(arguments: list[str]) -> FaceTrainConfig:
    """As `default_config`, for the cascade, with the constants of `--stage`.

    Raises:
        InputError: there is no such recipe.
    """
    own_data = any(a.startswith(("--data.train", "--annotations")) for a in arguments)
    name = flags.flag_value(arguments, "--recipe") or ("wider" if own_data else "demo")
    check_name("--recipe", name, FACE_RECIPES)
    stage = flags.flag_value(arguments, "--stage") or "all"
    recipes = FACE_RECIPES[name]
    # --stage all starts from P-Net's constants; an unknown stage is refused by the parser.
    constants = {"rnet": recipes["rnet"], "onet": recipes["onet"]}.get(stage, recipes["pnet"])
    return FaceTrainConfig(recipe=name, constants=constants)
