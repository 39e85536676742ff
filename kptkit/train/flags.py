"""The flags of the training scripts: a recipe's constants, the data, how the run is carried out."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kptkit.data.faces.flags import FaceLists
from kptkit.data.mining.hard import HardMiningConfig
from kptkit.data.pose_flags import DataConfig
from kptkit.errors import InputError
from kptkit.models.mtcnn import Stage
from kptkit.recipes.face import FACE_RECIPES, FaceRecipe
from kptkit.recipes.pose import PoseRecipe


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; none of this changes the recipe."""

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
    """Train two steps, evaluate on a few samples, and leave nothing behind."""


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """How the run of a pose network is carried out."""

    init: str | None = None
    """Weights to start from: a name such as coco-w32-256x192 or imagenet-w32, once
    convert_weights.py has fetched it; a weights file; or a run folder. The head is renewed where
    its keypoints differ."""
    synchronized_batch_norm: bool = False
    """With --strategy mirrored: batch statistics over all GPUs instead of each alone."""
    overfit: int = 0
    """Train on this many persons only and evaluate on the same: a check of data and loss."""

    def __post_init__(self) -> None:
        if self.overfit < 0:
            raise InputError(f"overfit: {self.overfit}; expected 0 or more persons")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and where to."""

    recipe: str
    """Where the constants start from; default: demo, or finetune with --data.train."""
    constants: Annotated[PoseRecipe, tyro.conf.arg(name="")]
    data: DataConfig = DataConfig()
    options: Annotated[TrainOptions, tyro.conf.arg(name="")] = TrainOptions()
    out: str | None = None
    """Run folder; default: runs/RECIPE."""


@dataclass(frozen=True)
class FaceOptions(RunOptions):
    """How the run of a network of the cascade is carried out."""

    init: str | None = None
    """Cascade to start from: default (packaged), original (published, converted) or a file."""
    init_share: float = 0.0
    """With --init: the share of the starting weights in the cascade that is written, 0 to 1. Half
    and half forgets less of what a small set does not show (Wortsman et al. 2022)."""
    workers: int | None = None
    """With --stage all: processes that mine; default: one per core."""

    def __post_init__(self) -> None:
        if not 0 <= self.init_share <= 1:
            raise InputError(f"init_share: {self.init_share}; expected 0 to 1")
        if self.init_share and not self.init:
            raise InputError(f"init_share: {self.init_share}; expected --init beside it")


@dataclass(frozen=True)
class FaceDataConfig:
    """Where the crops stand."""

    train: Path | None = None
    """Folder of crops; default: data/STAGE. With --stage all: the folder in which the crops of the
    three stages are mined; default: data."""
    val: str = "0.1"
    """Folder of crops to evaluate on, or a share of the shards of --data.train."""


@dataclass(frozen=True)
class FaceTrainConfig:
    """Which networks of the cascade to train, on what, and where to."""

    recipe: str
    """Where the constants start from; default: demo, or wider with --data.train or
    --annotations."""
    constants: Annotated[FaceRecipe, tyro.conf.arg(name="")]
    stage: Literal["pnet", "rnet", "onet", "all"] = "all"
    """One network, or all of them, each mined first; constants given then hold for all three."""
    lists: tyro.conf.OmitArgPrefixes[FaceLists] = FaceLists()
    hard: HardMiningConfig = HardMiningConfig()
    """With --stage all: how hard examples are mined."""
    data: FaceDataConfig = FaceDataConfig()
    judged: FaceLists = FaceLists()
    """Held-out faces for the finished cascade; default: the demo set's, with the recipe demo."""
    options: Annotated[FaceOptions, tyro.conf.arg(name="")] = FaceOptions()
    out: Path = Path("runs")
    """Folder of the run folders pnet, rnet and onet, and of mtcnn, the cascade trained so far."""

    def recipe_of(self, stage: Stage) -> FaceRecipe:
        """The constants of a stage: those of the recipe, but for those given by flags."""
        recipes = FACE_RECIPES[self.recipe]
        start = recipes["pnet" if self.stage == "all" else self.stage]
        given = {
            field.name: value
            for field in fields(FaceRecipe)
            if (value := getattr(self.constants, field.name)) != getattr(start, field.name)
        }
        return replace(recipes[stage], **given)
