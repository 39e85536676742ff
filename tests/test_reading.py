import json
import os

import pytest

from kptkit.errors import InputError
from kptkit.reading import differences, read_json, shown


@pytest.mark.parametrize(
    ("content", "document"),
    [
        (b"{}", {}),
        (b"[]\n", []),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"name": "café"}'.encode(), {"name": "café"}),
        (b'{"a": [{"polygon": [1, 2], "b": 2}], "polygon": 3}', {"a": [{"b": 2}]}),
        (b'{"polygon": [NaN]}', {}),
    ],
)
def test_reads_json_and_drops_keys(tmp_path, content, document):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert read_json(path, without=("polygon",)) == document


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a": 1,\n "b": [1, 2', "line 2 column 12"),
        (b"{} {}", "line 1 column 4"),
        (b'{"name": "caf\xe9"}', r"byte 13 \(0xe9\) is not UTF-8"),
        (json.dumps({"a": 1}).encode("utf-16"), "byte 0"),
        (b'{"a": {"b": [1, NaN]}}', r"a\.b\[1\]: NaN"),
        (b"[[], {}, -Infinity]", r"\[2\]: -Infinity"),
        (b"NaN", "top level: NaN"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "5000"),
    ],
)
def test_broken_files_are_refused_naming_the_place(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: .*{message}"):
        read_json(path)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for name in (".", "missing.json", "pipe.json"):
        with pytest.raises(InputError, match="expected a JSON file"):
            read_json(tmp_path / name)


def test_shown_values_are_short():
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert shown({}, "a") == "missing"
    assert shown({"a": None}, "a") == "None"
    assert len(shown({"a": deep}, "a")) < 100
    assert len(shown({"a": "x" * 1000}, "a")) < 100


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, []),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1, "c": [2]}}, {"a": {"b": 1, "c": [3]}}, ["a.c was [2], is now [3]"]),
        ({"a": 1}, {"b": 2}, ["a was 1, is now None", "b was None, is now 2"]),
    ],
)
def test_differences_name_the_leaves(old, new, expected):
    assert differences(old, new) == expected
