"""Numbers of things, and text of other people's files, in messages."""

# The longest name of a file or keypoint that messages show whole.
_LONGEST_NAME = 120


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 person``, ``2 persons``, ``1,000 persons``.

    Args:
        plural: of the noun, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def one_line(text: str) -> str:
    """Text as a terminal may show it: line ends, escapes and the like are written as ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def name_of(text: str) -> str:
    """A name from somebody's file, in one line, and shortened if no picture is called so."""
    if len(text) > _LONGEST_NAME:
        half = _LONGEST_NAME // 2
        text = f"{text[:half]}...{text[-half:]}"
    return one_line(text)
