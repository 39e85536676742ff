"""Text files that list pictures and numbers, the usual format of face data sets."""

import math
import os
import reprlib

from kptkit.data.formats.faults import LARGEST_COORDINATE, is_file_name
from kptkit.errors import InputError
from kptkit.reading import read_text

Line = tuple[int, str]  # line number from 1, text without surrounding spaces


def read_lines(path: str | os.PathLike, expected: str) -> list[Line]:
    """The lines of a text file that are not blank; line ends may be \\n or \\r\\n, or all \\r.

    Args:
        expected: what the file should be, for messages.

    Raises:
        InputError: the file is missing, not a regular file, empty or not UTF-8.
    """
    # Not splitlines, which also splits at characters that may occur in a file name.
    text = read_text(os.fspath(path), expected).replace("\r\n", "\n")
    lines = text.split("\n" if "\n" in text.strip() else "\r")
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def as_numbers(text: str) -> list[float] | None:
    """The numbers in a text, separated by spaces; None if it contains anything else.

    Infinity, NaN and numbers larger than any picture are not accepted.
    """
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return None
    valid = all(math.isfinite(n) and abs(n) <= LARGEST_COORDINATE for n in numbers)
    return numbers if valid else None


def picture_path(name: str, images_folder: str | os.PathLike, place: str) -> str:
    """The path of a picture that a list names.

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
