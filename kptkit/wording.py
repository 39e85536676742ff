"""How messages are worded: foreign text, which may be anything, and numbers of things."""

import os

# The longest name of a file or keypoint that messages show whole.
_LONGEST_NAME = 120


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 person``, ``2 persons``, ``1,000 persons``.

    Args:
        plural: of the noun, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str | os.PathLike) -> str:
    """Foreign text as part of one line: what is no visible character or space is escaped.

    Names in files of others may hold commands for a terminal, line ends that forge a line of ours,
    or marks that turn the direction of reading. They become Python's escapes: ESC becomes
    ``\\x1b``.

    Args:
        text: text, or a path, whose bytes that are no UTF-8 are escaped too.
    """
    text = os.fsdecode(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def name_of(text: str) -> str:
    """A name from somebody's file, `printable`, and shortened if no picture is called so."""
    if len(text) > _LONGEST_NAME:
        half = _LONGEST_NAME // 2
        text = f"{text[:half]}...{text[-half:]}"
    return printable(text)


def say(line: str) -> None:
    """Prints a line that may hold foreign text."""
    print(printable(line))
