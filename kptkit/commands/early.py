"""What commands look at before they import TensorFlow, which takes seconds."""

import os
from collections.abc import Sequence
from pathlib import Path

from kptkit.errors import InputError
from kptkit.models.sizes import Stage


def check_pose_source(source: str | Path, weights: str | None = None) -> None:
    """Checks that a run folder, file or name of weights of a pose network is there.

    Raises:
        InputError: it is not; the message says how to get it.
    """
    from kptkit.runs import PoseRun, load_run
    from kptkit.weights.known import cached_or_path

    path = cached_or_path(source, "pose")
    if path.is_dir():
        run = load_run(path, PoseRun)
        wanted = path / weights if weights else run.best
        if not wanted.is_file():
            raise InputError(f"{wanted}: no such weights file; has the run been trained so far?")


def check_cascade(source: str | Path, stage: Stage = "onet") -> None:
    """Checks that the weights of a face detector are there.

    Args:
        stage: the last network that is needed; the message says how to train it.

    Raises:
        InputError: they are not.
    """
    from kptkit.train.flags import TRAINED_CASCADE
    from kptkit.weights.known import cached_or_path

    if str(source) in ("default", "original"):
        source = "mtcnn-original" if str(source) == "original" else ""
    if str(source) == str(TRAINED_CASCADE) and not TRAINED_CASCADE.exists():
        command = "kptkit train mtcnn" + ("" if stage == "onet" else f" --stage {stage}")
        raise InputError(
            f"{source}: no such weights file; train it first ({command}), or give other weights, "
            "such as default"
        )
    if source:
        cached_or_path(source, "face")


def sizes_of_pictures(paths: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Width and height of the pictures whose headers can be read, upright, in pixels.

    Raises:
        InputError: none can be read.
    """
    from kptkit.data.picture_sizes import read_headers
    from kptkit.images import ImageHeader
    from kptkit.wording import printable

    headers = read_headers(paths)
    sizes = {
        path: header.upright_wh
        for path, header in zip(paths, headers, strict=True)
        if isinstance(header, ImageHeader)
    }
    if not sizes:
        said, name = str(headers[0]), printable(paths[0])
        more = f"; none of {len(paths)} pictures can be used" if len(paths) > 1 else ""
        raise InputError(f"{said if said.startswith(name) else f'{name}: {said}'}{more}")
    return sizes


def paths_of_drawings(paths: Sequence[str], folder: Path) -> list[Path]:
    """The path of each drawing; none replaces another one or an original.

    Raises:
        InputError: a drawing would.
    """
    from kptkit.wording import printable

    targets = [folder / f"{Path(path).stem}.jpg" for path in paths]
    taken = {os.path.realpath(path) for path in paths}
    for path, target in zip(paths, targets, strict=True):
        if os.path.realpath(target) in taken:
            raise InputError(
                f"{printable(path)}: {printable(target)} would replace another picture; give "
                "another --out, or pictures of different names"
            )
        taken.add(os.path.realpath(target))
    return targets
