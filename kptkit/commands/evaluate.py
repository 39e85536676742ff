"""Evaluates a trained run by its data set's protocol, or a face detector by WIDER FACE's.

    python scripts/evaluate.py runs/demo

uses the run's own held-out data. Other data, or the boxes of a detector:

    python scripts/evaluate.py RUN --data.val Y.json --data.images DIR [--detections BOXES.json]

prints AP and AR for COCO, PCKh for MPII, PCK@0.2 for FLIC and LSP, the mean error for faces, and
values per keypoint; writes results.json (COCO results) and metrics.json into RUN/evaluation.

    python scripts/evaluate.py --task face --annotations WIDER_TXT --images DIR [--landmarks LIST
        --landmark-images DIR] [--weights original|FILE] [--compare FILE]

prints AP, recall and landmark errors of the packaged face detector or of other weights, and the
difference between two of them; without data, on the demo set. It writes metrics.json into
runs/evaluate.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from kptkit import cli, files, opener
from kptkit.data.formats.coco import load_coco
from kptkit.data.pose_flags import DataConfig, PoseSet, load_held_out
from kptkit.data.records.sources import ImageSource
from kptkit.data.to_samples import detection_samples
from kptkit.decode import Alignment, Method
from kptkit.errors import InputError
from kptkit.evaluate.face_report import FaceEvaluationConfig, report_faces
from kptkit.evaluate.pose import PoseEvaluation, evaluate_pose
from kptkit.metrics import oks, protocols
from kptkit.opener import PoseSource
from kptkit.pose.estimator import PoseEstimator


@dataclass(frozen=True)
class Config:
    """What to evaluate, and how."""

    run: tyro.conf.Positional[Path]
    """Run folder of train_hrnet.py or train_hourglass.py, a weights file, or a name such as
    coco-w32-256x192."""
    task: Literal["pose", "face"] = "pose"
    """What to evaluate; each task has its own flags (--task face --help)."""
    weights: str | None = None
    """Weights file in the run folder; default: best.npz."""
    data: DataConfig = DataConfig()
    """Held-out data; default: those of the run."""
    detections: Path | None = None
    """COCO detection results, whose boxes replace the ground truth's."""
    oks_nms: float = 0.9
    """With --detections: the OKS above which the lower-scored of two persons is removed."""
    flip_test: bool | None = None
    """Whether mirrored crops are evaluated too; default: as in the recipe, like the next two."""
    flip_alignment: Alignment | None = None
    decoder: Method | None = None
    oks_sigmas: tuple[float, ...] | None = None
    """OKS sigmas of the keypoints, instead of the schema's."""
    out: Path | None = None
    """Folder for the results; default: RUN/evaluation."""


def main(config: Config) -> None:
    """Opens the run and its data, predicts, evaluates, prints tables."""
    source = opener.find(config.run, config.weights)
    held_out = held_out_data(source, config)
    chosen = {
        name: value
        for name in ("flip_test", "flip_alignment", "decoder")
        if (value := getattr(config, name)) is not None
    }
    estimator = PoseEstimator(opener.build(source, replace(source.recipe, **chosen)))
    threshold = config.oks_nms if config.detections else None
    evaluation = evaluate_pose(
        estimator, held_out.source, held_out.truth, oks_nms_threshold=threshold
    )
    print_tables(evaluation, held_out.truth)
    out = config.out or source.folder / "evaluation"
    files.write_json(out / "results.json", evaluation.results)
    finite = {k: v for k, v in evaluation.metrics.items() if np.isfinite(v)}
    files.write_json(out / "metrics.json", finite)
    print(f"written: {out}/results.json, {out}/metrics.json")


def held_out_data(run: PoseSource, config: Config) -> PoseSet:
    """The persons to evaluate on: the run's own data, changed by the command's flags.

    Raises:
        InputError: a file is unusable, or has other keypoints than the run.
    """
    given = {
        field.name: value
        for field in fields(DataConfig)
        if (value := getattr(config.data, field.name)) != field.default
    }
    if "images" in given:
        given.setdefault("val_images", None)
    data = replace(DataConfig(**run.data), **given)
    notices: list[str] = []
    held_out = load_held_out(data, notices)
    for notice in notices:
        print(notice)
    samples = held_out.source.samples
    if samples.schema.names != run.schema.names:
        raise InputError(
            f"{data.val}: keypoints {', '.join(samples.schema.names)}; expected those that "
            f"{config.run} learned: {', '.join(run.schema.names)}"
        )
    if config.detections:
        if samples.protocol != "oks":
            raise InputError(
                f"--detections: {data.val} is judged by {protocols.headline(samples.protocol)[0]}, "
                "person by person; detected boxes are known for COCO's AP only"
            )
        coco = load_coco(data.val, category=data.category)
        folder = data.val_images or data.images
        samples = replace(
            detection_samples(coco, config.detections, folder, data.orientation),
            schema=samples.schema,
        )
    if config.oks_sigmas:
        samples = replace(samples, schema=replace(samples.schema, oks_sigmas=config.oks_sigmas))
    return PoseSet(ImageSource(samples), held_out.truth)


def print_tables(evaluation: PoseEvaluation, truth: dict) -> None:
    """Prints the protocol's table and, with ground-truth boxes, one row per keypoint."""
    samples = evaluation.samples
    kind = "faces" if samples.protocol.startswith("nme") else "persons"
    print(f"{len(samples)} {kind}\n")
    print(protocols.format_table(samples.protocol, evaluation.metrics))
    if not samples.keypoints[..., 2].any():
        return  # detected boxes are not matched to persons
    if samples.protocol != "oks":
        print("\n" + protocols.keypoint_table(samples, evaluation.keypoints))
        return
    areas = {a["id"]: a["area"] for a in truth["annotations"]}
    statistics = oks.per_keypoint(
        evaluation.keypoints,
        samples.keypoints,
        np.array([areas[i] for i in samples.sample_ids.tolist()]),
        samples.schema.oks_sigmas,
    )
    print("\n" + oks.per_keypoint_table(samples.schema.names, statistics))


def command() -> None:
    """The command line."""
    cli.run_task({"pose": (main, Config), "face": (report_faces, FaceEvaluationConfig)}, __doc__)
