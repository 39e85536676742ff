"""The one error for unusable input."""


class InputError(ValueError):
    """The user's input cannot be used.

    The message is one line that a newcomer can act on: ``FILE: FIELD (id): what was found, what was
    expected, what to do``. Commands print it and exit with code 2; no other error gives that code.
    """
