"""Markdown tables: cells aligned, numbers rounded, and text that cannot break a row."""

import numpy as np

from kptkit.metrics import tables


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
    rows = [["a|b", "two\nlines"], ["`images`", 7]]
    assert tables.text_table(["", "unit"], rows).splitlines()[2:] == [
        "| a\\|b | two lines |",
        "| `images` | 7 |",
    ]
