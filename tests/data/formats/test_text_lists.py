"""Text files of lines: their ends, and names that no terminal or folder can take."""

import pickle

import pytest

from kptkit.data.faces.wider import read_wider
from kptkit.data.formats.faults import Fault, is_file_name
from kptkit.data.formats.index import load_annotations
from kptkit.data.formats.text_lists import read_lines
from kptkit.errors import InputError
from kptkit.wording import name_of, printable


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("a", [(1, "a")]),
        ("a\n\n b \n", [(1, "a"), (3, "b")]),
        ("a\r\nb\r\n", [(1, "a"), (2, "b")]),
        ("a\rb\r", [(1, "a"), (2, "b")]),
        ("a\rb\r\n", [(1, "a"), (2, "b")]),
        ("a\rb\nc", [(1, "a\rb"), (2, "c")]),  # part of a name
        ("a\x85b\u2028c\n", [(1, "a\x85b\u2028c")]),
    ],
)
def test_ends_of_lines(tmp_path, content, lines):
    (tmp_path / "x.txt").write_bytes(content.encode())
    assert read_lines(tmp_path / "x.txt", "a list") == lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("caf\xe9 \u4e2d.jpg", "caf\xe9 \u4e2d.jpg"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\r\0\x85", "a\\nb\\r\\x00\\x85"),
        ("\u202e\u2028\ud800", "\\u202e\\u2028\\ud800"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == str(InputError(text)) == shown
    assert str(Fault("notice", text, text)) == f"{shown}: {shown}"
    assert shown.isprintable()
    assert str(pickle.loads(pickle.dumps(InputError(text)))) == shown


def test_long_names_are_shortened():
    assert name_of("x" * 120) == "x" * 120
    assert name_of("a" * 100 + "b" * 100) == "a" * 60 + "..." + "b" * 60


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("a" * 255, True),
        ("a" * 256, False),
        ("\xe9" * 128, False),  # 256 bytes
        ("/".join(["a" * 200] * 5), True),
        ("/".join(["a" * 200] * 6), False),
    ],
)
def test_names_that_no_folder_has(name, possible):
    assert is_file_name(name) == possible


@pytest.mark.parametrize("name", ["a\x1b[2Jb.jpg", "a\x07\u202eb.jpg", "x" * 5000])
@pytest.mark.parametrize(
    "rest", ["", "\nno number", "\n2\n1 2 3 4", "\n1\n1 2 3 4\n{}\n1\n1 2 3 4"]
)
def test_names_in_lists_of_faces_do_not_reach_the_terminal(tmp_path, name, rest):
    path = tmp_path / "list.txt"
    path.write_text(f"{name}{rest.format(name)}\nend\n")
    with pytest.raises(InputError) as caught:
        read_wider(path, tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("format", ["300w", "wflw", "mpii", "lsp"])
def test_names_in_other_lists_neither(tmp_path, format):
    name = "a\x1b[2Jb"
    json_name = name.replace("\x1b", "\\u001b")
    contents = {
        "300w": f"{name}.pts\n",
        "wflw": " ".join(["5 6"] * 97 + ["9 9", f"{name}.jpg"]),
        "mpii": f'[{{"image": "{json_name}", "center": 3}}]',
        "lsp": f'[{{"image": "{json_name}", "joints": 3}}]',
    }
    path = tmp_path / ("x.json" if format in ("mpii", "lsp") else "x.txt")
    path.write_text(contents[format])
    with pytest.raises(InputError) as caught:
        load_annotations(path, format, tmp_path)
    assert str(caught.value).isprintable()
    assert "\\x1b[2Jb" in str(caught.value)
