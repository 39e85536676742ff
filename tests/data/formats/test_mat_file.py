import random

import numpy as np
import pytest
from scipy.io import loadmat
from support.mat_structs import mat_bytes, struct_array

from kptkit.data.formats import mat_file
from kptkit.data.formats.mat_file import read_mat, read_numbers, read_structs
from kptkit.errors import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.mat"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.mat: empty; expected numbers"),
        (b"   ", "x.mat: empty; expected numbers"),
        (b"<html></html>" * 30, "x.mat: not a MATLAB file of version 5 to 7; expected numbers"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "version 7.3; expected numbers of version 7"),
        (b"MATLAB 7.3 MAT-file" + bytes(600), "version 7.3"),
        (mat_bytes()[:128], "x.mat: no variable 'a'; expected numbers"),
        (mat_bytes(other=np.zeros(3)), "x.mat: no variable 'a'; expected numbers"),
        (mat_bytes(a=np.arange(999.0))[:200], "x.mat: broken; expected numbers; is the file cut"),
        (mat_bytes(a=struct_array({"x": 1.0})), "x.mat: a: a struct; expected numbers"),
        (mat_bytes(a="text"), "x.mat: a: a text; expected numbers"),
        (mat_bytes(a=np.array([[1, "b"]], object)), "x.mat: a: a cell; expected numbers"),
        (mat_bytes(a=np.array([1j])), "x.mat: a: complex numbers; expected numbers"),
    ],
)
def test_what_is_no_such_file_is_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_numbers(path, "a", "numbers")


def test_no_file(path):
    with pytest.raises(InputError, match=r"x.mat: No such file or directory; expected numbers"):
        read_numbers(path, "a", "numbers")
    with pytest.raises(InputError, match="not a regular file"):
        read_numbers(path.parent, "a", "numbers")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        np.zeros((0, 3)),
        np.array([[1.5]]),
        np.arange(24.0).reshape(2, 3, 4) / 7,
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.array([[-3, 40000]], np.int32),
        np.array([[0.1, np.nan, 1e15]], np.float32),
        np.array([[True, False]]),
        np.array([[2**40]], np.int64),
    ],
    ids=str,
)
def test_numbers_are_those_that_scipy_reads(path, compress, value):
    path.write_bytes(mat_bytes(compress, before=np.ones(9), a=value, behind="b"))
    found = read_numbers(path, "a", "numbers")
    expected = loadmat(path)["a"].astype(np.float64)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_numbers_of_the_other_byte_order(path):
    header = mat_bytes()[:124] + b"\x01\x00MI"
    words = [14, 8 * 8, 6, 8, 6, 0, 5, 8, 1, 2]
    matrix = b"".join(word.to_bytes(4, "big") for word in words)
    matrix += b"\x00\x01\x00\x01a\0\0\0" + np.array([9, 16], ">u4").tobytes()
    matrix += np.array([1.5, -2], ">f8").tobytes()
    path.write_bytes(header + matrix)
    assert read_numbers(path, "a", "numbers").tolist() == loadmat(path)["a"].tolist() == [[1.5, -2]]


def test_a_small_file_that_decompresses_to_a_large_one_is_refused(path, monkeypatch):
    path.write_bytes(mat_bytes(large=np.zeros(900_000), a=np.zeros(100_000)))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(mat_file, "_MAX_DECOMPRESSED_BYTES", 700_000)
    with pytest.raises(InputError, match=r"x.mat: decompresses to more than 700,000 bytes"):
        read_mat(path, "a", "numbers")
    # Variables that are not requested are not decompressed.
    monkeypatch.setattr(mat_file, "_MAX_DECOMPRESSED_BYTES", 900_000)
    assert read_numbers(path, "a", "numbers").size == 100_000


def test_what_decompresses_to_a_thousand_times_its_size_is_refused(path):
    path.write_bytes(mat_bytes(a=np.zeros(80 << 20, np.uint8)))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"x.mat: decompresses to more than 67,108,864 bytes"):
        read_mat(path, "a", "numbers")


def test_more_numbers_than_any_list_has_are_refused(path):
    path.write_bytes(mat_bytes(False, a=np.zeros((1 << 24) + 1, np.uint8)))
    with pytest.raises(InputError, match=r"x.mat: a: more than 16,777,216 numbers"):
        read_numbers(path, "a", "numbers")


