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
