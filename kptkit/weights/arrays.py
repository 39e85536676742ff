"""Named arrays in one `.npz` file: no executable content, checksums over every bit.

The zip container carries a CRC of each array, so a truncated or altered file is refused. Published
weights have their SHA-256 beside them, in ``FILE.sha256`` as `sha256sum` writes it, and a card
(`kptkit.weights.card`) among their arrays.
"""

import hashlib
import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from kptkit.errors import InputError
from kptkit.files import publish_file, sha256, write_text
from kptkit.reading import refuse_foreign
from kptkit.weights.card import WeightsCard

# The name of the array that holds the card, as JSON.
CARD = "card.json"
# What NumPy raises for damaged files; MemoryError: a header declares a huge shape.
_DAMAGES = (ValueError, OSError, EOFError, KeyError, RuntimeError, MemoryError)


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Publishes named arrays at `path`."""
    # Not by np.savez, whose own arguments, such as `file`, are names that no array may have.
    with publish_file(path) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


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
    """Reads named arrays; refuses objects (pickles), and arrays larger than the file itself.

    Args:
        only: names of the arrays to read, those of them that are there; default: all.

    Raises:
        InputError: the file is missing, truncated or altered, is not an `.npz` of plain arrays, or
            does not match the checksum beside it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    refuse_foreign(path)
    _check_sha256(path)
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: not an .npz weights file, or a truncated one; those of other projects are "
            "converted by kptkit convert"
        )
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            members = archive.zip.infolist()
            if any(x.compress_type != zipfile.ZIP_STORED for x in members):
                raise ValueError("it is compressed")
            if sum(x.file_size for x in members) > path.stat().st_size:
                raise ValueError("it claims more than it holds")
            names = [name for name in archive.files if only is None or name in only]
            arrays = {name: archive[name] for name in names}
    except (*_DAMAGES, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: damaged, or not a file of plain arrays ({error})") from None
    # NumPy returns zip members that are not arrays as bytes.
    foreign = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if foreign:
        raise InputError(f"{path}: not a file of plain arrays ({foreign[0]} is not one)")
    return arrays


def _check_sha256(path: Path) -> None:
    """Compares a file with its checksum, if it has one."""
    sidecar = _sidecar(path)
    if not sidecar.is_file():
        return
    expected, found = sidecar.read_bytes().split(), sha256(path).encode()
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
    return None if card is None else WeightsCard.from_json(str(card), str(path))
