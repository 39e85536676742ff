"""Flags of training and of mining: the recipe's constants, the data, and run options."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

from kptkit.data.faces.flags import FaceLists
from kptkit.data.mining.settings import HardMiningConfig, PnetMiningConfig
from kptkit.data.pose_flags import DataConfig
from kptkit.errors import InputError
from kptkit.fields import (
    COUNT,
    COUNT_OR_NONE,
    SHARE,
    AllFlat,
    Flat,
    Needs,
    Range,
    Written,
)
from kptkit.models.sizes import Stage
from kptkit.recipes.face import FACE_RECIPES, FaceRecipe
from kptkit.recipes.pose import PoseRecipe

# Where training writes the cascade of the stages trained so far.
TRAINED_CASCADE = Path("runs/mtcnn/mtcnn.npz")


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; none of this changes the recipe."""

    seed: int = 0
    """Seed of the initial weights, the data order and the augmentation."""
    strategy: Literal["one", "mirrored"] = "one"
    """One device, or all GPUs of this machine."""
    deterministic: bool = False
    """On a GPU, use deterministic ops (slower); a CPU run is always deterministic."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the training step; auto: on a GPU only."""
    checkpoint_seconds: Annotated[float, Range(0)] = 300
    """Seconds between checkpoints inside an epoch; each epoch also ends with one."""
    dry_run: bool = False
    """Train two steps, evaluate on a few samples, and keep no files."""


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Run options of a pose network."""

    init: str | None = None
    """Weights to start from: a name such as coco-w32-256x192 or imagenet-w32, once
    kptkit convert has fetched it; a weights file; or a run folder. The head is initialised
    afresh if its keypoints differ."""
    synchronized_batch_norm: Annotated[bool, Needs("strategy=mirrored")] = False
    """With --strategy mirrored: batch statistics over all GPUs instead of one GPU each."""
    overfit: Annotated[int, COUNT_OR_NONE] = 0
    """Train on this many persons only and evaluate on the same: a check of data and loss."""

    def __post_init__(self) -> None:
        if self.overfit < 0:
            raise InputError(f"overfit: {self.overfit}; expected 0 or more persons")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what data, and where to write it."""

    recipe: str
    """Recipe with the default constants; default: demo, or finetune with --data.train."""
    constants: Flat[PoseRecipe]
    data: DataConfig = DataConfig()
    options: Flat[TrainOptions] = TrainOptions()
    out: Annotated[str | None, Written("folder")] = None
    """Run folder; default: runs/RECIPE."""


@dataclass(frozen=True)
class FaceOptions(RunOptions):
    """Run options of the cascade's networks."""

    init: str | None = None
    """Cascade to start from: default (packaged), original (published, converted) or a file."""
    init_share: Annotated[float, SHARE, Needs("init")] = 0.0
    """With --init: the share of the initial weights in the cascade that is written, 0 to 1. At 0.5,
    fine-tuning on a small set forgets less (weight averaging, Wortsman et al. 2022)."""
    workers: Annotated[int | None, COUNT_OR_NONE, Needs("stage=all")] = None
    """With --stage all: number of mining processes; default: one per core."""

    def __post_init__(self) -> None:
        if not 0 <= self.init_share <= 1:
            raise InputError(f"init_share: {self.init_share}; expected 0 to 1")
        if self.init_share and not self.init:
            raise InputError(f"init_share: {self.init_share}; expected --init beside it")


@dataclass(frozen=True)
class FaceDataConfig:
    """Where the crops are."""

    train: Annotated[Path | None, Written("folder")] = None
    """Folder of training crops; default: data/STAGE. With --stage all: the folder into which the
    crops of the three stages are mined; default: data."""
    val: str = "0.1"
    """Folder of held-out crops, or the share of the shards of --data.train to hold out."""


@dataclass(frozen=True)
class FaceTrainConfig:
    """Which networks of the cascade to train, on what data, and where to write them."""

    recipe: str
    """Recipe with the default constants; default: demo, or wider with --data.train or
    --annotations."""
    constants: Flat[FaceRecipe]
    stage: Literal["pnet", "rnet", "onet", "all"] = "all"
    """One network, or all: each is mined for, then trained. Constants given apply to all three."""
    lists: Annotated[AllFlat[FaceLists], Needs("stage=all")] = FaceLists()
    hard: Annotated[HardMiningConfig, Needs("stage=all")] = HardMiningConfig()
    """With --stage all: how hard examples are mined."""
    data: FaceDataConfig = FaceDataConfig()
    judged: Annotated[FaceLists, Needs("stage=all", "stage=onet")] = FaceLists()
    """Held-out faces to evaluate the finished cascade on; default with the recipe demo: the demo
    set's."""
    options: Flat[FaceOptions] = FaceOptions()
    out: Annotated[Path, Written("folder")] = Path("runs")
    """Folder for the run folders pnet, rnet and onet, and for mtcnn, the cascade trained so far."""

    def recipe_of(self, stage: Stage) -> FaceRecipe:
        """The constants of a stage: the recipe's, overridden by those given as flags."""
        recipes = FACE_RECIPES[self.recipe]
        start = recipes["pnet" if self.stage == "all" else self.stage]
        given = {
            field.name: value
            for field in fields(FaceRecipe)
            if (value := getattr(self.constants, field.name)) != getattr(start, field.name)
        }
        return replace(recipes[stage], **given)


@dataclass(frozen=True)
class PnetSamplesConfig:
    """What to mine, and where to write it."""

    lists: AllFlat[FaceLists] = FaceLists()
    out: Annotated[Path, Written("folder")] = Path("data/pnet")
    """Folder to write."""
    mining: AllFlat[PnetMiningConfig] = PnetMiningConfig()
    pictures: Annotated[int | None, COUNT] = None
    """Only so many of each list, for a trial; default: all."""
    workers: Annotated[int | None, COUNT_OR_NONE] = None
    """Number of processes; default: one per core."""
    seed: int = 0
    """Seed of the random windows."""


@dataclass(frozen=True)
class HardSamplesConfig:
    """What to mine, with which cascade, and where to write it."""

    stage: Literal["rnet", "onet"] = "rnet"
    """The network to mine for: its crops are what the stages before it take for faces."""
    detector: str = str(TRAINED_CASCADE)
    """The cascade: default (packaged), original (published, converted) or a file; only the stages
    before --stage are needed."""
    lists: AllFlat[FaceLists] = FaceLists()
    out: Annotated[Path | None, Written("folder")] = None
    """Folder to write; default: data/STAGE."""
    score_thresholds: Annotated[tuple[float, float], SHARE] = (0.3, 0.1)
    """Score thresholds of P-Net and R-Net; lower ones find more and easier examples."""
    scale_factor: float = 0.709
    """Scale from one level of the image pyramid to the next."""
    mining: AllFlat[HardMiningConfig] = HardMiningConfig()
    pictures: Annotated[int | None, COUNT] = None
    """Only so many of each list, for a trial; default: all."""
    workers: Annotated[int | None, COUNT_OR_NONE] = None
    """Pictures processed at the same time; default: one per core."""
    seed: int = 0
    """Seed of the random windows."""

    @property
    def folder(self) -> Path:
        """The folder to write."""
        return self.out or Path("data", self.stage)
