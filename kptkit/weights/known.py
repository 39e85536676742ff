"""Published weights by name: addresses, recipes, scores, licences and citations.

`kptkit convert --from NAME` fetches and converts them into the cache; estimators,
detectors and `--init` take the names. Files without a direct address are converted from a copy:
`--from NAME FILE`. Checksums are the first digits of SHA-256, as the publishers put them into the
file names; they detect truncated and wrong files. Nothing in the files is ever executed.
"""

import difflib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from kptkit.conventions import Alignment, Convention, Method, Target
from kptkit.data.augment.settings import HRNET_MPII
from kptkit.errors import InputError
from kptkit.models.sizes import HRNetVariant, Variant
from kptkit.recipes.pose import RECIPES, PoseRecipe
from kptkit.skeletons.known import COCO_17, MPII_16
from kptkit.skeletons.schema import KeypointSchema

Task = Literal["pose", "face"]


@dataclass(frozen=True)
class KnownFile:
    """One published file."""

    name: str
    url: str = ""
    """Direct address; empty if it is behind a web page, so that a file must be given."""
    sha256: str = ""
    """First hexadecimal digits of its SHA-256; empty if not published."""


@dataclass(frozen=True)
class KnownWeights:
    """Published weights of a network or of a cascade."""

    task: Task
    files: tuple[KnownFile, ...]
    score: str
    """The score measured by the publisher."""
    cite: str
    licence: str
    """Licence of the publishing project; the training data have their own terms."""
    variant: Variant | None = None
    """The pose network; None: a face cascade."""
    recipe: PoseRecipe | None = None
    """None: a backbone without a head, to initialise training."""
    schema: KeypointSchema | None = None

    @property
    def has_addresses(self) -> bool:
        """Whether every file can be fetched without a browser."""
        return all(file.url for file in self.files)


_HRNET = (
    "Sun, Xiao, Liu, Wang: Deep High-Resolution Representation Learning for Human Pose "
    "Estimation, CVPR 2019"
)
_MMPOSE = "MMPose contributors: OpenMMLab Pose Estimation Toolbox and Benchmark, 2020"
_DARK = (
    "Zhang, Zhu, Dai, Ye, Zhu: Distribution-Aware Coordinate Representation for Human Pose "
    "Estimation, CVPR 2020"
)
_UDP = (
    "Huang, Zhu, Guo, Huang: The Devil is in the Details: Delving into Unbiased Data Processing "
    "for Human Pose Estimation, CVPR 2020"
)
_IMAGENET = (
    "Wang, Sun, Cheng et al.: Deep High-Resolution Representation Learning for Visual "
    "Recognition, TPAMI 2020"
)
_NEWELL = "Newell, Yang, Deng: Stacked Hourglass Networks for Human Pose Estimation, ECCV 2016"
_MTCNN = (
    "Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multitask Cascaded "
    "Convolutional Networks, IEEE SPL 2016"
)

_OPENMMLAB = "https://download.openmmlab.com/mmpose"
_FACENET_PYTORCH = (
    "https://raw.githubusercontent.com/timesler/facenet-pytorch/"
    "787da06156087cd6b616fe6608213722bddc30cd/data"
)


class _Way(NamedTuple):
    """How weights were trained and scored, where that differs from the recipe of their network."""

    convention: Convention
    target: Target
    decoder: Method
    flip_alignment: Alignment
    cite: tuple[str, ...] = ()


_WAYS = {
    "": _Way("official", "msra", "quarter", "whole_pixel"),
    "dark": _Way("official", "unbiased", "dark", "whole_pixel", (_DARK,)),
    "udp": _Way("udp", "unbiased", "dark", "none", (_UDP,)),
    "darkpose": _Way("darkpose", "unbiased", "dark", "none", (_DARK,)),
}


def _recipe(variant: HRNetVariant, size: str, way: str) -> PoseRecipe:
    if size == "256x256":  # MPII
        start = replace(
            RECIPES["w32-256x192"],
            variant=variant,
            input_size_wh=(256, 256),
            augment=HRNET_MPII,
        )
    else:
        start = RECIPES[f"{variant}-{size}"]
    found = _WAYS[way]
    return replace(
        start,
        convention=found.convention,
        target=found.target,
        decoder=found.decoder,
        flip_alignment=found.flip_alignment,
    )


def _mmpose(
    data: str, variant: HRNetVariant, size: str, way: str, path: str, score: str
) -> tuple[str, KnownWeights]:
    """From mmpose's model zoo; its file names end with checksum and date."""
    name = "-".join(filter(None, (data, variant, size, way)))
    file = path.rpartition("/")[2]
    checksum = file.rpartition("-")[2].partition("_")[0]
    return name, KnownWeights(
        "pose",
        (KnownFile(file, f"{_OPENMMLAB}/{path}", checksum),),
        score,
        "; ".join((_HRNET, *_WAYS[way].cite, _MMPOSE)),
        "Apache-2.0 (mmpose)",
        variant,
        _recipe(variant, size, way),
        {"coco": COCO_17, "mpii": MPII_16}[data],
    )


