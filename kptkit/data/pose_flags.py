"""The `--data` flags of commands that train or evaluate a pose network."""

import os
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from kptkit.fields import Existing

# The formats of annotation files, see `kptkit.data.formats.index`.
Format = Literal["coco", "mpii", "flic", "flic-observer", "lsp", "300w", "wflw", "cofw", "dlib"]


@dataclass(frozen=True)
class DataConfig:
    """Which data to train and evaluate on."""

    train: Annotated[str | None, Existing("file or folder")] = None
    """Annotation file to train on, or a folder of records; default: the demo set. If the file has
    a training and a test part (LSP, FLIC), the training part is used."""
    val: str | None = None
    """Annotation file to evaluate on, or a share such as 0.1 of the training images. If the file
    has a test part, that part is used; it may be the same file as --data.train."""
    format: Format = "coco"
    """Format of the annotation files. coco: json; mpii: mpii_human_pose_v1_u12_1.mat, or HRNet's
    json; flic: examples.mat (flic-observer: left and right as the observer sees them); lsp:
    joints.mat of LSP or LSP extended, or json; 300w: list of .pts files, or json; wflw: list, or
    json; cofw: json; dlib: XML of 68 points."""
    images: Annotated[str | None, Existing("folder")] = None
    """Folder of the training images."""
    val_images: Annotated[str | None, Existing("folder")] = None
    """Folder of the images of --data.val; default: that of --data.images."""
    orientation: Literal["auto", "stored", "exif"] = "auto"
    """How images are turned before use: as stored, by their EXIF tag, or (auto) whichever matches
    the sizes in the annotation file."""
    flip_pairs: str | None = None
    """Keypoints that swap in a mirror image: left_eye:right_eye,left_ear:right_ear or 1:2,3:4;
    default: inferred from left and right in their names."""
    category: str | None = None
    """Name of the category to use, if a file has several with keypoints."""

    def absolute(self) -> "DataConfig":
        """A copy with absolute paths, so that it is valid from any working directory."""
        paths = {
            name: os.path.abspath(value)
            for name in ("train", "val", "images", "val_images")
            if (value := getattr(self, name)) and not (name == "val" and share_of(value))
        }
        return replace(self, **paths)


def share_of(value: str | None) -> float | None:
    """The number between 0 and 1 that a flag is; None if it is a path."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 < number < 1 else None
