"""Trains the cascade, from flags to an evaluated detector: mining, networks, report, export."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from kptkit import files
from kptkit.data.batches.face import KINDS, CropSet, check_kinds, hold_out
from kptkit.data.faces.flags import FaceLists
from kptkit.data.faces.lists import demo_lists, load_faces
from kptkit.data.pose_flags import share_of
from kptkit.data.records.crop_writer import summary
from kptkit.data.records.crops import CropRecords
from kptkit.data.records.folder import MANIFEST
from kptkit.errors import InputError
from kptkit.evaluate.face_report import draw_face_predictions, report_faces
from kptkit.evaluate.flags import FaceEvaluationConfig
from kptkit.export.face import export_face
from kptkit.face.detector import FaceDetector
from kptkit.images.codec import write_image
from kptkit.models.sizes import STAGES, Stage
from kptkit.runs import FaceRun, load_run
from kptkit.sealed import read_sealed, write_sealed
from kptkit.train.face_stage import StageData, fit_stage
from kptkit.train.flags import (
    TRAINED_CASCADE,
    FaceOptions,
    FaceTrainConfig,
    HardSamplesConfig,
    PnetSamplesConfig,
)
from kptkit.train.folder import check_folder, dry_run
from kptkit.train.mine_faces import PREVIOUS, mine_hard_samples, mine_pnet_samples
from kptkit.weights.arrays import load_arrays
from kptkit.weights.assign import model_arrays
from kptkit.weights.cascade import load_stages, save_cascade, stage_model

Arrays = dict[str, np.ndarray]

# Files in the folder `out` that belong to the whole cascade.
CASCADE, REPORT = "mtcnn/mtcnn.npz", "mtcnn/report.json"

DRY_RUN_PICTURES = 8

# The stage to train after one that was trained alone.
FOLLOWING: dict[str, Stage] = {before: stage for stage, before in PREVIOUS.items()}


def train_face(config: FaceTrainConfig) -> None:
    """Trains one network or all of them; with `--dry-run`, in a temporary folder.

    Raises:
        InputError: a flag or a file is unusable, or a loss is not finite.
    """
    if config.options.dry_run:
        with dry_run() as temporary:
            _train_in(temporary, config)
    else:
        _train_in(Path(), config)


def _train_in(root: Path, config: FaceTrainConfig) -> None:
    out = root / config.out

    def demo(split: Literal["train", "val"]) -> FaceLists:
        if config.options.dry_run:
            return demo_lists(root / "data/demo", split, train_images=8, val_images=4)
        return demo_lists(root / "data/demo", split)

    _check_early(config)
    trained: list[Stage] = []
    if config.stage == "all":
        lists = demo("train") if config.lists == FaceLists() else config.lists
        for stage in STAGES:
            crops = root / (config.data.train or "data") / stage
            mine(stage, crops, lists, out, config)
            trained = train_stage(stage, crops, out, config)
    else:
        crops = config.data.train or Path("data", config.stage)
        trained = train_stage(config.stage, crops, out, config)
    missing = [stage for stage in STAGES if stage not in trained]
    # Hard examples mined with an earlier P-Net or R-Net do not fit this one.
    following = FOLLOWING.get(config.stage, missing[0] if missing else None)
    if following:
        flags = "" if config.recipe == "demo" else " --annotations ... --images ..."
        print(f"next: {mining_command(following, out / CASCADE)}{flags}")
        return
    judged = config.judged
    if config.recipe == "demo" and judged == config.lists == FaceLists():
        judged = demo("val")
    finish(out, judged)


def _check_early(config: FaceTrainConfig) -> None:
    """Opens the files that are needed last, so that a wrong flag fails before hours of work."""
    if config.options.init:
        load_stages(config.options.init, "onet" if config.stage == "all" else config.stage)
    if config.judged != FaceLists():
        load_faces(config.judged)


def mine(stage: Stage, crops: Path, lists: FaceLists, out: Path, config: FaceTrainConfig) -> None:
    """Mines the crops of a stage as `kptkit data mine` does, unless that is done."""
    options = config.options
    pictures = DRY_RUN_PICTURES if options.dry_run else None
    if stage == "pnet":
        pnet = PnetSamplesConfig(
            lists=lists, out=crops, pictures=pictures, workers=options.workers, seed=options.seed
        )
        manifest = mine_pnet_samples(pnet)
    else:
        hard = HardSamplesConfig(
            stage=stage,
            detector=str(out / CASCADE),
            lists=lists,
            out=crops,
            mining=config.hard,
            pictures=pictures,
            workers=options.workers,
            seed=options.seed,
        )
        manifest = mine_hard_samples(hard)
    print(f"{crops}: {summary(manifest)}")


def train_stage(stage: Stage, crops: Path, out: Path, config: FaceTrainConfig) -> list[Stage]:
    """Trains one network on a folder of crops, in the run folder `out`/`stage`.

    Returns:
        The stages now in the cascade in `out`.

    Raises:
        InputError: the crops are missing, belong to another stage or lack a kind, or the folder
            holds another run.
    """
    recipe, options = config.recipe_of(stage), config.options
    # A dry run has too few crops to hold some out, so it is evaluated on its training crops.
    val = str(crops) if options.dry_run else config.data.val
    data = load_crops(stage, crops, val)
    for what, crop_set in (("to learn from", data.learned), ("held out", data.held_out)):
        check_kinds(crop_set, recipe.class_ratio)
        counts = ", ".join(f"{len(crop_set.indices[kind]):,} {kind.label}" for kind in KINDS)
        print(f"{stage}: {counts} crops {what}")
    run = FaceRun(
        folder=out / stage,
        stage=stage,
        recipe=recipe,
        data={"train": str(crops.absolute()), "val": _absolute(val)},
    )
    check_folder(run.folder)
    with files.locked(run.folder):
        run.write(stage_identity(options, crops))
        metrics = fit_stage(run, data, options)
    print(f"{stage}: best " + ", ".join(f"{name} {x:.4f}" for name, x in metrics.items()))
    return write_cascade(stage, out, options.init, options.init_share)


def load_crops(stage: Stage, folder: Path, val: str) -> StageData:
    """The training crops and the held-out crops of a stage.

    Args:
        val: folder of the held-out crops, or the share of the shards of `folder` to hold out.

    Raises:
        InputError: a folder is missing, unfinished, damaged or belongs to another stage.
    """
    records = _records(stage, folder)
    if share := share_of(val):
        return StageData(*hold_out(records, share))
    held_out = _records(stage, Path(val))
    return StageData(CropSet.whole(records), CropSet.whole(held_out))


def _records(stage: Stage, folder: Path) -> CropRecords:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; mine the crops first: {mining_command(stage)}")
    records = CropRecords(folder)
    if (records.stage, records.size) != (stage, STAGES[stage].size):
        raise InputError(
            f"{folder}: crops for {records.stage} of {records.size} px, expected those for {stage} "
            f"of {STAGES[stage].size} px"
        )
    return records


def mining_command(stage: Stage, detector: Path = TRAINED_CASCADE) -> str:
    """The command that mines the crops of a stage."""
    if stage == "pnet":
        return "kptkit data mine pnet"
    return f"kptkit data mine hard --stage {stage} --detector {detector}"


def stage_identity(options: FaceOptions, crops: Path) -> dict[str, Any]:
    """What must not change when a run is resumed, besides recipe and data flags."""
    return {
        "seed": options.seed,
        "init": options.init,
        "train_sha256": files.sha256(crops / MANIFEST),
    }


def write_cascade(
    stage: Stage, out: Path, init: str | None, init_share: float = 0.0
) -> list[Stage]:
    """Publishes the best weights of all networks trained in `out` as one cascade.

    Args:
        init: the cascade that training started from; it supplies the stages that were not trained.
        init_share: the share of its weights mixed into those of the trained networks, 0 to 1.

    Returns:
        The stages of that cascade.
    """
    models = load_stages(init, stage) if init else {}
    for name in STAGES:
        if (out / name / "best.npz").exists():
            best = load_run(out / name, FaceRun).best
            arrays = load_arrays(best)
            if init_share and name in models:
                arrays = mixed(arrays, model_arrays(models[name]), init_share)
            models[name] = stage_model(name, arrays, str(best))
    models = {name: models[name] for name in STAGES if name in models}
    save_cascade(out / CASCADE, models)
    print(f"cascade of {', '.join(models)}: {out / CASCADE}")
    return list(models)


def mixed(arrays: Arrays, start: Arrays, share: float) -> Arrays:
    """Trained weights interpolated towards `start` by `share` (0 to 1), by name."""
    return {name: (1 - share) * array + share * start[name] for name, array in arrays.items()}


def finish(out: Path, judged: FaceLists) -> None:
    """Evaluates the cascade trained in `out`, draws its detections, exports it, prints next steps.

    `report.json` records the weights and data this was done for, so that it is not repeated.

    Args:
        judged: held-out faces; if there are none, the cascade is exported without evaluation.
    """
    weights = out / CASCADE
    done = {"sha256": files.sha256(weights), "judged": [str(path) for path in judged.annotations]}
    report = out / REPORT
    advice = "remove it, and the cascade is judged and exported again"
    if report.exists() and read_sealed(report, advice) == done:
        print(f"{weights.parent}: finished already; another --out starts a new cascade")
        return
    detector = FaceDetector(weights)
    if judged == FaceLists():
        print("not judged: no held-out faces; give them as --judged.annotations, --judged.images")
    else:
        report_faces(FaceEvaluationConfig(lists=judged, weights=str(weights), out=weights.parent))
        picture = weights.with_name("predictions.jpg")
        samples, _ = load_faces(judged)
        write_image(picture, draw_face_predictions(detector, samples[0]))
        print(f"picture of predictions: {picture}")
    print(f"exported SavedModel: {export_face(weights, weights.with_name('export'))}")
    write_sealed(report, done)
    print(f"next: kptkit predict --task face PHOTO.jpg --weights {weights}")


def _absolute(val: str) -> str:
    return val if share_of(val) else str(Path(val).absolute())
