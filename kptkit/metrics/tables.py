"""Markdown tables, of numbers and of text.

Cells may hold foreign text, such as names of keypoints: it is shown as it is, and makes neither
HTML nor links, code or columns.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from kptkit.wording import printable


def decimals(value: float, places: int = 3) -> str:
    """A number with `places` decimals; a dash if it is not finite."""
    return f"{value:.{places}f}" if np.isfinite(value) else "-"


class Code(str):
    """Text of a cell that is shown as code."""


def escaped(text: str) -> str:
    """Text in which Markdown and HTML see nothing but text, also in a table.

    Underscores stay: inside a word, as in left_eye, they mean nothing.
    """
    text = re.sub(r"[\\`*\[\]|~]", r"\\\g<0>", printable(text))
    return text.replace("&", "&amp;").replace("<", "&lt;")


def code(text: str) -> str:
    """Text as code: between more backticks than it has in a row. In a table a bar is escaped."""
    text = printable(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    room = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{room}{text}{room}{fence}".replace("|", "\\|")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table of short cells, padded to the right so that it also reads well as plain text.

    Args:
        rows: the header first; all of the same length.
    """
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * (width - 1) + ":" for width in widths]
    return "\n".join(
        "| " + " | ".join(map(str.rjust, row, widths)) + " |" for row in [rows[0], rule, *rows[1:]]
    )


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells of any length and content, not padded; `Code` cells are shown as code."""

    def shown(cell: str) -> str:
        one_line = str(cell).replace("\n", " ")
        return code(one_line) if isinstance(cell, Code) else escaped(one_line)

    cells = [[shown(cell) for cell in line] for line in (header, *rows)]
    cells.insert(1, ["---"] * len(header))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def one_row(metrics: Mapping[str, float], places: int = 3) -> str:
    """A table of one row: metrics under their names."""
    return markdown([list(metrics), [decimals(value, places) for value in metrics.values()]])


def named_rows(rows: Mapping[str, Mapping[str, float]]) -> str:
    """A table with a row for each name, in the columns of the first one; ints have no decimals."""
    columns = list(next(iter(rows.values()), {}))
    lines = [["", *columns]]
    for name, values in rows.items():
        numbers = [values[column] for column in columns]
        lines.append([name, *(str(n) if isinstance(n, int) else decimals(n) for n in numbers)])
    return markdown(lines)
