"""Counts agree with their nouns."""

import pytest

from kptkit.wording import counted


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
