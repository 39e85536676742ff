"""What the values of a flag are: from the type of a field to its words on the command line."""

import difflib
import math
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

from kptkit.errors import InputError
from kptkit.fields import Range


@dataclass(frozen=True)
class Kind:
    """How words become the value of a field."""

    convert: Callable[[str], Any]
    """From one word; raises a ValueError if that is not possible."""
    shown: str
    """One word in usage lines, such as PATH."""
    expected: str
    """One word in messages, such as "a number"."""
    choices: tuple[str, ...] = ()
    count: int | None = None
    """How many words there are: None is one, which is not in a tuple; -1 any number."""
    switch: bool = False
    """Whether the flag itself is the value, and --no- before its name the opposite."""

    @property
    def usage(self) -> str:
        """The words after the flag, in usage lines."""
        if self.switch:
            return ""
        if self.count == -1:
            return f"{self.shown} ..."
        return " ".join([self.shown] * (self.count or 1))

    def value(self, flag: str, words: Sequence[str], allowed: Range | None) -> Any:
        """The value of the words after a flag.

        Raises:
            InputError: there are too few, one is of another kind, or a number is out of range.
        """
        if self.count not in (None, -1) and len(words) != self.count:
            given = " ".join([flag, *words])
            raise InputError(f"{given}: expected {self.count} values: {self.usage}")
        if not words and self.count is None:
            raise InputError(f"{flag}: no value; expected {self.expected}")
        values = tuple(self._one(flag, word, allowed) for word in words)
        return values[0] if self.count is None else values

    def _one(self, flag: str, word: str, allowed: Range | None) -> Any:
        if self.choices and word not in self.choices:
            near = difflib.get_close_matches(word, self.choices, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"{flag} {word}: expected one of {', '.join(self.choices)}{hint}")
        try:
            value = self.convert(word)
        except ValueError:
            raise InputError(f"{flag} {word}: expected {self.expected}") from None
        if allowed and value not in allowed:
            raise InputError(f"{flag} {word}: expected {self.expected}, {allowed}")
        return value

    def text(self, value: Any) -> str:
        """A value as it would be typed."""
        values = value if isinstance(value, tuple) else (value,)
        return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)


def kind_of(hint: Any) -> Kind:
    """The kind of a field, by its type without marks.

    Raises:
        TypeError: the type cannot be typed: a fault of ours.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return Kind(str, "{" + ",".join(inner) + "}", "a name", choices=inner)
    if origin in (Union, types.UnionType):
        return _kind_of_union([part for part in inner if part is not type(None)])
    if origin is tuple:
        one, count = kind_of(inner[0]), -1 if inner[-1] is Ellipsis else len(inner)
        return Kind(one.convert, one.shown, one.expected, one.choices, count)
    if hint not in _SIMPLE:
        raise TypeError(f"{hint}: no type of a flag")
    return _SIMPLE[hint]


def _kind_of_union(parts: list[Any]) -> Kind:
    """Of names from several tables, or of names and free text."""
    if len(parts) == 1:
        return kind_of(parts[0])
    if str in parts:
        return _SIMPLE[str]
    return kind_of(Literal[tuple(name for part in parts for name in typing.get_args(part))])


def _number(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(word)
    return number


_SIMPLE = {
    str: Kind(str, "TEXT", "a text"),
    Path: Kind(Path, "PATH", "a path"),
    int: Kind(int, "INTEGER", "a whole number"),
    float: Kind(_number, "NUMBER", "a number"),
    bool: Kind(bool, "", "no value", switch=True),
}
