"""The flags of a dataclass, of the dataclasses in it, and what stands beside them in its source."""

import ast
import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from kptkit.fields import Existing, Mark, Named, Needs, Range, Without, Written
from kptkit.options.kinds import Kind, kind_of

# Stands for a value that must be given.
REQUIRED: Any = object()


@dataclass(frozen=True)
class Flag:
    """A flag, or a value without one."""

    name: str
    """Such as --data.val-images; of a value without a flag IMAGES."""
    path: tuple[str, ...]
    """The fields that lead to its value."""
    home: type
    """The dataclass whose field it is."""
    kind: Kind
    default: Any
    marks: tuple[Any, ...]
    """Of its field, and of the fields that hold its dataclass."""

    @property
    def positional(self) -> bool:
        """Whether its value stands without a flag."""
        return Mark.POSITIONAL in self.marks

    @property
    def repeated(self) -> bool:
        """Whether it may be given more than once."""
        return Mark.REPEATED in self.marks

    @property
    def allowed(self) -> Range | None:
        """Which numbers are accepted; None: all."""
        return next((mark for mark in self.marks if isinstance(mark, Range)), None)

    @property
    def on_disk(self) -> Existing | Written | None:
        """What its path must be."""
        return next((mark for mark in self.marks if isinstance(mark, Existing | Written)), None)

    @property
    def opposite(self) -> str:
        """Of a switch: the name that turns it off, such as --augment.no-photometric."""
        start, dot, last = self.name.removeprefix("--").rpartition(".")
        return f"--{start}{dot}no-{last}"


def flags_of(config: type, default: Any = None) -> list[Flag]:
    """The flags of a dataclass, in the order of its fields.

    Args:
        default: an instance whose values are the defaults, in place of those of the class.
    """
    return list(_flags(config, default, (), "", (), False))


def _flags(
    config: type,
    default: Any,
    path: tuple[str, ...],
    prefix: str,
    outer: tuple[Any, ...],
    all_flat: bool,
) -> Iterator[Flag]:
    hints = typing.get_type_hints(config, include_extras=True)
    for field in dataclasses.fields(config):
        hint, marks = _without_marks(hints[field.name])
        own = field.name.replace("_", "-")
        own = next((mark.name for mark in marks if isinstance(mark, Named)), own)
        value = _default_of(field, default)
        place = (*path, field.name)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            flat = all_flat or Mark.ALL_FLAT in marks
            inner = prefix if flat or Mark.FLAT in marks else f"{prefix}{own}."
            inherited = tuple(mark for mark in marks if isinstance(mark, Needs | Without))
            start = None if value is REQUIRED else value
            yield from _flags(hint, start, place, inner, (*outer, *inherited), flat)
            continue
        name = own.upper() if Mark.POSITIONAL in marks else f"--{prefix}{own}"
        kind = kind_of(hint)
        if Mark.REPEATED in marks:
            kind = dataclasses.replace(kind, count=1)
        yield Flag(name, place, config, kind, value, (*outer, *marks))


def _without_marks(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and the marks on it."""
    if typing.get_origin(hint) is typing.Annotated:
        return hint.__origin__, hint.__metadata__
    return hint, ()


def _default_of(field: dataclasses.Field, holder: Any) -> Any:
    if holder is not None:
        return getattr(holder, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED if field.default is dataclasses.MISSING else field.default


@cache
def notes_of(config: type) -> dict[str, str]:
    """What is said about each field of a dataclass: the text under it, or under "Attributes:"."""
    notes: dict[str, str] = {}
    for base in reversed(config.__mro__):
        if dataclasses.is_dataclass(base):
            notes |= _listed_notes(base.__doc__ or "") | _notes_below(base)
    return notes


def _notes_below(config: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    notes = {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for field, below in pairwise(body):
        text = below.value if isinstance(below, ast.Expr) else None
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Constant)
        ):
            notes[field.target.id] = _one_line(str(text.value))
    return notes


def _listed_notes(doc: str) -> dict[str, str]:
    _, _, listed = inspect.cleandoc(doc).partition("Attributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", listed, re.M)
    return {name: _one_line(text[0].upper() + text[1:]) for name, text in found}


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "").split())
