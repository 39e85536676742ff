"""Weights as files of named arrays: read, written, put into networks.

`kptkit.weights.load` is `kptkit.load`, by the name it had first.
"""

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # The opener imports this package, so this package may import it only when it is asked for.
    if name == "load":
        from kptkit.opener import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
