"""Words become the fields of a dataclass."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from kptkit.errors import InputError
from kptkit.fields import AllFlat, Flat, Named, Needs, Positional, Range, Repeated, Without
from kptkit.options.parse import build, parse


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Range(0, 1, above=True)] = 0.5
    deep: bool = False

    def __post_init__(self):
        if self.share == 0.25:
            raise InputError("share: 0.25; expected another")


@dataclass(frozen=True)
class Config:
    names: Positional[tuple[str, ...]] = ()
    size_wh: tuple[int, int] = (3, 4)
    mode: Literal["b", "a"] | Literal["c"] = "b"
    box: tuple[float, ...] | None = None
    paths: Repeated[tuple[Path, ...]] = ()
    sure: bool | None = None
    project: Annotated[str, Named("from")] = ""
    inner: Inner = Inner()
    own: Flat[Inner] = Inner()
    pair: Annotated[int, Needs("sure", "mode=c"), Without("box")] = 0


def parsed(line, config=Config, default=None):
    found = parse(line.split(), config, "kptkit x", default)
    return build(found, config, default)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Config()),
        ("one two", Config(names=("one", "two"))),
        ("one --mode c two", Config(names=("one", "two"), mode="c")),
        ("-- --mode -x", Config(names=("--mode", "-x"))),
        ("--size-wh 5 -6", Config(size_wh=(5, -6))),
        ("--size_wh 5 6", Config(size_wh=(5, 6))),
        ("--mode=a --mode c", Config(mode="c")),
        ("--box -1 -.5 1e3 --mode a", Config(box=(-1.0, -0.5, 1000.0), mode="a")),
        ("--paths a --paths b", Config(paths=(Path("a"), Path("b")))),
        ("--paths a b", Config(paths=(Path("a"),), names=("b",))),
        ("--sure", Config(sure=True)),
        ("--no-sure", Config(sure=False)),
        ("--sure False one", Config(sure=False, names=("one",))),
        ("--from here", Config(project="here")),
        ("--inner.share 1 --inner.deep", Config(inner=Inner(1.0, True))),
        ("--inner.no-deep --deep", Config(own=Inner(deep=True))),
        ("--pair 1 --sure", Config(pair=1, sure=True)),
        ("--pair 1 --mode c", Config(pair=1, mode="c")),
    ],
)
def test_what_is_said(line, expected):
    assert parsed(line) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--size-wh 5", "--size-wh 5: expected 2 values: INTEGER INTEGER"),
        ("--size-wh 5 x", "--size-wh x: expected a whole number"),
        ("--mode d", "--mode d: expected one of b, a, c"),
        ("--sure=perhaps", "--sure=perhaps: expected --sure or --no-sure"),
        ("--inner.share 0", "--inner.share 0: expected a number, above 0, at most 1"),
        ("--inner.share inf", "--inner.share inf: expected a number"),
        ("--share 0.25", "--share: 0.25; expected another"),
        ("--inner.share 0.25", "--inner.share: 0.25; expected another"),
        ("--mdoe a", "--mdoe: no such flag of kptkit x; did you mean --mode?"),
        ("--pair 1", "--pair: has no effect without --sure or --mode c; give both or neither"),
        ("--pair 0", "--pair: has no effect without --sure or --mode c; give both or neither"),
        ("--pair 1 --sure --box 1", "--pair: has no effect beside --box; give one of the two"),
    ],
)
def test_what_is_refused(line, message):
    with pytest.raises(InputError) as refused:
        parsed(line)
    assert str(refused.value) == message


@dataclass(frozen=True)
class Required:
    file: Positional[Path]
    inner: AllFlat[Config]
    out: Path


def test_defaults_of_an_instance_and_what_has_none():
    start = Required(Path("f"), Config(mode="a", inner=Inner(0.75)), Path("o"))
    assert parsed("", Required, start) == start
    changed = parsed("g --mode c --deep", Required, start)
    assert (changed.file, changed.inner.mode, changed.inner.inner.share) == (Path("g"), "c", 0.75)
    with pytest.raises(InputError, match="FILE and --out not given; kptkit x --help lists"):
        parsed("--mode c", Required)
