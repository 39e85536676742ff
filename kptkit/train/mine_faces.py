"""Mines the crops of P-Net, R-Net and O-Net, from flags to a finished folder of records."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
import tyro

from kptkit.data.faces.flags import FaceLists, load_faces
from kptkit.data.mining.crops import mine_part, split_into_parts
from kptkit.data.mining.hard import DETECTIONS, HardMiningConfig, hard_crops, mine_in_threads
from kptkit.data.mining.pnet import SIZE, PnetMiningConfig, pnet_crops
from kptkit.data.records.crop_writer import write_crops
from kptkit.errors import InputError
from kptkit.face.cascade import Cascade, CascadeConfig
from kptkit.models.mtcnn import STAGES, Stage
from kptkit.samples import FaceSamples
from kptkit.weights.assign import model_arrays
from kptkit.weights.cascade import load_stages

# Where training writes the cascade of the stages trained so far.
TRAINED_CASCADE = Path("runs/mtcnn/mtcnn.npz")

# The previous network, which finds the examples.
PREVIOUS: dict[Stage, Stage] = {"rnet": "pnet", "onet": "rnet"}


@dataclass(frozen=True)
class PnetSamplesConfig:
    """What to mine, and where to write it."""

    lists: tyro.conf.OmitArgPrefixes[FaceLists] = FaceLists()
    out: Path = Path("data/pnet")
    """Folder to write."""
    mining: tyro.conf.OmitArgPrefixes[PnetMiningConfig] = PnetMiningConfig()
    pictures: int | None = None
    """Only so many of each list, for a trial; default: all."""
    workers: int | None = None
    """Number of processes; default: one per core."""
    seed: int = 0


def mine_pnet_samples(config: PnetSamplesConfig) -> dict[str, Any]:
    """Mines P-Net's crops into a folder, or resumes mining; returns the manifest.

    Raises:
        InputError: a list or the folder cannot be used.
    """
    sets, made_from = _faces(config.lists, config.pictures)
    plan = {
        "stage": "pnet",
        "size": SIZE,
        "seed": config.seed,
        "mining": asdict(config.mining),
        "made_from": made_from,
        "pictures": config.pictures,
    }
    mine_image = partial(pnet_crops, config=config.mining)
    mine = partial(mine_part, mine_image=mine_image, smallest_side=SIZE, seed=config.seed)
    workers = config.workers or os.cpu_count() or 1
    return write_crops(config.out, plan, split_into_parts(sets), mine, workers)


@dataclass(frozen=True)
class HardSamplesConfig:
    """What to mine, with which cascade, and where to write it."""

    stage: Literal["rnet", "onet"] = "rnet"
    """The network to mine for: its crops are what the stages before it take for faces."""
    detector: str = str(TRAINED_CASCADE)
    """The cascade: default (packaged), original (published, converted) or a file; only the stages
    before --stage are needed."""
    lists: tyro.conf.OmitArgPrefixes[FaceLists] = FaceLists()
    out: Path | None = None
    """Folder to write; default: data/STAGE."""
    score_thresholds: tuple[float, float] = (0.3, 0.1)
    """Score thresholds of P-Net and R-Net; lower ones find more and easier examples."""
    scale_factor: float = 0.709
    """Scale from one level of the image pyramid to the next."""
    mining: tyro.conf.OmitArgPrefixes[HardMiningConfig] = HardMiningConfig()
    pictures: int | None = None
    """Only so many of each list, for a trial; default: all."""
    workers: int | None = None
    """Pictures processed at the same time; default: one per core."""
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.workers or 0) < 0:
            raise InputError(f"workers: {self.workers}; expected 0 or more")

    @property
    def folder(self) -> Path:
        """The folder to write."""
        return self.out or Path("data", self.stage)


def mine_hard_samples(config: HardSamplesConfig) -> dict[str, Any]:
    """Mines R-Net's or O-Net's crops into a folder, or resumes mining; returns the manifest.

    Raises:
        InputError: a list, the detector or the folder cannot be used, or the cascade finds no face.
    """
    before = PREVIOUS[config.stage]
    models = load_stages(config.detector, before)
    sets, made_from = _faces(config.lists, config.pictures)
    looks = CascadeConfig(
        config.mining.min_face_size, config.scale_factor, (*config.score_thresholds, 1.0)
    )
    size = STAGES[config.stage].size
    plan = {
        "stage": config.stage,
        "size": size,
        "seed": config.seed,
        "mining": asdict(config.mining),
        "cascade": asdict(looks),
        "detector_sha256": weights_sha256(models),
        "made_from": made_from,
        "pictures": config.pictures,
    }
    cascade = Cascade(models, looks)

    def detector(image: np.ndarray) -> np.ndarray:
        return cascade.proposals(tf.constant(image), before).numpy()

    mine_image = partial(hard_crops, detector=detector, config=config.mining, size=size)
    pool = ThreadPoolExecutor(config.workers or os.cpu_count() or 1)
    try:
        mine = partial(mine_in_threads, mine_image=mine_image, seed=config.seed, pool=pool)
        manifest = write_crops(config.folder, plan, split_into_parts(sets), mine, workers=0)
    finally:
        pool.shutdown(cancel_futures=True)
    if not manifest["notes"].get(DETECTIONS):
        raise InputError(
            f"{config.detector}: finds no face in any of the pictures; lower --score-thresholds, "
            f"train it longer or take another --detector, and remove {config.folder}"
        )
    return manifest


def _faces(
    lists: FaceLists, pictures: int | None
) -> tuple[list[FaceSamples], list[dict[str, Any]]]:
    """As `load_faces`, with at most `pictures` pictures of each set."""
    if pictures is not None and pictures < 1:
        raise InputError(f"pictures: {pictures}; expected 1 or more")
    sets, made_from = load_faces(lists)
    if pictures is not None:
        sets = [s.select_images(np.arange(len(s.image_paths))[:pictures]) for s in sets]
    return sets, made_from


def training_command(stage: Stage, folder: Path, lists: FaceLists) -> str:
    """The command that trains a network on a folder of crops, which were mined from `lists`."""
    recipe = "demo" if lists == FaceLists() else "wider"
    crops = "" if folder == Path("data", stage) else f" --data.train {folder}"
    return f"python scripts/train_mtcnn.py --stage {stage} --recipe {recipe}{crops}"


def weights_sha256(models: dict[Stage, keras.Model]) -> str:
    """A SHA-256 of the weights of some networks, independent of the file they are in."""
    digest = hashlib.sha256()
    for stage, model in models.items():
        for name, array in sorted(model_arrays(model).items()):
            digest.update(f"{stage}/{name} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
