"""MATLAB files from strangers: data only, or refused by one line.

SciPy's reader executes nothing. Objects, functions and opaque values, which it hands over unread,
are refused where a number, a text or a struct is expected.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque

from kptkit.data.json_files import read_content
from kptkit.errors import InputError

# MPII's annotations, the largest of the public ones, unfold to less than a third of this.
_MAX_UNFOLDED_BYTES = 1 << 30

_HEADER_BYTES, _COMPRESSED = 128, 15
_FOREIGN = (MatlabFunction, MatlabObject, MatlabOpaque)


def read_mat(path: str | Path, name: str, expected: str) -> np.ndarray:
    """One variable of a MATLAB file of version 4 to 7.

    Args:
        expected: what the file should be, for messages.

    Raises:
        InputError: the file is missing or no such file, unfolds to more than it may, or lacks the
            variable.
    """
    content = read_content(path, expected)
    if content.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise InputError(
            f"{path}: a MATLAB file of version 7.3; expected {expected} of version 7, as "
            "save('-v7') writes it"
        )
    if _unfolds_beyond(content, _MAX_UNFOLDED_BYTES):
        raise InputError(f"{path}: unfolds to more than {_MAX_UNFOLDED_BYTES:,} bytes; refused")
    try:
        variables = loadmat(io.BytesIO(content), variable_names=[name], appendmat=False)
    except Exception as error:  # whatever broken bytes make of SciPy's reader
        raise InputError(
            f"{path}: {type(error).__name__} while reading it as a MATLAB file; expected "
            f"{expected}; is the file cut off?"
        ) from None
    if name not in variables:
        raise InputError(f"{path}: no variable {name!r}; expected {expected}")
    return variables[name]


def _unfolds_beyond(content: bytes, limit: int) -> bool:
    """Whether the compressed variables of a file of version 5 to 7 hold more than `limit` bytes."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    position, unfolded = _HEADER_BYTES, 0
    while order and position + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, position)
        position += 8
        if kind == _COMPRESSED:
            unpacker, packed = zlib.decompressobj(), content[position : position + size]
            try:
                while packed and unfolded <= limit:
                    unfolded += len(unpacker.decompress(packed, 1 << 20))
                    packed = unpacker.unconsumed_tail
            except zlib.error:
                return False  # the reader says what is wrong
            if unfolded > limit:
                return True
        position += size
    return False


def numbers_of(value: np.ndarray | None, where: str, count: int | None = None) -> np.ndarray:
    """A numeric variable or field as float64, in its own shape.

    Raises:
        InputError: it is missing, no array of real numbers, or not of `count` of them.
    """
    wanted = "numbers" if count is None else f"{count} number" + ("s" if count > 1 else "")
    if value is None or isinstance(value, _FOREIGN) or value.dtype.kind not in "biuf":
        raise InputError(f"{where}: {_kind(value)}; expected {wanted}")
    if count is not None and value.size != count:
        raise InputError(f"{where}: {value.size} numbers; expected {wanted}")
    return value.astype(np.float64)


@dataclass(frozen=True)
class Struct:
    """One element of a MATLAB struct array.

    Attributes:
        where: its place, for messages, counted from 1 as MATLAB does.
        record: the fields, each an array.
    """

    where: str
    record: np.void

    def field(self, name: str) -> np.ndarray | None:
        """A field, None where it is missing or empty."""
        if name not in (self.record.dtype.names or ()):
            return None
        value = self.record[name]
        return value if isinstance(value, np.ndarray) and value.size else None

    def number(self, name: str) -> float:
        """The one number of a field.

        Raises:
            InputError: as `numbers_of`.
        """
        return float(self.numbers(name, 1).flat[0])

    def numbers(self, name: str, count: int | None = None) -> np.ndarray:
        """The numbers of a field; see `numbers_of`."""
        return numbers_of(self.field(name), f"{self.where}.{name}", count)

    def text(self, name: str) -> str:
        """The text of a field.

        Raises:
            InputError: it is missing or no text.
        """
        value = self.field(name)
        if value is None or isinstance(value, _FOREIGN) or value.dtype.kind != "U":
            raise InputError(f"{self.where}.{name}: {_kind(value)}; expected a text")
        return str(value.flat[0])

    def structs(self, name: str) -> list["Struct"]:
        """The elements of a struct array in a field; none where it is missing or empty."""
        value = self.field(name)
        return [] if value is None else structs_of(value, f"{self.where}.{name}")


def structs_of(value: np.ndarray, where: str) -> list[Struct]:
    """The elements of a struct array, in MATLAB's order.

    Raises:
        InputError: it is no struct array.
    """
    if isinstance(value, _FOREIGN) or value.dtype.names is None:
        raise InputError(f"{where}: {_kind(value)}; expected a struct")
    records = value.ravel(order="F")
    if len(records) == 1:
        return [Struct(where, records[0])]
    return [Struct(f"{where}({n})", record) for n, record in enumerate(records, start=1)]


def _kind(value: np.ndarray | None) -> str:
    """What a variable or field is, for messages."""
    if value is None:
        return "missing or empty"
    if isinstance(value, _FOREIGN):
        return "a MATLAB object, which is not read"
    kinds = {"U": "a text", "O": "a cell", "V": "a struct", "c": "complex numbers"}
    return kinds.get(value.dtype.kind, "numbers")
