"""Checks that a run may be written into a folder."""

from pathlib import Path

from kptkit.errors import InputError


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
        names = ", ".join(ascii(name)[1:-1] for name in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise InputError(
            f"{folder}: holds other files ({names}{more}) and no run; give another --out"
        )
