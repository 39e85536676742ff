"""Files of named arrays are those of np.savez, with any names; nothing else is read."""

import io
import os
import resource
import struct
import warnings
import zipfile

import numpy as np
import pytest

from kptkit.arrays import read_arrays, save_arrays
from kptkit.errors import InputError
from kptkit.weights.arrays import load_arrays

RNG = np.random.default_rng(0)
ARRAYS = {
    "conv1/kernel": RNG.random((3, 3, 2, 5), np.float32),
    "transposed": RNG.random((4, 6)).T,
    "every other": np.arange(10)[::2],
    "empty": np.zeros((0, 4), np.float32),
    "step": np.array(7),
    "text": np.array("one line"),
}


@pytest.mark.parametrize("names", [(), ("step",), tuple(ARRAYS)])
def test_a_file_has_the_bytes_of_numpys_own(tmp_path, names):
    arrays = {name: ARRAYS[name] for name in names}
    save_arrays(tmp_path / "ours.npz", arrays)
    np.savez(tmp_path / "numpys.npz", **arrays)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "numpys.npz").read_bytes()


@pytest.mark.parametrize("name", ["file", "args", "kwds", "allow_pickle"])
def test_an_array_may_have_the_name_of_an_argument_of_numpys_savez(tmp_path, name):
    save_arrays(tmp_path / "a.npz", {name: ARRAYS["step"]})
    assert load_arrays(tmp_path / "a.npz") == {name: 7}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u8", "U3"])
@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (1,), (2, 3), (2, 1, 3)])
def test_every_type_comes_back_as_it_was(tmp_path, shape, kind, order):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    arrays = {"a": values.astype(order + kind), "b": np.asfortranarray(values.astype(kind))}
    save_arrays(tmp_path / "a.npz", arrays)
    found = read_arrays(tmp_path / "a.npz")
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        found[name][...] = array  # may be written to
    assert read_arrays(tmp_path / "a.npz", only=("b", "c")).keys() == {"b"}


def header(text, version=1):
    """A NumPy header of any text."""
    text = text.encode() + b" " * (118 - len(text) - 1) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text


