"""Checks of arguments and settings: what cannot be used is refused in one line."""

import difflib
import math
import numbers
import reprlib
from collections.abc import Collection, Iterable
from typing import Any

from kptkit.errors import InputError


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
    number = _finite(value, whole)
    if number is None or not low <= number <= high:
        raise InputError(f"{name}: {reprlib.repr(value)}, expected {expected}")


def check_range(
    name: str, value: Any, low: float, high: float, whole: bool = False, above: bool = False
) -> None:
    """As `check_number`, for settings between two bounds, which the message states.

    Args:
        above: whether `low` itself is too small.

    Raises:
        InputError: as `check_number`.
    """
    number = _finite(value, whole)
    if number is None or not (low < number <= high if above else low <= number <= high):
        kind = "a whole number" if whole else "a number"
        start = f"above {low:,}" if above else f"from {low:,}"
        raise InputError(f"{name}: {reprlib.repr(value)}; expected {kind} {start} to {high:,}")


def _finite(value: Any, whole: bool) -> float | None:
    """A finite number as a float; None if it is none, or none of the kind."""
    if not isinstance(value, numbers.Integral if whole else numbers.Real):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def check_size(name: str, size: Any) -> None:
    """Checks that an argument is two whole numbers above 0, such as a width and a height.

    Raises:
        InputError: it is not.
    """
    given = tuple(size) if isinstance(size, Iterable) and not isinstance(size, str) else ()
    whole = [s for s in given if isinstance(s, numbers.Integral) and not isinstance(s, bool)]
    if len(given) != 2 or len(whole) != 2 or min(int(side) for side in whole) < 1:
        raise InputError(
            f"{name}: {reprlib.repr(size)}, expected two whole numbers above 0, width and height"
        )


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


def check_shapes(where: str, **arguments: tuple[Any, tuple[str | int, ...]]) -> None:
    """Checks the static shapes of arrays or tensors against each other; it computes nothing.

    Args:
        where: the function that was called, for the message.
        arguments: by name an array and its sides: numbers, or letters such as ``B``, which stand
            for the same number everywhere. Sides that are not known while a graph is traced fit.

    Raises:
        InputError: this is no array of numbers, or a rank or a side differs.
    """
    sizes: dict[str, int] = {}
    for name, (value, sides) in arguments.items():
        shape = _static_shape(f"{where}: {name}", value)
        if shape is None:
            continue
        said = f"{where}: {name}: shape {shape}, expected ({', '.join(map(str, sides))})"
        if len(shape) != len(sides):
            raise InputError(said)
        for found, side in zip(shape, sides, strict=True):
            wanted = side if isinstance(side, int) else sizes.setdefault(side, found)
            if None not in (found, wanted) and found != wanted:
                raise InputError(said if side == wanted else f"{said} with {side} = {wanted}")
            if not isinstance(side, int) and wanted is None:
                sizes[side] = found


def _static_shape(said: str, value: Any) -> tuple[Any, ...] | None:
    """The sides of an array or tensor, None where unknown; None if even the rank is."""
    dtype = str(getattr(value, "dtype", "")).lower()
    if not hasattr(value, "shape") or any(x in dtype for x in ("str", "object", "<u", "complex")):
        value = _numbers(value)
        if value is None:
            raise InputError(f"{said}: expected an array or tensor of numbers")
    try:
        return tuple(value.shape)
    except ValueError:  # of a tensor of unknown rank
        return None


def _numbers(value: Any) -> Any:
    """An array of nested lists of numbers; None if it is something else."""
    import numpy as np  # here, since commands without arrays import this file too

    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None
