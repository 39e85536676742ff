"""Changes of sound annotation files: of their bytes, their lines and words, or their JSON."""

import copy
import json
from typing import Any

import numpy as np

# What a number, text or list may be by mistake.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e-9, 1e6, 1e7, 1e300, -1e300, 2**31, 2**63, 10**400),
    *(float("nan"), float("inf"), float("-inf"), "", "0", "12", "nan", "../x.png", "/etc/passwd"),
    *("\x1b[31mred\x1b[0m", "a\nb", "a\rb", "nul\0", "\u202etxt", "\u2028", "\ud800", "\xe9\u4e2d"),
    *([], [[]], {}, [0] * 51, [None] * 4, {"id": 1}, "x" * 5000, "<b>&", "1.png", "%s%n", "{0}"),
)
WORDS = (
    *("", "0", "-1", "1e309", "nan", "inf", "-0", "1e6", "1_0", "0x10", "\u0661", "1,5", "--", "#"),
    *("99999999999999999999", "9" * 5000, "\x1b[2J", "\0", "\u2028", "\x85", "\u202e", "..", "/"),
    *("\\..\\", "1.png", "3.png", "'", "<!DOCTYPE a>", "&lt;", "]]>", "{", "}", "\ud7ff", "10 10"),
)
BYTES = (
    b"\xff",
    b"\0",
    b"\x1b",
    b"\r",
    b"\n",
    b"\xe9",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x92\xa9",
)


def mutate(name: str, content: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes of a file's content, mostly one: a file with more is seldom read."""
    ways = [bytes_changed, bytes_changed, whole_changed]
    if name.endswith(".json"):
        ways += [json_changed] * 12
    elif not name.endswith(".mat"):
        ways += [words_changed] * 4 + [lines_changed] * 2
    for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
        content = ways[int(rng.integers(len(ways)))](content, rng)
    return content


def bytes_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Flips bits, or cuts out, doubles or puts in a piece."""
    if not content:
        return content
    data, at = bytearray(content), int(rng.integers(len(content)))
    stop = at + int(rng.integers(1, 40))
    way = int(rng.integers(5))
    if way == 0:
        for place in rng.integers(0, len(data), int(rng.integers(1, 9))):
            data[int(place)] ^= 1 << int(rng.integers(8))
    elif way == 1:
        del data[at:stop]
    elif way == 2:
        data[at:at] = data[at:stop]
    elif way == 3:
        data[at:at] = BYTES[int(rng.integers(len(BYTES)))]
    else:
        data[at:stop] = bytes(rng.integers(0, 256, stop - at, np.uint8))
    return bytes(data)


def whole_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Cuts the file, or changes its line ends or encoding."""
    way = int(rng.integers(7))
    if way == 0:
        return content[: int(rng.integers(len(content) + 1))]
    if way == 1:
        return b"\xef\xbb\xbf" + content
    if way == 2:
        return content.replace(b"\n", b"\r\n")
    if way == 3:
        return content.replace(b"\n", b"\r")
    if way == 4:
        return content.decode("utf-8", "replace").encode("utf-16")
    if way == 5:
        return content.replace(b"png", "p\xe9g".encode("latin-1"))
    return content + content


def words_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Replaces a word of a text."""
    text = content.decode("utf-8", "surrogateescape")
    words = text.replace("'", " ' ").split(" ") if rng.random() < 0.5 else text.split(" ")
    words[int(rng.integers(len(words)))] = WORDS[int(rng.integers(len(WORDS)))]
    return " ".join(words).replace(" ' ", "'").encode("utf-8", "surrogateescape")


def lines_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Drops, doubles, swaps or empties lines of a text."""
    lines = content.split(b"\n")
    a, b = (int(place) for place in rng.integers(0, len(lines), 2))
    way = int(rng.integers(4))
    if way == 0:
        del lines[a]
    elif way == 1:
        lines.insert(b, lines[a])
    elif way == 2:
        lines[a], lines[b] = lines[b], lines[a]
    else:
        lines[a] = b" \t "
    return b"\n".join(lines)


def json_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Replaces, removes, doubles, swaps or nests a value of a JSON document."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return bytes_changed(content, rng)
    places = list(_places(document))
    if not places:
        return content
    inside, key = places[int(rng.integers(len(places)))]
    other, other_key = places[int(rng.integers(len(places)))]
    way = int(rng.integers(10))
    if way <= 2:
        inside[key] = copy.deepcopy(ODD[int(rng.integers(len(ODD)))])
    elif way == 3:
        del inside[key]
    elif way == 4:
        if isinstance(inside, list):
            inside.insert(key, copy.deepcopy(inside[key]))
        else:
            inside[f"{key}2"] = inside.pop(key)
    elif way == 5:
        inside[key], other[other_key] = copy.deepcopy((other[other_key], inside[key]))
    elif way == 6:
        inside[key] = [inside[key]] if rng.random() < 0.5 else {"a": inside[key]}
    elif type(inside[key]) in (int, float):
        inside[key] *= float(rng.choice([-1, 0, 1e-3, 0.5, 0.99, 1.01, 1.5, 2, 1e3, 1e30]))
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _places(document: Any) -> Any:
    """Every place of a document: the list or object it is in, and its index or key."""
    if isinstance(document, dict | list):
        keys = document.keys() if isinstance(document, dict) else range(len(document))
        for key in keys:
            yield document, key
            yield from _places(document[key])
