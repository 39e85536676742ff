"""Foreign text in messages: one line, which shows everything and commands nothing; and numbers."""

import os
import pickle

import pytest

from kptkit.errors import InputError
from kptkit.images import ImageError
from kptkit.serving import ServingError
from kptkit.wording import counted, printable, say

# What a name may hold, and how it is shown.
FOREIGN = [
    ("", ""),
    ("plain name.jpg", "plain name.jpg"),
    ("Gesicht_ähnlich_顔.jpg", "Gesicht_ähnlich_顔.jpg"),
    ("<b>|`](x)\"'", "<b>|`](x)\"'"),
    ("\x1b[31mred", "\\x1b[31mred"),
    ("\x9b31mred", "\\x9b31mred"),
    ("over\rwritten", "over\\rwritten"),
    ("two\nlines", "two\\nlines"),
    ("bell\x07tab\tnul\0del\x7f", "bell\\x07tab\\tnul\\x00del\\x7f"),
    ("\u202egpj.exe", "\\u202egpj.exe"),
    ("one\u2028line\u2029more", "one\\u2028line\\u2029more"),
    ("tag\U000e0041", "tag\\U000e0041"),
    ("no\udc80UTF-8", "no\\udc80UTF-8"),
]


@pytest.mark.parametrize(("text", "shown"), FOREIGN)
def test_what_commands_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown
    assert shown.isprintable()


def test_paths_are_shown_too():
    assert printable(os.fsencode("a\x1bb").decode()) == "a\\x1bb"
    assert printable(os.fsdecode(b"caf\xe9")) == "caf\\udce9"


@pytest.mark.parametrize("kind", [InputError, ImageError, ServingError])
@pytest.mark.parametrize(("text", "shown"), FOREIGN)
def test_no_error_speaks_otherwise(kind, text, shown):
    error = kind(f"list.txt: {text}; expected a name")
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert str(one) == f"list.txt: {shown}; expected a name"


@pytest.mark.parametrize(("text", "shown"), FOREIGN)
def test_what_is_said_is_one_line(capsys, text, shown):
    say(text)
    assert capsys.readouterr().out == f"{shown}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0, "error"), "0 errors"),
        ((1, "error"), "1 error"),
        ((2, "error"), "2 errors"),
        ((12_345, "person"), "12,345 persons"),
        ((1, "box", "boxes"), "1 box"),
        ((3, "box", "boxes"), "3 boxes"),
    ],
)
def test_a_number_and_its_noun(arguments, expected):
    assert counted(*arguments) == expected
