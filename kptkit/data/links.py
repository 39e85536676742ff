"""Links in a folder of pictures: those that lead out of it are followed only if the user agrees.

An annotation file and its folder often come from strangers. A link in the folder could make a
picture, or a message about it, of any file that the user may read. Links that stay inside the
folder are followed, and the folder itself may be a link.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from kptkit.images import ImageError

# Why such a picture cannot be used, in the words by which pictures are counted.
LINK_OUT = "a link out of its folder, see follow-links in --help"


@dataclass(frozen=True)
class Followed(os.PathLike[str]):
    """A folder of pictures whose links may lead anywhere."""

    path: str

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path


def folder_of(path: str | os.PathLike, follow_links: bool) -> str | os.PathLike:
    """A folder of pictures, `Followed` if its links may lead anywhere."""
    return Followed(os.fsdecode(path)) if follow_links else path


def lead_out(folder: str | os.PathLike | None, paths: Sequence[str]) -> list[bool]:
    """Which paths in a folder lead out of it, by a link; nothing is opened.

    Args:
        folder: None, or `Followed`: no path does.
        paths: they begin with the folder.
    """
    if folder is None or isinstance(folder, Followed):
        return [False] * len(paths)
    root = os.path.realpath(os.fsdecode(folder))
    known: dict[str, bool] = {}

    def out(path: str) -> bool:
        return not os.path.realpath(path).startswith(os.path.join(root, ""))

    def leads_out(path: str) -> bool:
        if "\0" in path:  # no name; those who read it say so
            return False
        if os.path.islink(path):
            return out(path)
        parent = os.path.dirname(path)
        if parent not in known:
            # Of the name itself only the place matters, which need not exist.
            known[parent] = out(os.path.join(parent, "name"))
        return known[parent]

    return [leads_out(path) for path in paths]


def link_out(path: str) -> ImageError:
    """The error of a picture that leads out of its folder."""
    return ImageError(f"{path}: {LINK_OUT}", LINK_OUT)
