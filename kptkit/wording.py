"""Numbers of things in messages."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 person``, ``2 persons``, ``1,000 persons``.

    Args:
        plural: of the noun, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
