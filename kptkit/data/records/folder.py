"""Record folders: TFRecord shards with a plan and a manifest, written so that writers can resume.

``plan.json`` is written first and says what the shards will hold. ``manifest.json`` is written
last; it repeats the plan and lists the files with their sizes and SHA-256. So a folder without a
manifest is not finished, and a writer with the same plan can go on filling it.
"""

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kptkit import files
from kptkit.checks import check_range
from kptkit.errors import InputError
from kptkit.reading import differences
from kptkit.sealed import as_read, convert, read_sealed, write_sealed

MANIFEST = "manifest.json"
PLAN = "plan.json"

# A TFRecord: content length (8 bytes), its checksum (4), the content, the content's checksum (4).
RECORD_HEAD, RECORD_TAIL = 12, 4

MAKE_AGAIN = "make the records again in another folder"

# More than any file system holds.
MOST_BYTES = 1 << 60
_SHARD = re.compile(r"[a-z]{1,20}-\d{5,6}-of-\d{5,6}\.tfrecord|index\.npz")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """What a manifest says about a file."""

    file: str
    """A name; never a path, which could lead out of the folder."""
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not _SHARD.fullmatch(self.file):
            raise InputError(f"file: {self.file!r}; expected the name of a shard or index.npz")
        check_range("bytes", self.bytes, 0, MOST_BYTES, whole=True)
        if not _SHA256.fullmatch(self.sha256):
            raise InputError(f"sha256: {self.sha256!r}; expected 64 hexadecimal digits")


class Manifest:
    """Base of the dataclasses that the manifests of record folders are converted to."""

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]


def fill_folder(
    folder: Path,
    plan: dict[str, Any],
    fill: Callable[[], dict[str, Any]],
    kind: type[Manifest],
    interim: str | None = None,
) -> dict[str, Any]:
    """Fills a record folder, or goes on filling it; returns its manifest.

    If the folder is finished already, nothing is written.

    Args:
        folder: a new or empty folder, or one with the same plan.
        plan: everything that decides what the shards hold, as JSON takes it; among it ``format``
            and ``version``. It becomes the manifest's ``plan``.
        fill: writes the missing files, and returns the other entries of the manifest; among them
            ``shards`` and, if there is an index, ``index``, as `file_entry` gives them.
        kind: the manifest as a dataclass.
        interim: glob pattern of files that `fill` needs only until the manifest is written.

    Raises:
        InputError: the folder holds something else, is in use, lacks a file though it is finished,
            or cannot be written, for example because the disk is full.
    """
    with files.locked(folder), files.writing(folder):
        manifest = _begin(folder, plan, kind)
        if manifest is None:
            manifest = as_read({"plan": plan} | fill())
            convert(manifest, kind, str(folder / MANIFEST), MAKE_AGAIN)
            write_sealed(folder / MANIFEST, manifest)
        for path in folder.glob(interim) if interim else ():
            path.unlink()
        return manifest


def _begin(folder: Path, plan: dict[str, Any], kind: type[Manifest]) -> dict[str, Any] | None:
    """Returns the manifest of a finished folder; otherwise writes the plan and returns None.

    Raises:
        InputError: the folder has another plan, and the difference is shown; it holds other files;
            or a finished folder lacks a file.
    """
    plan = as_read(plan)
    files.remove_unfinished(folder)
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder, kind)
        _check_plan(folder / MANIFEST, manifest["plan"], plan)
        check_files(folder, manifest, verify=False)
        return manifest
    if (folder / PLAN).exists():
        _check_plan(folder / PLAN, read_sealed(folder / PLAN, MAKE_AGAIN), plan)
    elif any(path.name != ".lock" for path in folder.iterdir()):
        raise InputError(f"{folder}: holds other files; expected a new or an empty folder")
    write_sealed(folder / PLAN, plan)
    return None


def _check_plan(path: Path, found: Any, wanted: dict[str, Any]) -> None:
    """Raises an InputError if the plan in the file `path` differs from the wanted one."""
    difference = differences(found, wanted)
    if difference:
        raise InputError(
            f"{path}: {'; '.join(difference[:5])}; use the same flags and files, or another folder"
        )


def read_manifest(folder: Path, kind: type[Manifest]) -> dict[str, Any]:
    """The manifest of a finished folder, after `kind` has checked its values.

    Raises:
        InputError: there is no manifest, its format or version is another, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(
            f"{folder}: no {MANIFEST}, so the records are not finished; run the command that makes "
            "them again, it goes on where it stopped"
        )
    manifest = read_sealed(path, MAKE_AGAIN)
    plan = manifest.get("plan")
    found = (plan.get("format"), plan.get("version")) if isinstance(plan, dict) else None
    if found != (kind.FORMAT, kind.VERSION):
        raise InputError(
            f"{path}: not the manifest of {kind.FORMAT!r}, version {kind.VERSION}; {MAKE_AGAIN}"
        )
    convert(manifest, kind, str(path), MAKE_AGAIN)
    return manifest


def file_entry(path: Path) -> dict[str, Any]:
    """What a manifest says about a file: its name, size in bytes and SHA-256."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": files.sha256(path)}


def check_files(folder: Path, manifest: dict[str, Any], verify: bool) -> None:
    """Compares the names and sizes of a folder's files with its manifest.

    Args:
        manifest: its ``shards`` and, if present, ``index`` are as `file_entry` gives them.
        verify: whether to compare the SHA-256 of the shards too, which reads all of them. That of
            the index is always compared.

    Raises:
        InputError: a file is missing, not listed, truncated or altered; the message names it.
    """
    index = [manifest["index"]] if "index" in manifest else []
    listed = {shard["file"] for shard in manifest["shards"]}
    for path in sorted(folder.glob("*.tfrecord")):
        if path.name not in listed:
            raise InputError(f"{path}: not in {MANIFEST}; remove it, it belongs to another run")
    for entry in (*index, *manifest["shards"]):
        path = folder / entry["file"]
        found = regular_size(path)
        if found is None:
            raise InputError(f"{path}: missing, or not a regular file; {MAKE_AGAIN}")
        if found != entry["bytes"]:
            raise InputError(
                f"{path}: {found} bytes, expected {entry['bytes']}; truncated or altered, "
                f"{MAKE_AGAIN}"
            )
        if (verify or entry in index) and files.sha256(path) != entry["sha256"]:
            raise InputError(f"{path}: altered since it was written; {MAKE_AGAIN}")


def regular_size(path: Path) -> int | None:
    """The size in bytes of a regular file; None for anything else, links among them."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def reason_of(error: Exception) -> str:
    """Why TensorFlow could not write, without the name of the unfinished file."""
    message = str(getattr(error, "message", error))
    return message.rpartition("; ")[2] if files.UNFINISHED_PREFIX in message else message
