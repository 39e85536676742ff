"""The arrays in a MATLAB file of version 5 to 7, parsed from its bytes on demand.

Every size is checked against the bytes that are present. Numbers, texts, struct arrays and cell
arrays are read; sparse and complex arrays, objects and functions are refused.
"""

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kptkit.errors import InputError

# Types of elements.
MATRIX, COMPRESSED = 14, 15
# NumPy types of stored numbers and letters, by the type of their element.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_STORED |= {12: "i8", 13: "u8", 16: "u1", 17: "u2"}
# Classes of arrays; 6 to 15 are numbers.
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = 1, 2, 3, 4, 5
_NUMBERS = range(6, 16)
_KINDS = {_CELL: "a cell", _STRUCT: "a struct", _CHAR: "a text", _SPARSE: "a sparse array"}
_KINDS |= dict.fromkeys(_NUMBERS, "numbers")
_COMPLEX = 0x0800

# Coordinates, sizes and flags are far smaller, and arithmetic with these does not overflow.
LARGEST_NUMBER = 1e15
# The joints of LSP extended are 420,000 numbers.
MOST_NUMBERS = 1 << 24


class Broken(Exception):
    """The bytes contradict themselves."""


class Element(NamedTuple):
    """A data element: its type, where its content starts and stops, where the next one starts."""

    kind: int
    start: int
    stop: int
    next: int


