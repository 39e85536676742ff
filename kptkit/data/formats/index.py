"""The supported formats of annotation files, by name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from kptkit.data.formats.build_document import Inspected, PictureFolder
from kptkit.data.formats.coco import inspect_coco
from kptkit.data.formats.cofw import inspect_cofw
from kptkit.data.formats.dlib import inspect_dlib
from kptkit.data.formats.document import AnnotationFile, refuse_faults
from kptkit.data.formats.flic import inspect_flic, inspect_flic_observer
from kptkit.data.formats.lsp import inspect_lsp
from kptkit.data.formats.mpii import inspect_mpii
from kptkit.data.formats.w300 import inspect_300w
from kptkit.data.formats.wflw import inspect_wflw
from kptkit.data.pose_flags import Format
from kptkit.errors import InputError
from kptkit.samples import Orientation

# Formats that may contain several categories, as COCO does.
_WITH_CATEGORIES: dict[str, Callable[[str | Path, PictureFolder, str | None], Inspected]] = {
    "coco": lambda path, _, category: inspect_coco(path, category),
    "300w": inspect_300w,
    "wflw": inspect_wflw,
    "cofw": inspect_cofw,
}
_READERS: dict[str, Callable[[str | Path, PictureFolder], Inspected]] = {
    "mpii": inspect_mpii,
    "flic": inspect_flic,
    "flic-observer": inspect_flic_observer,
    "lsp": inspect_lsp,
    "dlib": inspect_dlib,
}


def inspect_annotations(
    path: str | Path,
    format: Format = "coco",
    images_folder: str | os.PathLike | None = None,
    category: str | None = None,
    orientation: Literal["auto"] | Orientation = "auto",
) -> Inspected:
    """The valid part of an annotation file, and how often each fault occurs in it.

    Args:
        images_folder: needed for formats that do not state the sizes of their pictures.
        category: name of the category to read, if several have keypoints.
        orientation: see `kptkit.data.picture_sizes.with_readable_images`.

    Raises:
        InputError: it is not a file of this format at all.
    """
    pictures = PictureFolder(images_folder, orientation)
    if format in _WITH_CATEGORIES:
        return _WITH_CATEGORIES[format](path, pictures, category)
    if category is not None:
        raise InputError(f"--data.category {category}: the format {format} has no categories")
    return _READERS[format](path, pictures)


def load_annotations(
    path: str | Path,
    format: Format = "coco",
    images_folder: str | os.PathLike | None = None,
    category: str | None = None,
    orientation: Literal["auto"] | Orientation = "auto",
) -> AnnotationFile:
    """Reads an annotation file; the arguments are those of `inspect_annotations`.

    Raises:
        InputError: the file cannot be used; the message names the first fault and counts the rest.
    """
    file, faults = inspect_annotations(path, format, images_folder, category, orientation)
    flag = "" if format == "coco" else f" --format {format}"
    hint = f"kptkit data check {path}{flag} lists every fault"
    refuse_faults(faults, len(file.annotations["annotations"]), path, hint)
    return file
