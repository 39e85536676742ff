"""Weights as files of named arrays: reading, writing, and assigning them to networks.

`kptkit.weights.load` is the earlier name of `kptkit.load`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kptkit.opener import load

__all__ = ["load"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # The opener imports this package, so it is imported here only on access.
        if name == "load":
            from kptkit.opener import load

            return load
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
