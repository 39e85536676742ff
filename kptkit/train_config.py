"""The flags of the training scripts: a recipe's constants, the data, how the run is carried out."""

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from kptkit.commands import flag_value
from kptkit.data.pose_data import DataConfig
from kptkit.errors import InputError
from kptkit.recipes import RECIPES, PoseRecipe


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; nothing here changes what a recipe is."""

    seed: int = 0
    """Of the initial weights, the data order and the augmentation."""
    strategy: Literal["one", "mirrored"] = "one"
    """One device, or all GPUs of this machine."""
    deterministic: bool = False
    """On a GPU, ask for ops that repeat to the bit (slower); a CPU always does."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Compile the training step by XLA; auto does so on a GPU."""
    checkpoint_seconds: float = 300
    """Time between checkpoints inside an epoch; each epoch ends with one anyway."""
    dry_run: bool = False
    """Train two steps, be judged on a few samples, and leave nothing behind."""


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """How the run of a pose network is carried out."""

    init: str | None = None
    """Weights to start from: a weights file or a run folder. The head is renewed where its
    keypoints differ."""
    synchronized_batch_norm: bool = False
    """With --strategy mirrored: batch statistics over all GPUs instead of each alone."""
    overfit: int = 0
    """Learn this many persons by heart and be judged on them: a check of data and loss."""

    def __post_init__(self) -> None:
        if self.overfit < 0:
            raise InputError(f"overfit: {self.overfit}; expected 0 or more persons")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and where to."""

    recipe: str
    """Where the constants start from; none: the demo's, or finetune with --data.train."""
    constants: Annotated[PoseRecipe, tyro.conf.arg(name="")]
    data: DataConfig = DataConfig()
    options: Annotated[TrainOptions, tyro.conf.arg(name="")] = TrainOptions()
    out: str | None = None
    """Run folder; none: runs/RECIPE."""


def default_config(arguments: list[str]) -> TrainConfig:
    """The configuration that flags override: that of `--recipe`.

    Raises:
        InputError: there is no such recipe.
    """
    name = "finetune" if any(a.startswith("--data.train") for a in arguments) else "demo"
    name = flag_value(arguments, "--recipe") or name
    check_name("--recipe", name, RECIPES)
    return TrainConfig(recipe=name, constants=RECIPES[name])


def check_name(flag: str, name: str, known: Collection[str]) -> None:
    """Refuses a name that is not known.

    Raises:
        InputError: with the nearest name that is.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{flag} {name}: expected one of {', '.join(known)}{hint}")
