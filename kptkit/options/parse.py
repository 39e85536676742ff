"""From the words of a command line to a dataclass."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kptkit.errors import InputError
from kptkit.fields import Needs, Without
from kptkit.options.flag import REQUIRED, Flag, flags_of

Config = TypeVar("Config")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Parsed:
    """What a command line says, flag by flag."""

    command: str
    """For messages, such as "kptkit predict --task face"."""
    flags: list[Flag]
    given: dict[Flag, Any]
    """The values of the flags that were given; repeated ones are tuples."""

    def value(self, flag: Flag) -> Any:
        """The value of a flag, given or by default."""
        return self.given.get(flag, flag.default)


def parse(
    words: Sequence[str],
    config: type[Config],
    command: str,
    default: Config | None = None,
    elsewhere: Iterable[tuple[str, type]] = (),
) -> Parsed:
    """The values of the flags of a dataclass, each checked by itself.

    Args:
        command: for messages.
        default: an instance whose values are the defaults.
        elsewhere: names and dataclasses of the command's other tasks, to say whose a flag is.

    Raises:
        InputError: a flag is unknown, missing, has no effect, or a value is of the wrong kind.
    """
    parsed = Parsed(command, flags_of(config, default), {})
    reader = _Reader(parsed, list(words), list(elsewhere))
    reader.read()
    missing = [f.name for f in parsed.flags if f.default is REQUIRED and f not in parsed.given]
    if missing:
        raise InputError(
            f"{command}: {' and '.join(missing)} not given; {command} --help lists what it takes"
        )
    for flag in parsed.given:
        _check_effect(parsed, flag)
    return parsed


class _Reader:
    """Reads the words one after the other."""

    def __init__(self, parsed: Parsed, words: list[str], elsewhere: list[tuple[str, type]]):
        self.parsed, self.words, self.elsewhere = parsed, words, elsewhere
        self.by_name = {flag.name: flag for flag in parsed.flags if not flag.positional}
        self.opposites = {flag.opposite: flag for flag in parsed.flags if flag.kind.switch}
        self.loose: list[str] = []

    def read(self) -> None:
        while self.words:
            word = self.words.pop(0)
            if word == "--":
                self.loose += self.words
                break
            if _is_flag(word):
                self._flag(word)
            else:
                self.loose.append(word)
        self._assign_loose()

    def _flag(self, word: str) -> None:
        name, equals, value = word.partition("=")
        name = name.replace("_", "-")
        if name in self.opposites and not equals:
            self.parsed.given[self.opposites[name]] = False
            return
        if name not in self.by_name:
            raise InputError(self._unknown(name))
        flag = self.by_name[name]
        if flag.kind.switch:
            self.parsed.given[flag] = self._truth(flag, equals, value)
            return
        taken = [value] if equals else []
        while self.words and len(taken) != (flag.kind.count or 1) and not _is_flag(self.words[0]):
            taken.append(self.words.pop(0))
        found = flag.kind.value(flag.name, taken, flag.allowed)
        earlier = self.parsed.given.get(flag, ()) if flag.repeated else ()
        self.parsed.given[flag] = earlier + found if flag.repeated else found

    def _truth(self, flag: Flag, equals: str, value: str) -> bool:
        """Of a switch, which may be followed by true or false."""
        if not equals and self.words and self.words[0].lower() in _TRUTH:
            value = self.words.pop(0)
        elif not equals:
            return True
        if value.lower() not in _TRUTH:
            raise InputError(f"{flag.name}={value}: expected {flag.name} or {flag.opposite}")
        return _TRUTH[value.lower()]

    def _assign_loose(self) -> None:
        places = [flag for flag in self.parsed.flags if flag.positional]
        for flag in places:
            count = len(self.loose) if flag.kind.count == -1 else 1
            words, self.loose = self.loose[:count], self.loose[count:]
            if words:
                self.parsed.given[flag] = flag.kind.value(flag.name, words, flag.allowed)
        if self.loose:
            command = self.parsed.command
            names = " and one ".join(flag.name for flag in places)
            takes = f"one {names}, then flags" if names else "only flags"
            raise InputError(
                f"{self.loose[0]}: {command} takes {takes}; {command} --help lists them"
            )

    def _unknown(self, name: str) -> str:
        for task, config in self.elsewhere:
            if name in {flag.name for flag in flags_of(config)}:
                return f"{name}: a flag of --task {task}, not of {self.parsed.command}"
        near = difflib.get_close_matches(name, [*self.by_name, *self.opposites], n=1)
        hint = f"did you mean {near[0]}?" if near else f"{self.parsed.command} --help lists them"
        return f"{name}: no such flag of {self.parsed.command}; {hint}"


def _is_flag(word: str) -> bool:
    """Whether a word is a flag, not a value; -5 and -.5 are numbers, and - is a file's name."""
    return bool(re.match(r"-[^\d.]", word)) and not re.fullmatch(r"-(inf|nan)", word)


