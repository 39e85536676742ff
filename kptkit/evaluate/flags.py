"""Flags of evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kptkit.conventions import Alignment, Method
from kptkit.data.faces.flags import FaceLists
from kptkit.data.pose_flags import DataConfig
from kptkit.fields import (
    COUNT,
    SHARE,
    AllFlat,
    Existing,
    Needs,
    Positional,
    Range,
    Without,
    Written,
)
from kptkit.recipes.cascade import MOST_FACES, SIDES


@dataclass(frozen=True)
class PoseEvaluationConfig:
    """What to evaluate, and how."""

    run: Positional[Path]
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
    detections: Annotated[Path | None, Existing("file")] = None
    """COCO detection results, whose boxes replace the ground truth's."""
    oks_nms: Annotated[float | None, SHARE] = None
    """The OKS above which the lower-scored of two persons is removed; default: 0.9 with
    --detections, else none is. (The tables of HRNet's authors: 0.9 in ground-truth boxes too.)"""
    flip_test: bool | None = None
    """Whether mirrored crops are evaluated too; default: as in the recipe."""
    flip_alignment: Annotated[Alignment | None, Without("flip_test=False")] = None
    """Shift that aligns the mirrored heatmaps: 3/4 px, the papers' whole pixel, or none; default:
    as in the recipe."""
    decoder: Method | None = None
    """How heatmaps are decoded: argmax, the papers' quarter-pixel offset, or DARK; default: as in
    the recipe."""
    oks_sigmas: Annotated[tuple[float, ...] | None, Range(0, 1_000_000, above=True)] = None
    """OKS sigmas of the keypoints, instead of the schema's."""
    out: Annotated[Path | None, Written("folder")] = None
    """Folder for the results; default: RUN/evaluation."""


@dataclass(frozen=True)
class FaceEvaluationConfig:
    """Which face detector to evaluate, and on what."""

    task: Literal["pose", "face"] = "face"
    """What to evaluate; each task has its own flags."""
    lists: AllFlat[FaceLists] = FaceLists()
    wider_lists: Annotated[Path | None, Existing("folder"), Needs("annotations")] = None
    """Folder of wider_{easy,medium,hard}_val.mat, which define the subsets of faces to find."""
    heights: Annotated[tuple[float, ...], Range(0), Without("wider_lists")] = (20, 10)
    """Without --wider-lists: minimum heights of the faces to find, in pixels; one subset each."""
    weights: str = "default"
    """Weights of the detector: default (packaged), original (published, converted) or a file."""
    compare: str | None = None
    """Other weights, evaluated on the same pictures."""
    min_face_size: Annotated[float, Range(10, 100_000)] = 10
    """Side in pixels of the smallest faces to detect."""
    scale_factor: float = 0.709
    """Scale from one level of the image pyramid to the next."""
    score_thresholds: Annotated[tuple[float, float, float], SHARE] = (0.5, 0.5, 0.3)
    """Score thresholds of P-, R- and O-Net; low, since AP depends on predictions of low scores."""
    max_faces: Annotated[int, Range(1, MOST_FACES)] = MOST_FACES
    """The most faces of a picture, the best-scored ones."""
    max_side: Annotated[int, Range(*SIDES)] = 6000
    """Pixels; on pictures with a longer side the smallest faces to detect grow in proportion."""
    resamples: Annotated[int, COUNT, Needs("compare")] = 1000
    """With --compare: number of draws of the paired bootstrap over pictures."""
    out: Annotated[Path, Written("folder")] = Path("runs/evaluate")
    """Folder for metrics.json."""
