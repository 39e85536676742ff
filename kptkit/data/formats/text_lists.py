"""Lists of pictures and numbers in text files, as data sets of faces come."""

import math
import os
import reprlib

from kptkit.data.formats.faults import LARGEST_COORDINATE, is_file_name
from kptkit.errors import InputError
from kptkit.reading import read_text

Line = tuple[int, str]  # its number from 1, its text without the spaces around it


def read_lines(path: str | os.PathLike, expected: str) -> list[Line]:
    """The lines of a text file that are not blank, whatever ends them.

    Args:
        expected: what the file should be, for messages.

    Raises:
        InputError: the file is missing, no regular file, empty or not UTF-8.
    """
    # Not splitlines, which also parts at characters that may stand in a name.
    lines = read_text(path, expected).replace("\r\n", "\n").split("\n")
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def as_numbers(text: str) -> list[float] | None:
    """The numbers that a text consists of; None where anything else stands in it.

    Infinity, NaN and what is larger than any picture are no numbers.
    """
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return None
    sound = all(math.isfinite(n) and abs(n) <= LARGEST_COORDINATE for n in numbers)
    return numbers if sound else None


def picture_path(name: str, images_folder: str | os.PathLike, place: str) -> str:
    """Where a picture of a list stands.

    Args:
        place: file and line, for messages.

    Raises:
        InputError: the name leads out of the folder.
    """
    # Some lists were made on Windows.
    name = name.replace("\\", "/")
    if not is_file_name(name):
        raise InputError(
            f"{place}: {reprlib.repr(name)}; expected the path of a picture inside its folder"
        )
    return os.path.join(os.fsdecode(images_folder), name)
