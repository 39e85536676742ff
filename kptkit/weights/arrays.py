"""Weights files: named arrays (`kptkit.arrays`), their checksum and their card.

Published weights have their SHA-256 beside them, in ``FILE.sha256`` as `sha256sum` writes it, and a
card (`kptkit.weights.card`) among their arrays.
"""

import hashlib
import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from kptkit.arrays import read_arrays, save_arrays
from kptkit.errors import InputError
from kptkit.files import sha256, write_text
from kptkit.reading import refuse_foreign
from kptkit.weights.card import WeightsCard

# The name of the array that holds the card, as JSON.
CARD = "card.json"


def publish_arrays(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], card: WeightsCard | None = None
) -> None:
    """As `save_arrays`; adds the card to the arrays and writes the file's SHA-256 beside it."""
    path = Path(path)
    # Removed first, so that a process killed in between leaves no wrong checksum.
    _sidecar(path).unlink(missing_ok=True)
    save_arrays(path, arrays | ({CARD: np.array(card.to_json())} if card else {}))
    write_text(_sidecar(path), f"{sha256(path)}  {path.name}\n")


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def load_arrays(
    path: str | os.PathLike, only: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Reads the arrays of a weights file, see `kptkit.arrays.read_arrays`.

    Args:
        only: names of the arrays to read, those of them that are there; default: all.

    Raises:
        InputError: as `read_arrays`, or the file is of another framework or does not match the
            checksum beside it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such weights file")
    if path.is_file():  # anything else is refused below, without opening it
        refuse_foreign(path)
        _check_sha256(path)
        if not zipfile.is_zipfile(path):
            raise InputError(
                f"{path}: not an .npz weights file, or a truncated one; those of other projects "
                "are converted by kptkit convert"
            )
    return read_arrays(path, only)


def _check_sha256(path: Path) -> None:
    """Compares a file with its checksum, if it has one."""
    sidecar = _sidecar(path)
    if not sidecar.is_file():
        return
    with open(sidecar, "rb") as file:
        expected = file.read(1000).split()
    found = sha256(path).encode()
    if not expected or expected[0].lower() != found:
        raise InputError(
            f"{path}: its SHA-256 is {found.decode()}, not that of {sidecar.name}; one of the two "
            "was damaged or changed, make or copy both again"
        )


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """A SHA-256 of named arrays in their order, independent of the file they are in."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    return digest.hexdigest()


def read_card(path: Path) -> WeightsCard | None:
    """The card of a weights file, without its other arrays; None if there is none.

    Raises:
        InputError: as `load_arrays`, or the card was not written by kptkit.
    """
    return take_card(load_arrays(path, only=(CARD,)), path)


def take_card(arrays: dict[str, np.ndarray], path: Path) -> WeightsCard | None:
    """Removes the card from a file's arrays and returns it; None if there is none."""
    card = arrays.pop(CARD, None)
    if card is None:
        return None
    if card.dtype.kind != "U" or card.ndim:
        raise InputError(f"{path}: {CARD}: expected a text; convert the weights again")
    return WeightsCard.from_json(str(card), str(path))
