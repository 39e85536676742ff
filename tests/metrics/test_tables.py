"""Markdown tables: cells aligned, numbers rounded, and text that cannot break a row."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from kptkit.metrics import tables
from kptkit.wording import printable


def test_rows_are_aligned():
    assert tables.named_rows({}) == "|  |\n| : |"
    rows = {"a": {"faces": 12, "AP": 0.51234}, "long": {"faces": 3, "AP": np.nan}}
    assert tables.named_rows(rows).splitlines() == [
        "|      | faces |    AP |",
        "| ---: | ----: | ----: |",
        "|    a |    12 | 0.512 |",
        "| long |     3 |     - |",
    ]


def test_one_row():
    assert tables.one_row({}).splitlines() == ["|  |", "|  |", "|  |"]
    metrics = {"AP": 0.74449, "AP50": 1.0, "APM": np.nan}
    assert tables.one_row(metrics).splitlines() == [
        "|    AP |  AP50 | APM |",
        "| ----: | ----: | --: |",
        "| 0.744 | 1.000 |   - |",
    ]
    assert "0.7445 | 1.0000 |   - |" in tables.one_row(metrics, places=4)


def test_text_keeps_to_its_cell():
    assert tables.text_table(["", "unit"], []) == "|  | unit |\n| --- | --- |"
    rows = [["a|b", "two\nlines"], [tables.Code("images"), 7]]
    assert tables.text_table(["", "unit"], rows).splitlines()[2:] == [
        "| a\\|b | two lines |",
        "| `images` | 7 |",
    ]


# Names that mean something to Markdown, HTML, a terminal or a table, and ordinary ones.
FOREIGN = [
    "",
    "left_eye",
    "linkes Auge (äußerer Winkel)",
    "<script>alert(1)</script>",
    "</td><img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "a|b",
    "a\\|b",
    "`code` ``more`` `",
    "``",
    "](http://x) [y](javascript:z)",
    "![picture](http://x)",
    "**bold** ~~gone~~ *a*",
    "quote\"s 'and' more",
    "ends with \\",
    "two\nlines",
    "\x1b[31mred",
    "\u202eturned",
]


@pytest.mark.parametrize("text", FOREIGN)
def test_foreign_text_is_nothing_but_text(text):
    """As a reader of Markdown shows it, in a table of each kind."""
    markdown_it = pytest.importorskip("markdown_it")
    shown = printable(text.replace("\n", " "))
    padded, header = printable(text), ["name", "number"]
    for table, expected in (
        (tables.text_table(header, [[text, "1"], [tables.Code(text or "x"), "2"]]), shown),
        (tables.markdown([header, [text, "1"]]), padded),
    ):
        page = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(table)
        rows = ElementTree.fromstring(page).findall("tbody/tr")
        for row in rows:
            cells = row.findall("td")
            assert len(cells) == 2
            assert [child.tag for cell in cells for child in cell] in ([], ["code"])
        assert "".join(rows[0][0].itertext()) == expected
        if len(rows) > 1:
            assert "".join(rows[1][0].itertext()) == (shown or "x")


@pytest.mark.parametrize("text", FOREIGN)
def test_foreign_text_has_no_marks(text):
    cell = tables.escaped(text)
    assert "<" not in cell
    assert cell.isprintable()
    assert not set("|`*[]~") & set(re.sub(r"\\.", "", cell))
    assert tables.markdown([[text], [text]]).count("\n") == 2