def archive(*members, compression=zipfile.ZIP_STORED):
    """The bytes of a zip archive of (name, content)."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as made:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


def described(descr="'<f4'", shape="(2,)", fortran="False"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


EIGHT = bytes(8)
GOOD = header(described()) + EIGHT
HOSTILE = {
    "nothing": (b"", "no .npz, or cut off"),
    "text": (b"import os\n" * 20, "no .npz, or cut off"),
    "a comment": (archive(("a.npy", GOOD))[:-2] + b"\x01\x00x", "no .npz, or cut off"),
    "objects": (archive(("a.npy", header(described("'|O'")) + EIGHT)), "a is not one"),
    "any bytes": (archive(("a.npy", header(described("'|V4'")) + EIGHT)), "a is not one"),
    "records": (archive(("a.npy", header(described("[('x', '<f4')]")) + EIGHT)), "a is not one"),
    "complex": (archive(("a.npy", header(described("'<c8'", "(1,)")) + EIGHT)), "a is not one"),
    "version 2": (archive(("a.npy", header(described(), 2) + EIGHT)), "a is not one"),
    "code": (archive(("a.npy", header(described(shape="(2**60,)")) + EIGHT)), "a is not one"),
    "huge": (
        archive(("a.npy", header(described(shape="(2305843009213693952,)")) + EIGHT)),
        "is not one",
    ),
    "wraps": (
        archive(("a.npy", header(described(shape="(4294967296, 4294967297)")) + EIGHT)),
        "by",
    ),
    "negative": (archive(("a.npy", header(described(shape="(-2,)")) + EIGHT)), "a is not one"),
    "40 axes": (archive(("a.npy", header(described(shape="(" + "1, " * 40 + ")")))), "is not one"),
    "empty and vast": (
        archive(("a.npy", header(described(shape=f"(0, {10**17}, {10**17})")))),
        "",
    ),
    "no float": (archive(("a.npy", header(described("'<f1'", "(8,)")) + EIGHT)), ""),
    "long texts": (archive(("a.npy", header(described("'<U999999999'", "(1,)")))), ""),
    "not a text": (archive(("a.npy", header(described("'<U2'", "(1,)")) + b"\xff" * 8)), "no text"),
    "truth": (archive(("a.npy", header(described("'|b1'", "(8,)")) + b"\2" * 8)), "truth values"),
    "too short": (archive(("a.npy", GOOD[:-1])), "other bytes than its shape"),
    "too long": (archive(("a.npy", GOOD + b"x")), "other bytes than its shape"),
    "not an array": (archive(("a.npy", GOOD), ("b.txt", b"")), r"b.txt is not one"),
    "an escape": (archive(("\x1b[31m.txt", b"")), r"\\x1b\[31m.txt is not one"),
    "twice": (archive(("a.npy", GOOD), ("a.npy", GOOD)), "a is there twice"),
    "deflated": (archive(("a.npy", GOOD), compression=zipfile.ZIP_DEFLATED), "compressed"),
    "a bomb": (archive(("a.npy", bytes(1 << 27)), compression=zipfile.ZIP_DEFLATED), "compressed"),
    "bzip2": (archive(("a.npy", GOOD), compression=zipfile.ZIP_BZIP2), "compressed"),
    "many": (archive(*((f"{n}.npy", b"") for n in range(60_000))), "more than 16,384 members"),
    "long names": (archive(*((f"{n:01000}", b"") for n in range(3000))), "more than 16,384"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_file_of_plain_arrays_is_refused_at_once(tmp_path, case):
    content, message = HOSTILE[case]
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=rf"^{path}: damaged, .*{message}") as refused:
        read_arrays(path)
    assert str(refused.value).isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def changed(content, start, what):
    return content[:start] + what + content[start + len(what) :]


def test_sizes_that_contradict_the_file_are_refused(tmp_path):
    """The list of members at the end claims more than there is, or the same bytes twice."""
    content = archive(("a.npy", GOOD), ("b.npy", GOOD))
    first = content.index(b"PK\1\2")
    second = content.index(b"PK\1\2", first + 1)
    spoilt = {
        "huge": changed(content, first + 20, struct.pack("<II", 1 << 31, 1 << 31)),
        "larger": changed(content, first + 20, struct.pack("<II", 700, 700)),
        "same": changed(content, second + 42, struct.pack("<I", 0)),
        "outside": changed(content, second + 42, struct.pack("<I", 1 << 31)),
        "encrypted": changed(content, first + 8, b"\1"),
        "checksum": changed(content, first + 16, b"1234"),
        "directory": changed(content, len(content) - 6, struct.pack("<I", 1 << 31)),
        "64 bits": content[:-22] + b"PK\6\7" + bytes(16) + content[-22:],
    }
    path = tmp_path / "a.npz"
    for case, damaged in spoilt.items():
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.npz: damaged, or not a file"):
            print(case, read_arrays(path))


def test_every_cut_and_flipped_bit_is_found_or_changes_nothing(tmp_path):
    path = tmp_path / "a.npz"
    arrays = {name: ARRAYS[name] for name in ("every other", "step", "text")}
    save_arrays(path, arrays)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    cuts = [content[:length] for length in rng.integers(0, len(content), 200)]
    places = rng.integers(0, 8 * len(content), 2000)
    flips = [changed(content, p // 8, bytes([content[p // 8] ^ 1 << p % 8])) for p in places]
    refused = 0
    for spoilt in cuts + flips:
        path.write_bytes(spoilt)
        try:
            found = read_arrays(path)
        except InputError:
            refused += 1
            continue
        # Such as the time of a member.
        assert found.keys() == arrays.keys()
        assert all((found[name] == arrays[name]).all() for name in arrays)
    assert refused > 1500


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing", "/dev/zero"):
        with pytest.raises(InputError, match=r"expected an \.npz file of arrays"):
            read_arrays(path)