@dataclass(frozen=True)
class Array:
    """A MATLAB array whose content is parsed on demand.

    Attributes:
        where: its place, for messages, counted from 1 as in MATLAB: ``RELEASE.annolist(5)``.
        content: the bytes of the variable that contains it.
        order: byte order, "<" or ">".
        start, stop: its position in `content`.
    """

    where: str
    content: bytes
    order: str
    start: int
    stop: int

    def numbers(self, count: int | None = None) -> np.ndarray:
        """The real numbers of the array as float64, in MATLAB's shape; NaN is one of them.

        Raises:
            InputError: it contains anything else, infinite or vast numbers, or not `count` numbers.
        """
        wanted = "numbers" if count is None else f"{count} number" + "s" * (count > 1)
        flags, shape, _, position = self._header
        if flags & 0xFF not in _NUMBERS or flags & _COMPLEX:
            raise InputError(f"{self.where}: {self.kind}; expected {wanted}")
        if count is not None and math.prod(shape) != count:
            raise InputError(f"{self.where}: {math.prod(shape)} numbers; expected {wanted}")
        with self._refusing():
            values = self._values(position)
            if len(values) != math.prod(shape):
                raise Broken
            if len(values) > MOST_NUMBERS:
                raise InputError(f"{self.where}: more than {MOST_NUMBERS:,} numbers; refused")
            found = values.astype(np.float64).reshape(shape, order="F")
        beyond = np.abs(found) > LARGEST_NUMBER  # infinity is, NaN is not
        if beyond.any():
            raise InputError(
                f"{self.where}: {found[beyond][0]:g}; expected numbers up to {LARGEST_NUMBER:g}"
            )
        return found

    def text(self) -> str:
        """The text of the array.

        Raises:
            InputError: it is not a text of one line.
        """
        flags, shape, _, position = self._header
        if flags & 0xFF != _CHAR or len(shape) != 2 or shape[0] != 1:
            raise InputError(f"{self.where}: {self.kind}; expected a text")
        with self._refusing():
            values = self._values(position)
            wide = values.dtype.itemsize > 1
            encoding = "utf-16-le" if wide else "utf-8"
            return values.astype("<u2" if wide else "u1").tobytes().decode(encoding)

    def structs(self) -> "list[Struct]":
        """The elements of a struct array, in MATLAB's (column-major) order.

        Raises:
            InputError: it is neither a struct array nor empty.
        """
        if self.is_empty:
            return []
        flags, shape, _, position = self._header
        if flags & 0xFF != _STRUCT:
            raise InputError(f"{self.where}: {self.kind}; expected a struct")
        with self._refusing():
            names, position = self._field_names(position)
            count = math.prod(shape)
            # Each field of each element takes at least eight bytes.
            if not names or 8 * count * len(names) > self.stop - position:
                raise Broken
            found = []
            for number in range(1, count + 1):
                fields = {}
                for name in names:
                    element = self._element(position, MATRIX)
                    fields[name] = (element.start, element.stop)
                    position = element.next
                where = self.where if count == 1 else f"{self.where}({number})"
                found.append(Struct(where, self, fields))
            return found

    def cells(self) -> "list[Array]":
        """The elements of a cell array, in MATLAB's (column-major) order.

        Raises:
            InputError: it is neither a cell array nor empty.
        """
        if self.is_empty:
            return []
        flags, shape, _, position = self._header
        if flags & 0xFF != _CELL:
            raise InputError(f"{self.where}: {self.kind}; expected a cell")
        with self._refusing():
            if 8 * math.prod(shape) > self.stop - position:
                raise Broken
            found = []
            for number in range(1, math.prod(shape) + 1):
                start, stop, position = self._element(position, MATRIX)[1:]
                where = f"{self.where}{{{number}}}"
                found.append(Array(where, self.content, self.order, start, stop))
            return found

    @property
    def kind(self) -> str:
        """The array's type, for messages."""
        flags, shape, _, _ = self._header
        if flags & _COMPLEX:
            return "complex numbers"
        if 0 in shape:
            return "empty"
        return _KINDS.get(flags & 0xFF, "a MATLAB object, which is not read")

    @property
    def is_empty(self) -> bool:
        """Whether the array has no elements."""
        return 0 in self._header[1]

    @property
    def name(self) -> str:
        """The name of a variable; empty for fields and cells."""
        return self._header[2]

    @cached_property
    def _header(self) -> tuple[int, tuple[int, ...], str, int]:
        """Flags, shape, name, and the position of the content."""
        if self.start == self.stop:
            return _NUMBERS[0], (0, 0), "", self.start
        with self._refusing():
            flags = self._element(self.start, 6)
            sides = self._element(flags.next, 5)
            name = self._element(sides.next, 1)
            if flags.stop - flags.start < 4:
                raise Broken
            shape = tuple(self._numbers_of(sides).tolist())
            if len(shape) < 2 or min(shape) < 0:
                raise Broken
            (word,) = struct.unpack_from(f"{self.order}I", self.content, flags.start)
            text = self.content[name.start : name.stop].decode("ascii")
            return word, shape, text, name.next

    def _field_names(self, position: int) -> tuple[list[str], int]:
        """The names of a struct's fields, and the position of the first field."""
        width = self._element(position, 5)
        names = self._element(width.next, 1)
        lengths = self._numbers_of(width)
        if len(lengths) != 1 or lengths[0] < 1:
            raise Broken
        text, step = self.content[names.start : names.stop], int(lengths[0])
        parts = [text[n : n + step].split(b"\0")[0] for n in range(0, len(text), step)]
        return [part.decode("ascii") for part in parts], names.next

    def _values(self, position: int) -> np.ndarray:
        """The numbers or letters stored at a position."""
        return self._numbers_of(self._element(position))

    def _numbers_of(self, element: Element) -> np.ndarray:
        if element.kind not in _STORED:
            raise Broken
        data_type = np.dtype(self.order + _STORED[element.kind])
        size = element.stop - element.start
        if size % data_type.itemsize:
            raise Broken
        return np.frombuffer(self.content, data_type, size // data_type.itemsize, element.start)

    def _element(self, position: int, kind: int | None = None) -> Element:
        element = element_at(self.content, self.order, position, self.stop)
        if kind is not None and element.kind != kind:
            raise Broken
        return element

    def _refusing(self) -> "_Refusing":
        return _Refusing(self.where)


@dataclass(frozen=True)
class Struct:
    """One element of a struct array.

    Attributes:
        where: its place, for messages.
        parent: the array.
        fields: start and stop of each field in the array's `content`.
    """

    where: str
    parent: Array
    fields: dict[str, tuple[int, int]]

    def field(self, name: str) -> Array | None:
        """A field; None if it is missing or empty."""
        if name not in self.fields:
            return None
        start, stop = self.fields[name]
        where = f"{self.where}.{name}"
        array = Array(where, self.parent.content, self.parent.order, start, stop)
        return None if array.is_empty else array

    def _required(self, name: str, expected: str) -> Array:
        array = self.field(name)
        if array is None:
            raise InputError(f"{self.where}.{name}: missing or empty; expected {expected}")
        return array

    def number(self, name: str) -> float:
        """The single number of a field.

        Raises:
            InputError: it contains anything else.
        """
        return float(self._required(name, "a number").numbers(1).flat[0])

    def numbers(self, name: str) -> np.ndarray:
        """The numbers of a field; see `Array.numbers`."""
        return self._required(name, "numbers").numbers()

    def text(self, name: str) -> str:
        """The text of a field; see `Array.text`."""
        return self._required(name, "a text").text()

    def structs(self, name: str) -> "list[Struct]":
        """The elements of a struct array in a field; [] if it is missing or empty."""
        array = self.field(name)
        return [] if array is None else array.structs()


class _Refusing:
    """A context that turns errors from broken bytes into an InputError that names the place."""

    def __init__(self, where: str):
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None and issubclass(kind, (Broken, UnicodeError)):
            raise InputError(f"{self.where}: broken; is the file cut off?") from None


def element_at(content: bytes, order: str, position: int, stop: int) -> Element:
    """The data element at a position, which must end at `stop` or before."""
    if position + 8 > stop:
        raise Broken
    kind, size = struct.unpack_from(f"{order}II", content, position)
    if kind >> 16:  # small element: two bytes type, two bytes size, up to four bytes content
        if kind >> 16 > 4:
            raise Broken
        start = position + 4
        return Element(kind & 0xFFFF, start, start + (kind >> 16), position + 8)
    start = position + 8
    if size > stop - start:
        raise Broken
    padding = 0 if kind == COMPRESSED else -size % 8
    return Element(kind, start, start + size, start + size + padding)
