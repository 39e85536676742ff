"""The one error for unusable input."""

from kptkit.wording import printable


class InputError(ValueError):
    """The user's input cannot be used.

    The message is one line that a newcomer can act on: ``FILE: FIELD (id): what was found, what was
    expected, what to do``. Commands print it and exit with code 2; no other error gives that code.
    It may quote files of others: that is made `printable` here, once for all messages.
    """

    def __init__(self, message: str = ""):
        super().__init__(printable(message))
