"""The one error for unusable input."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that a newcomer can act on: ``FILE: FIELD (id): what was found, what was
    expected, what to do``. Commands print it and exit with code 2; nothing else does.
    """
