"""Named arrays in one `.npz` file: plain numbers and texts, no executable content.

The zip container carries a CRC of each array, so a cut or altered file is refused. All sizes are
compared with the bytes that are there before anything is allocated, so no file takes more memory
than it has bytes.
"""

import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kptkit.errors import InputError
from kptkit.files import publish_file
from kptkit.wording import name_of

# HRNet-W48's checkpoints hold 5,000 arrays, those of the largest hourglass 10,000.
MAX_ARRAYS = 1 << 14
_MAX_DIRECTORY_BYTES = 1 << 21

# The header that NumPy writes before the numbers of an array; no other types are read: 'O' is a
# pickle, 'V' any bytes.
_HEADER = re.compile(
    rb"\{'descr': '([<>|][fiub][1248]|[<>]U[1-9]\d{0,8})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}, ){0,30}(?:\d{1,18},?)?)\), \} *\n"
)
_MAGIC = b"\x93NUMPY\x01\x00"

# The ends of zip archives without a comment; the first only where sizes need 64 bits.
_END_64, _LOCATOR, _END = b"PK\6\6", b"PK\6\7", b"PK\5\6"
_END_64_BYTES, _LOCATOR_BYTES, _END_BYTES = 56, 20, 22
# What stands before a member, without its name.
_HEAD, _HEAD_BYTES = b"PK\3\4", 30

# What Python raises for damaged archives.
_DAMAGES = (
    *(zipfile.BadZipFile, struct.error, ValueError, TypeError, OverflowError, OSError, EOFError),
    *(KeyError, RuntimeError, NotImplementedError, MemoryError),
)


class _Damaged(Exception):
    """What is wrong with a file."""


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Publishes named arrays at `path`."""
    # Not by np.savez, whose own arguments, such as `file`, are names that no array may have.
    with publish_file(path) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_arrays(
    path: str | os.PathLike, only: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Reads named arrays of numbers, truth values and texts.

    Args:
        only: names of the arrays to read, those of them that are there; default: all.

    Raises:
        InputError: the file is missing, no regular file, damaged or compressed, claims more than
            it holds, or contains more than `MAX_ARRAYS` arrays or anything but plain arrays.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: not a regular file; expected an .npz file of arrays")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected an .npz file of arrays") from None
    try:
        with open(path, "rb") as file:
            count, start = _directory(file)
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, count)
                _check_places(file, list(members.values()), start)
                return {
                    name: _array(archive.read(member), name)
                    for name, member in members.items()
                    if only is None or name in only
                }
    except _Damaged as fault:
        raise InputError(f"{path}: damaged, or not a file of plain arrays ({fault})") from None
    except _DAMAGES:
        raise InputError(f"{path}: damaged, or not a file of plain arrays") from None


def _directory(file: BinaryIO) -> tuple[int, int]:
    """How many members the list at the archive's end has, and where it starts.

    Bounds are checked here: reading the list costs time for each member.
    """
    tail_bytes = _END_64_BYTES + _LOCATOR_BYTES + _END_BYTES
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - tail_bytes))
    tail = file.read().rjust(tail_bytes, b"\0")
    end, stop = tail[-_END_BYTES:], size - _END_BYTES
    if not end.startswith(_END):
        raise _Damaged("no .npz, or cut off")
    count, length, start = struct.unpack_from("<HII", end, 10)
    if tail[_END_64_BYTES:].startswith(_LOCATOR):
        count, length, start = struct.unpack_from("<QQQ", tail, 32)
        stop = size - tail_bytes
        if not tail.startswith(_END_64):
            raise _Damaged("a broken zip archive")
    if count > MAX_ARRAYS or length > _MAX_DIRECTORY_BYTES:
        raise _Damaged(f"more than {MAX_ARRAYS:,} members")
    if start + length != stop or end[-2:] != b"\0\0":
        raise _Damaged("a broken zip archive")
    return count, start


def _members(archive: zipfile.ZipFile, count: int) -> dict[str, zipfile.ZipInfo]:
    """The members by the names of their arrays."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            raise _Damaged(f"{name_of(name)} is not one")
        if name in members:
            raise _Damaged(f"{name_of(name)} is there twice")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise _Damaged("it is compressed or encrypted")
        members[name] = member
    if len(members) != count:
        raise _Damaged("a broken list of members")
    return members


def _check_places(file: BinaryIO, members: list[zipfile.ZipInfo], directory: int) -> None:
    """Checks that the members lie one behind the other, each with its name before it.

    So none is hidden, and all together claim no more than the file holds.
    """
    position = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        file.seek(position)
        head = file.read(_HEAD_BYTES)
        if member.header_offset != position or not head.startswith(_HEAD):
            raise _Damaged("it claims more than it holds, or less")
        name_bytes, extra_bytes = struct.unpack_from("<HH", head, 26)
        if file.read(name_bytes) != member.orig_filename.encode():
            raise _Damaged(f"{name_of(member.filename)} has two names")
        position += _HEAD_BYTES + name_bytes + extra_bytes + member.file_size
    if position != directory:
        raise _Damaged("it claims more than it holds, or less")


def _array(content: bytes, name: str) -> np.ndarray:
    """The array that a member holds, as NumPy's format 1.0 of version 1.0 to 2.x stores it."""
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(content, start, end)
    if not content.startswith(_MAGIC) or header is None:
        raise _Damaged(f"{name_of(name)} is not one")
    kind, fortran, sides = header.groups()
    data_type = np.dtype(kind.decode())
    shape = tuple(int(side) for side in sides.replace(b",", b" ").split())
    if math.prod(shape) * data_type.itemsize != len(content) - end:
        raise _Damaged(f"{name_of(name)} has other bytes than its shape tells")
    flat = np.frombuffer(content, data_type, math.prod(shape), end)
    if data_type.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise _Damaged(f"{name_of(name)} holds other truth values than 0 and 1")
    if data_type.kind == "U" and (flat.view(f"{kind.decode()[0]}u4") > 0x10FFFF).any():
        raise _Damaged(f"{name_of(name)} is no text")
    return flat.copy().reshape(shape, order="F" if fortran == b"True" else "C")