def _check_effect(parsed: Parsed, flag: Flag) -> None:
    """Refuses a flag that changes nothing beside the others."""
    for mark in flag.marks:
        if isinstance(mark, Needs) and not any(_holds(parsed, flag, c) for c in mark.conditions):
            needed = " or ".join(_shown(parsed, flag, c) for c in mark.conditions)
            raise InputError(f"{flag.name}: has no effect without {needed}; give both or neither")
        if isinstance(mark, Without):
            for condition in mark.conditions:
                if _holds(parsed, flag, condition):
                    other = _shown(parsed, flag, condition)
                    raise InputError(
                        f"{flag.name}: has no effect beside {other}; give one of the two"
                    )


def named(parsed: Parsed, flag: Flag, condition: str) -> tuple[Flag, str]:
    """The flag that a condition names, looked up from the inside out, and its value there."""
    name, _, value = condition.partition("=")
    for length in range(len(flag.path) - 1, -1, -1):
        for other in parsed.flags:
            if other.path[:length] == flag.path[:length] and other.path[length:] == (name,):
                return other, value
    # Dataclasses without a prefix are looked into as well: their flags stand beside this one.
    return next(other for other in parsed.flags if other.path[-1] == name), value


def _holds(parsed: Parsed, flag: Flag, condition: str) -> bool:
    other, value = named(parsed, flag, condition)
    found = parsed.value(other)
    return str(found) == value if value else bool(found) and found is not REQUIRED


def _shown(parsed: Parsed, flag: Flag, condition: str) -> str:
    other, value = named(parsed, flag, condition)
    if other.kind.switch and value:
        return other.name if value == "True" else other.opposite
    return f"{other.name} {value}".strip()


def build(parsed: Parsed, config: type[Config], default: Config | None = None) -> Config:
    """The dataclass with the values of a command line.

    Raises:
        InputError: the values do not fit each other; the message names the flag.
    """
    return _build(parsed, config, default, ())


def _build(parsed: Parsed, config: type[Any], default: Any, path: tuple[str, ...]) -> Any:
    hints = typing.get_type_hints(config)
    given = {flag.path: value for flag, value in parsed.given.items()}
    values = {} if default is None else {f.name: getattr(default, f.name) for f in _fields(config)}
    for field in _fields(config):
        place, inner = (*path, field.name), hints[field.name]
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            start = values.get(field.name)
            if start is None and field.default is not dataclasses.MISSING:
                start = field.default
            values[field.name] = _build(parsed, inner, start, place)
        elif place in given:
            values[field.name] = given[place]
    try:
        return config(**values)
    except InputError as error:
        raise InputError(_with_flag(parsed, path, str(error))) from None


def _fields(config: type[Any]) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(config)


def _with_flag(parsed: Parsed, path: tuple[str, ...], message: str) -> str:
    """A message that begins with a field, with the flag in its place."""
    begins = re.match(r"(?:\w+: )?(\w+)(: )", message)
    if begins:
        for flag in parsed.flags:
            if flag.path == (*path, begins[1]):
                return f"{flag.name}: {message[begins.end() :]}"
    return message
