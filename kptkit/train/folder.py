"""The folder of a run: whether one may be written there, and that of a dry run, which goes."""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from kptkit.errors import InputError
from kptkit.wording import printable


def check_folder(folder: Path) -> None:
    """Checks that a folder holds a run or nothing, such as no data set.

    What a run leaves before its `config.json` are hidden files only.

    Raises:
        InputError: the folder holds other files.
    """
    if not folder.is_dir() or (folder / "config.json").is_file():
        return
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if others:
        names = ", ".join(printable(name) for name in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise InputError(
            f"{folder}: holds other files ({names}{more}) and no run; give another --out"
        )


@contextlib.contextmanager
def dry_run() -> Iterator[Path]:
    """A temporary folder, about which nothing is said on standard output.

    Lines with its path, such as where results are and what to do next with them, are left out, and
    rows of tables are shown without it; the last line says that all went well.
    """
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        contextlib.redirect_stdout(_LinesWithout(sys.stdout, f"{folder}{os.sep}")),
    ):
        yield Path(folder)
    print("dry run: fine, nothing kept")


class _LinesWithout(io.TextIOBase):
    """Passes whole lines on, but for those that contain a text; from rows of tables it is cut."""

    def __init__(self, stream: TextIO, text: str):
        self.stream, self.text, self.begun = stream, text, ""

    def write(self, text: str) -> int:
        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            if self.text not in line or line.startswith("|"):
                self.stream.write(line.replace(self.text, "") + "\n")
        return len(text)

    def flush(self) -> None:
        self.stream.flush()
