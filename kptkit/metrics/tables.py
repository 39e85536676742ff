"""Numbers as Markdown tables that are aligned as plain text too."""

from collections.abc import Mapping, Sequence

import numpy as np


def decimals(value: float, places: int = 3) -> str:
    """So many decimals; a dash for what is unknown."""
    return f"{value:.{places}f}" if np.isfinite(value) else "-"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts as a table, to the right in their columns; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * (width - 1) + ":" for width in widths]
    return "\n".join(
        "| " + " | ".join(map(str.rjust, row, widths)) + " |" for row in [rows[0], rule, *rows[1:]]
    )


def one_row(metrics: Mapping[str, float], places: int = 3) -> str:
    """Metrics under their names."""
    return markdown([list(metrics), [decimals(value, places) for value in metrics.values()]])


def named_rows(rows: Mapping[str, Mapping[str, float]]) -> str:
    """One row for each name; the columns are those of the first row. Counts are whole numbers."""
    columns = list(next(iter(rows.values()), {}))
    lines = [["", *columns]]
    for name, values in rows.items():
        numbers = [values[column] for column in columns]
        lines.append([name, *(str(n) if isinstance(n, int) else decimals(n) for n in numbers)])
    return markdown(lines)
