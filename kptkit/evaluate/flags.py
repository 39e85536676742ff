"""Flags of evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from kptkit.conventions import Alignment, Method
from kptkit.data.faces.flags import FaceLists
from kptkit.data.pose_flags import DataConfig


@dataclass(frozen=True)
class PoseEvaluationConfig:
    """What to evaluate, and how."""

    run: tyro.conf.Positional[Path]
    """Run folder of kptkit train hrnet or kptkit train hourglass, a weights file, or a name such as
    coco-w32-256x192."""
    task: Literal["pose", "face"] = "pose"
    """What to evaluate; each task has its own flags (--task face --help)."""
    weights: str | None = None
    """Weights file in the run folder; default: best.npz."""
    network: str = ""
    """The --network of its training, if it had one: imports that code."""
    data: DataConfig = DataConfig()
    """Held-out data; default: those of the run."""
    detections: Path | None = None
    """COCO detection results, whose boxes replace the ground truth's."""
    oks_nms: float | None = None
    """The OKS above which the lower-scored of two persons is removed; default: 0.9 with
    --detections, else none is. (The tables of HRNet's authors: 0.9 in ground-truth boxes too.)"""
    flip_test: bool | None = None
    """Whether mirrored crops are evaluated too; default: as in the recipe, like the next two."""
    flip_alignment: Alignment | None = None
    decoder: Method | None = None
    oks_sigmas: tuple[float, ...] | None = None
    """OKS sigmas of the keypoints, instead of the schema's."""
    out: Path | None = None
    """Folder for the results; default: RUN/evaluation."""


@dataclass(frozen=True)
class FaceEvaluationConfig:
    """Which face detector to evaluate, and on what."""

    task: Literal["pose", "face"] = "face"
    """What to evaluate; each task has its own flags."""
    lists: tyro.conf.OmitArgPrefixes[FaceLists] = FaceLists()
    wider_lists: Path | None = None
    """Folder of wider_{easy,medium,hard}_val.mat, which define the subsets of faces to find."""
    heights: tuple[float, ...] = (20, 10)
    """Without --wider-lists: minimum heights of the faces to find, in pixels; one subset each."""
    weights: str = "default"
    """Weights of the detector: default (packaged), original (published, converted) or a file."""
    compare: str | None = None
    """Other weights, evaluated on the same pictures."""
    min_face_size: float = 10
    """Side in pixels of the smallest faces to detect."""
    scale_factor: float = 0.709
    """Scale from one level of the image pyramid to the next."""
    score_thresholds: tuple[float, float, float] = (0.5, 0.5, 0.3)
    """Score thresholds of P-, R- and O-Net; low, since AP depends on predictions of low scores."""
    resamples: int = 1000
    """With --compare: number of draws of the paired bootstrap over pictures."""
    out: Path = Path("runs/evaluate")
    """Folder for metrics.json."""
