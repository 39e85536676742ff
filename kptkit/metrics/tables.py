"""Markdown tables, of numbers and of text."""

from collections.abc import Mapping, Sequence

import numpy as np


def decimals(value: float, places: int = 3) -> str:
    """A number with `places` decimals; a dash if it is not finite."""
    return f"{value:.{places}f}" if np.isfinite(value) else "-"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table of short cells, padded to the right so that it also reads well as plain text.

    Args:
        rows: the header first; all of the same length.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * (width - 1) + ":" for width in widths]
    return "\n".join(
        "| " + " | ".join(map(str.rjust, row, widths)) + " |" for row in [rows[0], rule, *rows[1:]]
    )


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells of any length and content, not padded."""
    lines = [header, ["---"] * len(header), *rows]
    # A bar or a line break in a cell would break the table.
    cells = [[str(c).replace("|", "\\|").replace("\n", " ") for c in line] for line in lines]
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
