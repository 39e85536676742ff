"""Mines the crops of P-Net, R-Net and O-Net, from flags to a finished folder of records."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from kptkit.data.faces.flags import FaceLists
from kptkit.data.faces.lists import load_faces
from kptkit.data.mining.crops import mine_part, split_into_parts
from kptkit.data.mining.hard import DETECTIONS, hard_crops, mine_in_threads
from kptkit.data.mining.pnet import SIZE, pnet_crops
from kptkit.data.records.crop_writer import write_crops
from kptkit.errors import InputError
from kptkit.face.cascade import Cascade
from kptkit.models.sizes import STAGES, Stage
from kptkit.recipes.cascade import MOST_FACES, CascadeConfig
from kptkit.samples import FaceSamples
from kptkit.train.flags import HardSamplesConfig, PnetSamplesConfig
from kptkit.weights.arrays import fingerprint
from kptkit.weights.assign import model_arrays
from kptkit.weights.cascade import load_stages

# The previous network, which finds the examples.
PREVIOUS: dict[Stage, Literal["pnet", "rnet"]] = {"rnet": "pnet", "onet": "rnet"}


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


def mine_hard_samples(config: HardSamplesConfig) -> dict[str, Any]:
    """Mines R-Net's or O-Net's crops into a folder, or resumes mining; returns the manifest.

    Raises:
        InputError: a list, the detector or the folder cannot be used, or the cascade finds no face.
    """
    before = PREVIOUS[config.stage]
    models = load_stages(config.detector, before)
    sets, made_from = _faces(config.lists, config.pictures)
    looks = CascadeConfig(
        config.mining.min_face_size,
        config.scale_factor,
        (*config.score_thresholds, 1.0),
        max_faces=MOST_FACES,  # an unfinished detector takes more windows for faces
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
    return f"kptkit train mtcnn --stage {stage} --recipe {recipe}{crops}"


def weights_sha256(models: dict[Stage, keras.Model]) -> str:
    """A SHA-256 of the weights of some networks, independent of the file they are in."""
    return fingerprint(
        {
            f"{stage}/{name}": array
            for stage, model in models.items()
            for name, array in sorted(model_arrays(model).items())
        }
    )
