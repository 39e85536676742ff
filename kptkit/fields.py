"""What the fields of a dataclass are as flags: marks for `Annotated`, read by `kptkit.options`.

    boxes: Annotated[Path | None, Existing("file"), Without("box")] = None

is a flag --boxes that names a file that must be there, and is refused beside --box.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal, TypeVar

Value = TypeVar("Value")


class Mark(Enum):
    """What a field is on the command line, if it is not a flag of its own name."""

    POSITIONAL = "a value without a flag before it"
    FLAT = "a dataclass whose flags have no prefix"
    ALL_FLAT = "the same, and those of the dataclasses in it have none either"
    REPEATED = "a tuple that gets one more value each time the flag is given"


Positional = Annotated[Value, Mark.POSITIONAL]
Flat = Annotated[Value, Mark.FLAT]
AllFlat = Annotated[Value, Mark.ALL_FLAT]
Repeated = Annotated[Value, Mark.REPEATED]


@dataclass(frozen=True)
class Named:
    """Another name for the flag than the field's."""

    name: str


@dataclass(frozen=True)
class Range:
    """The numbers that are accepted."""

    low: float
    high: float = math.inf
    above: bool = False
    """Whether `low` itself is too small."""

    def __contains__(self, number: float) -> bool:
        return self.low < number <= self.high if self.above else self.low <= number <= self.high

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"above {self.low:,}" if self.above else f"{self.low:,} or more"
        start = f"above {self.low:,}, at most" if self.above else f"{self.low:,} to"
        return f"{start} {self.high:,}"


COUNT, COUNT_OR_NONE = Range(1), Range(0)
SHARE = Range(0, 1)


@dataclass(frozen=True)
class Existing:
    """A path that must be there."""

    kind: Literal["file", "folder", "file or folder"]


@dataclass(frozen=True)
class Written:
    """A path that is written: no file may stand in its way, and its folder must be writable."""

    kind: Literal["file", "folder"]


class Needs:
    """The flag has an effect only if one of these conditions holds.

    A condition is the name of another field that must be given, or a field with its value:
    ``stage=all``. Names are looked up in the same dataclass, then in those that hold it.
    """

    def __init__(self, *conditions: str):
        self.conditions = conditions


class Without:
    """The flag has no effect if one of these conditions holds; see `Needs`."""

    def __init__(self, *conditions: str):
        self.conditions = conditions
