"""Weights as files of named arrays: reading, writing, and assigning them to networks.

`kptkit.weights.load` is the earlier name of `kptkit.load`.
"""

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # The opener imports this package, so it is imported here only on access.
    if name == "load":
        from kptkit.opener import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
