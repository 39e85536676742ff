"""Reads state dicts of PyTorch files as NumPy arrays: the only module that imports PyTorch.

A .pth file is a pickle, which can execute code. It is read with ``weights_only=True``, by an
unpickler that accepts only tensors and plain containers; NumPy arrays of numbers are allowed as
well, because mmpose writes some beside its weights.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kptkit.errors import InputError

# Where training scripts keep the weights in a checkpoint, the averaged or best ones first.
_HOLDERS = ("best_state_dict", "state_dict")
# Name prefixes added by wrappers: DataParallel, and the hourglass's trainer around it.
_WRAPPER = re.compile(r"^(model\.)?module\.")


@dataclass(frozen=True)
class TorchWeights:
    """The content of a PyTorch file."""

    state: dict[str, np.ndarray]
    """Arrays by the name of the parameter or buffer, without wrappers' prefixes."""
    config: str
    """The training configuration that mmpose writes beside the weights, never executed; or ""."""


def read_torch(path: str | os.PathLike) -> TorchWeights:
    """Reads a state dict, bare or inside a larger checkpoint.

    Raises:
        InputError: PyTorch is not installed; or the file is missing, damaged, not a state dict, or
            holds objects that are not plain data.
    """
    path = Path(path)
    try:
        import torch
    except ImportError:
        raise InputError(
            f'{path}: reading it needs PyTorch; run: pip install "kptkit[weights]"'
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with _numbers_allowed(torch):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises exceptions of any kind for foreign files.
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: no PyTorch state dict, or a damaged one ({reason})") from None
    state = _state_of(content)
    if not isinstance(state, dict) or not all(torch.is_tensor(x) for x in state.values()):
        raise InputError(f"{path}: expected a state dict, names and their tensors")
    arrays = {
        str(name): (x.float() if x.is_floating_point() else x).detach().numpy()
        for name, x in state.items()
    }
    if arrays and all(_WRAPPER.match(name) for name in arrays):
        arrays = {_WRAPPER.sub("", name): array for name, array in arrays.items()}
    return TorchWeights(arrays, _config_of(content))


def _state_of(content: Any) -> Any:
    if isinstance(content, dict):
        for holder in _HOLDERS:
            if isinstance(content.get(holder), dict):
                return content[holder]
    return content


def _config_of(content: Any) -> str:
    meta = content.get("meta") if isinstance(content, dict) else None
    if not isinstance(meta, dict):
        return ""
    texts = (meta.get("cfg"), meta.get("config"))  # mmpose 1.x and 0.x
    return next((text for text in texts if isinstance(text, str)), "")


@contextmanager
def _numbers_allowed(torch: Any) -> Iterator[None]:
    """Allows NumPy arrays of numbers, under the names in pickles of NumPy 1 and 2."""
    from numpy._core import multiarray

    reconstruct, scalar = multiarray._reconstruct, multiarray.scalar
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "?")]
    with torch.serialization.safe_globals(
        [
            *(
                (f, f"numpy.{core}.multiarray.{f.__name__}")
                for f in (reconstruct, scalar)
                for core in ("core", "_core")
            ),
            np.ndarray,
            np.dtype,
            *kinds,
        ]
    ):
        yield
