"""A safe reader of MATLAB files of version 5 to 7 (MathWorks, "MAT-File Format").

SciPy's reader is not used: a few changed bytes can crash the process (SciPy 1.17.1: 22 of 500 files
made as in this module's test), and it allocates any size that a file states. Here every size is
checked against the bytes that are present (`kptkit.data.formats.mat_array`), and only the requested
variable is parsed.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kptkit.data.formats.mat_array import COMPRESSED, MATRIX, Array, Broken, Struct, element_at
from kptkit.errors import InputError
from kptkit.reading import read_content

# MPII's annotations, the largest public ones, decompress to less than a third of this.
_MAX_DECOMPRESSED_BYTES = 1 << 30
# And to 25 times their size; a file of zeros, to 1,000 times its size.
_MAX_RATIO, _ALWAYS_ALLOWED_BYTES = 100, 1 << 26
# Enough of a variable to contain its name, which has at most 63 letters.
_PEEK_BYTES = 512

_HEADER_BYTES = 128


def read_numbers(path: str | Path, name: str, expected: str) -> np.ndarray:
    """A variable of real numbers of a MATLAB file as float64; see `read_mat`.

    Raises:
        InputError: as `read_mat`, or the variable contains anything else.
    """
    variable = read_mat(path, name, expected)
    try:
        return variable.numbers()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_structs(path: str | Path, name: str, expected: str) -> list[Struct]:
    """The elements of a variable of a MATLAB file that is a struct array; see `read_mat`.

    Raises:
        InputError: as `read_mat`, or the variable is not a struct array or is empty.
    """
    variable = read_mat(path, name, expected)
    try:
        elements = variable.structs()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not elements:
        raise InputError(f"{path}: {name}: empty; expected {expected}")
    return elements


def read_mat(path: str | Path, name: str, expected: str) -> Array:
    """One variable of a MATLAB file of version 5 to 7.

    Args:
        expected: what the file should be, for messages.

    Raises:
        InputError: the file is missing, not a MATLAB file of these versions or damaged, lacks the
            variable, or decompresses to more than 1 GiB.
    """
    content = read_content(path, expected)
    if content.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise InputError(
            f"{path}: a MATLAB file of version 7.3; expected {expected} of version 7, as "
            "save('-v7') writes it"
        )
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise InputError(f"{path}: not a MATLAB file of version 5 to 7; expected {expected}")
    try:
        for array in _variables(content, order, name):
            if array.name == name:
                return array
    except (Broken, zlib.error, UnicodeError):
        raise InputError(f"{path}: broken; expected {expected}; is the file cut off?") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    raise InputError(f"{path}: no variable {name!r}; expected {expected}")


def _variables(content: bytes, order: str, wanted: str) -> Iterator[Array]:
    """The variables of a file; only the wanted one is decompressed completely."""
    position = _HEADER_BYTES
    while position < len(content):
        element = element_at(content, order, position, len(content))
        position = element.next
        if element.kind == COMPRESSED:
            packed = content[element.start : element.stop]
            start = zlib.decompressobj().decompress(packed, _PEEK_BYTES)
            if Array(wanted, start, order, 8, len(start)).name != wanted:
                continue
            variable = _decompress(packed)
            element = element_at(variable, order, 0, len(variable))
            yield Array(wanted, variable, order, element.start, element.stop)
        elif element.kind == MATRIX:
            yield Array(wanted, content, order, element.start, element.stop)


def _decompress(packed: bytes) -> bytes:
    decompressor = zlib.decompressobj()
    allowed = max(_MAX_RATIO * len(packed), _ALWAYS_ALLOWED_BYTES)
    allowed = min(allowed, _MAX_DECOMPRESSED_BYTES)
    content = decompressor.decompress(packed, allowed + 1)
    if len(content) > allowed:
        raise InputError(f"decompresses to more than {allowed:,} bytes; refused")
    if not decompressor.eof:
        raise Broken
    return content
