"""The one error for unusable input."""

import difflib
from collections.abc import Collection


class InputError(ValueError):
    """The user's input cannot be used.

    The message is one line that a newcomer can act on: ``FILE: FIELD (id): what was found, what was
    expected, what to do``. Commands print it and exit with code 2; no other error gives that code.
    """


def check_name(flag: str, name: str, known: Collection[str]) -> None:
    """Checks the value of a flag against the known names.

    Raises:
        InputError: the name is unknown; the message suggests the most similar one.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{flag} {name}: expected one of {', '.join(known)}{hint}")


def check_range(
    name: str, value: float, low: float, high: float, whole: bool = False, above: bool = False
) -> None:
    """Checks that a number lies between two bounds; NaN does not.

    Args:
        name: of the setting, for the message.
        whole: whether only whole numbers are expected, for the message.
        above: whether `low` itself is too small.

    Raises:
        InputError: it does not.
    """
    if not (low < value <= high if above else low <= value <= high):
        kind = "a whole number" if whole else "a number"
        start = f"above {low:,}" if above else f"from {low:,}"
        raise InputError(f"{name}: {value}; expected {kind} {start} to {high:,}")
