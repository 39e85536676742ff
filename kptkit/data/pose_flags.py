"""The `--data` flags of commands that train or evaluate a pose network."""

import os
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from kptkit.errors import InputError
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
    follow_links: bool = False
    """Whether pictures that are links out of their folder are read."""
    flip_pairs: str | None = None
    """Keypoints that swap in a mirror image: left_eye:right_eye,left_ear:right_ear or 1:2,3:4;
    default: inferred from left and right in their names."""
    category: str | None = None
    """Name of the category to use, if a file has several with keypoints."""

    def check_val(self) -> None:
        """Checks that --data.val, if it is given, is a share or a file.

        Raises:
            InputError: it is not.
        """
        if self.val is not None and share_of(self.val) is None and not os.path.exists(self.val):
            raise InputError(f"--data.val {self.val}: no such file, nor a share such as 0.1")

    def check_complete(self) -> None:
        """Checks that what training on one's own data needs is given and there.

        Raises:
            InputError: a flag is missing, or a file.
        """
        missing = [f"--data.{name}" for name in ("train", "val") if getattr(self, name) is None]
        if self.images is None and (self.val_images is None or os.path.isfile(self.train or "")):
            missing.append("--data.images")
        if missing:
            raise InputError(
                f"{' and '.join(missing)} not given; expected --data.train X.json --data.val "
                "Y.json (or a share such as 0.1) --data.images DIR (and --data.format for files "
                "other than COCO json)"
            )
        if not os.path.exists(self.train or ""):
            raise InputError(f"--data.train {self.train}: no such file or folder")
        self.check_val()
        if self.val_images and share_of(self.val):
            raise InputError(
                "--data.val-images: has no effect beside a share; its images are --data.images"
            )

    def absolute(self) -> "DataConfig":
        """A copy with absolute paths, so that it is valid from any working directory."""
        paths = {
            name: os.path.abspath(value)
            for name in ("train", "val", "images", "val_images")
            if (value := getattr(self, name)) and not (name == "val" and share_of(value))
        }
        return replace(self, **paths)


def share_of(value: str | None) -> float | None:
    """The share that a --data.val is, a number between 0 and 1; None if it is a path.

    Raises:
        InputError: it is another number, and no file of that name is there.
    """
    try:
        number = float(value or "")
    except ValueError:
        return None
    if 0 < number < 1:
        return number
    if os.path.exists(value or ""):
        return None
    raise InputError(
        f"--data.val {value}: expected a share above 0 and below 1, such as 0.1, or a path"
    )
