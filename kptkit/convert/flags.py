"""Flags of the conversion of weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

# Projects whose checkpoints are read, besides the known weights.
PROJECTS = ("facenet-pytorch", "aittsmd", "hrnet", "hourglass")


@dataclass(frozen=True)
class ConvertConfig:
    """Which weights to convert, and where to write them."""

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """Files to convert, or a folder; known weights with an address need none."""
    project: Annotated[str, tyro.conf.arg(name="from")]
    """A known name (list prints them), or the project that published the sources: facenet-pytorch,
    aittsmd, hrnet (mmpose's too), hourglass."""
    recipe: str | None = None
    """With hrnet and hourglass: the recipe or known name with the input size, convention, decoder
    and flip test of the weights."""
    keypoints: Path | None = None
    """With hrnet and hourglass: a COCO file that names the keypoints; default: those of the known
    name, or COCO's 17."""
    out: Path | None = None
    """File to write (.npz); default: in the cache, where known weights are found by their name."""
