"""The one error for unusable input."""

import difflib
import math
import numbers
import reprlib
from collections.abc import Collection
from typing import Any


class InputError(ValueError):
    """The user's input cannot be used.

    The message is one line that a newcomer can act on: ``FILE: FIELD (id): what was found, what was
    expected, what to do``. Commands print it and exit with code 2; no other error gives that code.
    """


def check_number(
    name: str,
    value: Any,
    expected: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    whole: bool = False,
) -> None:
    """Checks that an argument is a finite number from `low` to `high`.

    Args:
        expected: the rest of the message, behind "expected".
        whole: whether it must be an integer.

    Raises:
        InputError: it is out of range or NaN, or is text, a truth value or something else.
    """
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, kind) and not isinstance(value, bool):
        if low <= float(value) <= high and math.isfinite(value):
            return
        raise InputError(f"{name}: {value}, expected {expected}")
    raise InputError(f"{name}: {reprlib.repr(value)}, expected {expected}")


def check_choice(name: str, value: Any, known: Collection[Any]) -> None:
    """Checks that an argument is one of a few known values.

    Raises:
        InputError: it is not; the message has them all.
    """
    if not any(type(value) is type(one) and value == one for one in known):
        listed = ", ".join(repr(one) for one in known)
        raise InputError(f"{name}: {reprlib.repr(value)}, expected one of {listed}")


def check_name(flag: str, name: str, known: Collection[str]) -> None:
    """Checks the value of a flag against the known names.

    Raises:
        InputError: the name is unknown; the message suggests the most similar one.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{flag} {name}: expected one of {', '.join(known)}{hint}")