def _coco(
    variant: HRNetVariant, size: str, way: str, file: str, ap: float
) -> tuple[str, KnownWeights]:
    path = f"v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-{file}.pth"
    return _mmpose("coco", variant, size, way, path, _COCO_SCORE.format(ap))


def _mpii(variant: HRNetVariant, way: str, file: str, pckh: float) -> tuple[str, KnownWeights]:
    path = f"top_down/hrnet/hrnet_{variant}_mpii_{file}.pth"
    return _mmpose("mpii", variant, "256x256", way, path, f"MPII val: PCKh@0.5 {pckh}")


def _official(data: str, variant: HRNetVariant, size: str, score: str) -> tuple[str, KnownWeights]:
    """From the authors' model zoo, whose files are behind web pages."""
    return f"{data}-{variant}-{size}-official", KnownWeights(
        "pose",
        (KnownFile(f"pose_hrnet_{variant}_{size}.pth"),),
        score,
        _HRNET,
        "MIT (leoxiaobin/deep-high-resolution-net.pytorch)",
        variant,
        _recipe(variant, size, ""),
        {"coco": COCO_17, "mpii": MPII_16}[data],
    )


def _darkpose(data: str, variant: HRNetVariant, size: str, score: str) -> tuple[str, KnownWeights]:
    """From the model zoo of DARK's authors, whose files are behind web pages.

    Their arrays cannot be told from those of HRNet's authors, but their convention is another.
    """
    return f"{data}-{variant}-{size}-darkpose", KnownWeights(
        "pose",
        (KnownFile("FILE.pth"),),
        score,
        "; ".join((_HRNET, _DARK)),
        "Apache-2.0 (ilovepose/DarkPose)",
        variant,
        _recipe(variant, size, "darkpose"),
        {"coco": COCO_17, "mpii": MPII_16}[data],
    )


def _imagenet(variant: HRNetVariant, file: str, error: str) -> tuple[str, KnownWeights]:
    return f"imagenet-{variant}", KnownWeights(
        "pose",
        (
            KnownFile(
                f"{file}.pth",
                f"{_OPENMMLAB}/pretrain_models/{file}.pth",
                file.rpartition("-")[2],
            ),
        ),
        f"ImageNet: top-1 error {error}; features to start from",
        f"{_HRNET}; {_IMAGENET}",
        "MIT (HRNet-Image-Classification)",
        variant,
    )


# With boxes of the detector of 56.4 AP and the flip test, as in all of these tables.
_COCO_SCORE = "COCO val2017: AP {}"

KNOWN: dict[str, KnownWeights] = dict(
    [
        _coco("w32", "256x192", "", "w32_8xb64-210e_coco-256x192-81c58e40_20220909", 74.9),
        _coco("w32", "384x288", "", "w32_8xb64-210e_coco-384x288-ca5956af_20220909", 76.1),
        _coco("w48", "256x192", "", "w48_8xb32-210e_coco-256x192-0e67c616_20220913", 75.6),
        _coco("w48", "384x288", "", "w48_8xb32-210e_coco-384x288-c161b7de_20220915", 76.7),
        _coco("w32", "256x192", "dark", "w32_dark-8xb64-210e_coco-256x192-0e00bf12_20220914", 75.7),
        _coco("w32", "384x288", "dark", "w32_dark-8xb64-210e_coco-384x288-9bab4c9b_20220917", 76.6),
        _coco("w48", "256x192", "dark", "w48_dark-8xb32-210e_coco-256x192-e1ebdd6f_20220913", 76.4),
        _coco("w48", "384x288", "dark", "w48_dark-8xb32-210e_coco-384x288-39c3c381_20220916", 77.2),
        _coco("w32", "256x192", "udp", "w32_udp-8xb64-210e_coco-256x192-73ede547_20220914", 76.2),
        _coco("w32", "384x288", "udp", "w32_udp-8xb64-210e_coco-384x288-9a3f7c85_20220914", 76.8),
        _coco("w48", "256x192", "udp", "w48_udp-8xb32-210e_coco-256x192-3feaef8f_20220913", 76.8),
        _coco("w48", "384x288", "udp", "w48_udp-8xb32-210e_coco-384x288-70d7ab01_20220913", 77.3),
        _mpii("w32", "", "256x256-6c4f923f_20200812", 90.0),
        _mpii("w48", "", "256x256-92cab7bd_20200812", 90.1),
        _mpii("w32", "dark", "256x256_dark-f1601c5b_20200927", 90.4),
        _mpii("w48", "dark", "256x256_dark-0decd39f_20200927", 90.5),
        _official("coco", "w32", "256x192", _COCO_SCORE.format(74.4)),
        _official("coco", "w32", "384x288", _COCO_SCORE.format(75.8)),
        _official("coco", "w48", "256x192", _COCO_SCORE.format(75.1)),
        _official("coco", "w48", "384x288", _COCO_SCORE.format(76.3)),
        _official("mpii", "w32", "256x256", "MPII val: PCKh@0.5 90.3"),
        _darkpose("coco", "w32", "256x192", _COCO_SCORE.format(75.6)),
        _darkpose("coco", "w32", "384x288", _COCO_SCORE.format(76.6)),
        _darkpose("coco", "w48", "384x288", _COCO_SCORE.format(76.8)),
        _darkpose("mpii", "w32", "256x256", "MPII val: PCKh@0.5 90.6"),
        _imagenet("w32", "hrnet_w32-36af842e", "21.5 %"),
        _imagenet("w48", "hrnet_w48-8ef0771d", "20.7 %"),
    ]
)
for _stacks, _pckh in (("2", 88.3), ("8", 90.2)):
    KNOWN[f"mpii-hg{_stacks}-princeton"] = KnownWeights(
        "pose",
        (KnownFile(f"original_{_stacks}hg/checkpoint.pt"),),
        f"MPII val: PCKh@0.5 {_pckh} of all 16 joints, pelvis and thorax among them",
        _NEWELL,
        "BSD-3-Clause (princeton-vl/pytorch_stacked_hourglass)",
        RECIPES[f"hg{_stacks}"].variant,
        replace(RECIPES[f"hg{_stacks}"], convention="princeton"),
        MPII_16,
    )
