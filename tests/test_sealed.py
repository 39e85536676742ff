"""Documents of our own: any damage is found, and values made on purpose are checked."""

import json
import os
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from kptkit.checks import check_range
from kptkit.errors import InputError
from kptkit.sealed import MAX_BYTES, as_read, convert, read_sealed, sealed_text, write_sealed


@dataclass(frozen=True)
class Inner:
    size: int = 1

    def __post_init__(self) -> None:
        check_range("size", self.size, 0, 9, whole=True)


@dataclass(frozen=True)
class Outer:
    name: str
    way: Literal["a", "b"] = "a"
    pair: tuple[int, int] = (1, 2)
    share: float = 0.5
    inner: Inner = Inner()
    more: tuple[Inner, ...] = ()
    counts: dict[str, int] | None = None
    free: Any = None


CONTENT = {"name": "é \udcff", "pair": (3, 4), "share": 0.1, "free": [{"": None}], "counts": {}}


@pytest.mark.parametrize("content", [{}, CONTENT, {"b": {"c": 1}, "a": {10: 1, 9: 1e-300}}])
def test_what_was_written_is_read_back(tmp_path, content):
    write_sealed(tmp_path / "a.json", content)
    assert read_sealed(tmp_path / "a.json", "") == as_read(content)
    (tmp_path / "b.json").write_text(sealed_text(content))
    assert read_sealed(tmp_path / "b.json", "") == as_read(content)
    # The order of the entries and the space between them are not content.
    other = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps(dict(reversed(other.items())), indent=7))
    assert read_sealed(tmp_path / "c.json", "") == as_read(content)


def test_what_is_not_finite_is_not_written():
    with pytest.raises(ValueError, match="Out of range"):
        sealed_text({"a": float("nan")})


def reads_otherwise(path):
    """Whether a document is refused in one line."""
    try:
        read_sealed(path, "make it again")
    except InputError as error:
        return str(error).startswith(f"{path}: ") and "\n" not in str(error)
    return False


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "a.json"
    text = sealed_text(CONTENT, indent=2).encode()
    same = 0
    for place in range(len(text)):
        for bit in range(8):
            spoilt = bytearray(text)
            spoilt[place] ^= 1 << bit
            path.write_bytes(spoilt)
            if reads_otherwise(path):
                continue
            assert read_sealed(path, "") == as_read(CONTENT)
            same += 1
    assert same < 20  # such as a line feed that becomes another blank


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"{}", "no seal: written by another program or an earlier version of kptkit; do it$"),
        (b"[]", "no seal"),
        (b"null", "no seal"),
        (b'{"seal": 1}', "altered since it was written; do it$"),
        (b'{"seal": "' + b"0" * 64 + b'"}', "altered"),
        (b'{"a": NaN, "seal": ""}', "a: NaN; expected a finite number"),
        (b'{"a": 1e999, "seal": ""}', "altered"),
        (b'{"a": \xff}', "not UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"seal": "", "a": ' + b"[" * 900 + b"]" * 900 + b"}", "altered|nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "a number of more than 4,300 digits"),
        (b" " * (MAX_BYTES + 1), "more than 67,108,864 bytes; do it$"),
    ],
)
def test_what_is_no_document_is_one_line(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: .*({message})"):
        read_sealed(path, "do it")


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing", "/dev/zero"):
        with pytest.raises(InputError, match="expected a JSON file"):
            read_sealed(path, "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ...}, "object missing required field name"),
        ({"name": 1}, "name: expected str, got int"),
        ({"way": "evil"}, "way: invalid value 'evil'"),
        ({"way": "\x1b[31m" + "x" * 9999}, r"way: invalid value '\\x1b\[31mx+\.\.\."),
        ({"pair": [1]}, "pair: expected array of length 2, got 1"),
        ({"pair": [1, True]}, r"pair\[1\]: expected int, got bool"),
        ({"pair": [1, 2.5]}, r"pair\[1\]: expected int, got float"),
        ({"share": "0.5"}, "share: expected float, got str"),
        ({"share": None}, "share: expected float, got null"),
        ({"share": 10**400}, "share: number out of range"),
        ({"inner": []}, "inner: expected object, got array"),
        ({"inner": {"size": 10}}, "inner.size: 10; expected a whole number from 0 to 9"),
        ({"inner": {"size": 10**9}}, "inner.size: 1000000000; expected a whole number from 0 to 9"),
        ({"inner": {"sise": 1}}, "inner.sise: unknown"),
        ({"more": [{}, {"size": -1}]}, r"more\[1\].size: -1; expected a whole number .* 9"),
        ({"more": [{}, {"": 1}]}, r"more\[1\].: unknown"),
        ({"counts": {"a": 1.5}}, r"counts\[...\]: expected int, got float"),
        ({"evil": 1}, "evil: unknown"),
        ({"\x1b": 1}, r"\\x1b: unknown"),
    ],
)
def test_a_value_that_does_not_fit_is_one_line_with_its_place(changes, message):
    content = as_read(CONTENT) | changes
    content = {key: value for key, value in content.items() if value is not ...}
    with pytest.raises(InputError, match=f"^a.json: {message}; do it$"):
        convert(content, Outer, "a.json", "do it")


def test_defaults_may_be_missing():
    assert convert({"name": "a"}, Outer, "", "") == Outer("a")
    found = convert({"name": "a", "more": [{"size": 2}], "pair": [5, 6]}, Outer, "", "")
    assert found == Outer("a", pair=(5, 6), more=(Inner(2),))


@pytest.mark.parametrize("value", [0, 9, 4.5])
def test_numbers_within_bounds_pass(value):
    check_range("a", value, 0, 9)


@pytest.mark.parametrize("value", [-1, 9.001, float("nan"), float("inf"), 10**400])
def test_numbers_out_of_bounds_do_not(value):
    with pytest.raises(InputError, match=r"^a: .*; expected a number from 0 to 9,000"):
        check_range("a", value * 1000, 0, 9000)
    with pytest.raises(InputError, match=r"^a: 0; expected a whole number above 0 to 9"):
        check_range("a", 0, 0, 9, whole=True, above=True)