@pytest.mark.parametrize("value", [1.1e15, -1e300, 2.0**63, np.inf, -np.inf])
def test_vast_numbers_are_refused(path, value):
    path.write_bytes(mat_bytes(a=np.array([[1, np.nan], [value, 1e15]])))
    with pytest.raises(InputError, match=r"x.mat: a: .*; expected numbers up to 1e\+15"):
        read_numbers(path, "a", "numbers")


def test_false_sizes_take_no_memory(path):
    valid = mat_bytes(False, a=struct_array({"x": 1.0}, {"x": 2.0}))
    place = valid.index((2).to_bytes(4, "little"), 128 + 32)
    assert valid[place - 4 : place] == (1).to_bytes(4, "little")  # 1 x 2 structs
    path.write_bytes(valid[:place] + (2**31 - 1).to_bytes(4, "little") + valid[place + 4 :])
    with pytest.raises(InputError, match=r"x.mat: a: broken"):
        read_structs(path, "a", "structs")


@pytest.mark.parametrize("compress", [False, True])
def test_broken_bytes_give_one_line(path, compress):
    """600 files with a few changed or missing bytes raise no other exception than InputError."""
    valid = mat_bytes(compress, a=struct_array({"x": 1.0, "name": "b.jpg"}, {"x": 2.0}))
    rng = random.Random(0)
    refused = 0
    for _ in range(600):
        content = bytearray(valid)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(124, len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.choice([len(content), rng.randint(100, len(content))])])
        try:
            for element in read_structs(path, "a", "structs"):
                element.number("x")
                element.text("name")
        except InputError as error:
            refused += "\n" not in str(error)
    assert refused == 600  # the second element has no name


def test_fields_of_structs(path):
    path.write_bytes(
        mat_bytes(
            a=struct_array(
                {"x": 3, "name": "b\xe9.jpg", "inner": struct_array({"y": 1.5}), "two": [1, 2]},
                {"name": np.array([["c"]], object)},
            )
        )
    )
    first, second = read_structs(path, "a", "structs")
    assert first.where == "a(1)"
    assert first.number("x") == 3
    assert first.text("name") == "b\xe9.jpg"
    assert first.numbers("two").tolist() == [[1, 2]]
    assert first.field("nothing") is None
    (inner,) = first.structs("inner")
    assert inner.where == "a(1).inner"
    assert inner.number("y") == 1.5
    assert second.field("x") is None
    assert second.structs("inner") == []
    faults = {
        r"a\(2\)\.x: missing or empty; expected a number$": lambda: second.number("x"),
        r"a\(1\)\.nothing: missing or empty; expected a text$": lambda: first.text("nothing"),
        r"a\(1\)\.two: 2 numbers; expected 1 number$": lambda: first.number("two"),
        r"a\(1\)\.name: a text; expected numbers$": lambda: first.numbers("name"),
        r"a\(1\)\.x: numbers; expected a text$": lambda: first.text("x"),
        r"a\(2\)\.name: a cell; expected a text$": lambda: second.text("name"),
        r"a\(1\)\.x: numbers; expected a struct$": lambda: first.structs("x"),
    }
    for message, call in faults.items():
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("kind", [3, 16, 17])
def test_objects_and_functions_are_not_read(path, kind):
    valid = mat_bytes(False, a=struct_array({"x": 1.0}))
    place = 128 + 8 + 8
    assert valid[place] == 2  # a struct's class
    path.write_bytes(valid[:place] + bytes([kind]) + valid[place + 1 :])
    for read in (read_numbers, read_structs):
        with pytest.raises(InputError, match=r"x.mat: a: a MATLAB object, which is not read"):
            read(path, "a", "numbers")


@pytest.mark.parametrize("compress", [False, True])
def test_cells(path, compress):
    value = np.empty((2, 2), object)
    value[:] = [["a", np.arange(3)], [np.zeros((0, 4)), np.empty((0, 1), object)]]
    path.write_bytes(mat_bytes(compress, a=value, b=np.zeros((0, 0)), c=1.0))
    text, empty, numbers, inner = read_mat(path, "a", "cells").cells()
    assert (text.where, inner.where) == ("a{1}", "a{4}")
    assert text.text() == "a"
    assert empty.is_empty
    assert numbers.numbers().tolist() == [[0, 1, 2]]
    assert inner.cells() == read_mat(path, "b", "cells").cells() == []
    with pytest.raises(InputError, match=r"^c: numbers; expected a cell$"):
        read_mat(path, "c", "cells").cells()


def test_no_structs(path):
    path.write_bytes(mat_bytes(a=np.zeros((0, 0))))
    with pytest.raises(InputError, match=r"x.mat: a: empty; expected structs"):
        read_structs(path, "a", "structs")
