"""Flags of the conversion of weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from kptkit.fields import Existing, Named, Needs, Positional, Without, Written

# Projects whose checkpoints are read, besides the known weights.
PROJECTS = ("facenet-pytorch", "aittsmd", "hrnet", "hourglass")

_OWN = ("project=hrnet", "project=hourglass")


@dataclass(frozen=True)
class ConvertConfig:
    """Which weights to convert, and where to write them."""

    project: Annotated[str, Named("from")]
    """A known name (list prints them), or the project that published the sources: facenet-pytorch,
    aittsmd, hrnet (mmpose's too), hourglass."""
    sources: Annotated[Positional[tuple[Path, ...]], Without("project=list")] = ()
    """Files to convert, or a folder; known weights with an address need none."""
    recipe: Annotated[str | None, Needs(*_OWN)] = None
    """With hrnet and hourglass: the recipe or known name with the input size, convention,
    decoder and flip test of the weights."""
    keypoints: Annotated[Path | None, Existing("file"), Needs(*_OWN)] = None
    """With hrnet and hourglass: a COCO file that names the keypoints; default: those of the known
    name, or COCO's 17."""
    out: Annotated[Path | None, Written("file"), Without("project=list")] = None
    """File to write (.npz); default: in the cache, where known weights are found by their name."""