KNOWN["mtcnn-original"] = KnownWeights(
    "face",
    tuple(
        KnownFile(f"{stage}.pt", f"{_FACENET_PYTORCH}/{stage}.pt", checksum)
        for stage, checksum in (
            ("pnet", "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f"),
            ("rnet", "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86"),
            ("onet", "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"),
        )
    ),
    "WIDER FACE and FDDB as in the paper",
    _MTCNN,
    "MIT (timesler/facenet-pytorch)",
)


def cache_folder() -> Path:
    """Where fetched and converted weights are kept: $KPTKIT_CACHE or ~/.cache/kptkit."""
    folder = os.environ.get("KPTKIT_CACHE")
    return Path(folder) if folder else Path.home() / ".cache" / "kptkit"


def cached_path(name: str) -> Path:
    """Where the converted weights of a known name are kept."""
    return cache_folder() / f"{name}.npz"


def known(name: str) -> KnownWeights:
    """The entry of a name.

    Raises:
        InputError: the name is unknown; the message suggests the nearest.
    """
    if name not in KNOWN:
        near = _nearest(name)
        hint = f"; did you mean {near}?" if near else ""
        raise InputError(f"{name}: unknown weights; known are {', '.join(KNOWN)}{hint}")
    return KNOWN[name]


def _nearest(name: str) -> str:
    """The most similar known name, or "" if none is similar."""
    longer = [known for known in KNOWN if name and known.startswith(name)]
    return next(iter(longer or difflib.get_close_matches(name, KNOWN, n=1)), "")


def cached_or_path(source: str | os.PathLike, task: Task) -> Path:
    """The converted file of a known name, or `source` as a path if it is not a known name.

    Raises:
        InputError: the name was not converted yet or belongs to another task; or the path does not
            exist, or is a folder of weights of PyTorch.
    """
    expected = "a run folder" if task == "pose" else "a file or folder"
    if not isinstance(source, (str, os.PathLike)):
        kind = type(source).__name__
        raise InputError(f"weights: {kind}, expected {expected} as a path, or a published name")
    name = os.fsdecode(source)
    if not name:
        raise InputError(f"weights: an empty name, expected {expected}, or a published name")
    if name in KNOWN:
        row, path = KNOWN[name], cached_path(name)
        if row.task != task:
            raise InputError(f"{name}: {row.task} weights; expected {task} weights")
        if not path.exists():
            files = "" if row.has_addresses else f" {row.files[0].name}"
            raise InputError(
                f"{name}: not here yet ({path}); fetch it once: kptkit convert --from {name}{files}"
            )
        return path
    path = Path(source)
    torch = _of_pytorch(path)
    if torch:
        how = f"facenet-pytorch {name}" if task == "face" else f"hrnet {path / torch}"
        raise InputError(
            f"{name}: holds {torch}, weights of PyTorch, and none of kptkit; convert them: kptkit "
            f"convert --from {how} (--help has the other projects)"
        )
    if not path.exists():
        what = "no run folder or weights file" if task == "pose" else "no such weights file"
        near, train = _nearest(name), {"pose": "hrnet", "face": "mtcnn"}[task]
        hint = f"did you mean {near}?" if near else f"train first: kptkit train {train}"
        raise InputError(f"{name}: {what}, nor a name of kptkit convert --from list; {hint}")
    return path


def _of_pytorch(folder: Path) -> str:
    """The name of a file of PyTorch in a folder that holds no file of kptkit; else empty."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if any(name.endswith((".npz", ".json")) for name in names):
        return ""
    return next((name for name in names if name.endswith((".pt", ".pth", ".pth.tar"))), "")
