"""Record folders: TFRecord shards with a plan and a manifest, written so that writers can resume.

``plan.json`` is written first and says what the shards will hold. ``manifest.json`` is written
last; it repeats the plan and lists the files with their sizes and SHA-256. So a folder without a
manifest is not finished, and a writer with the same plan can go on filling it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kptkit import files
from kptkit.errors import InputError
from kptkit.reading import differences, read_json

MANIFEST = "manifest.json"
PLAN = "plan.json"

# A TFRecord: content length (8 bytes), its checksum (4), the content, the content's checksum (4).
RECORD_HEAD, RECORD_TAIL = 12, 4

MAKE_AGAIN = "make the records again in another folder"


def fill_folder(
    folder: Path,
    plan: dict[str, Any],
    fill: Callable[[], dict[str, Any]],
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
        interim: glob pattern of files that `fill` needs only until the manifest is written.

    Raises:
        InputError: the folder holds something else, is in use, lacks a file though it is finished,
            or cannot be written, for example because the disk is full.
    """
    try:
        with files.locked(folder):
            manifest = _begin(folder, plan)
            if manifest is None:
                manifest = {"plan": plan} | fill()
                files.write_json(folder / MANIFEST, manifest)
            for path in folder.glob(interim) if interim else ():
                path.unlink()
            return manifest
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; nothing half-written is left") from None


def _begin(folder: Path, plan: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the manifest of a finished folder; otherwise writes the plan and returns None.

    Raises:
        InputError: the folder has another plan, and the difference is shown; it holds other files;
            or a finished folder lacks a file.
    """
    plan = json.loads(json.dumps(plan))  # as it reads back: tuples become lists
    files.remove_unfinished(folder)
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder, plan["format"], plan["version"])
        _check_plan(folder / MANIFEST, manifest["plan"], plan)
        check_files(folder, manifest, verify=False)
        return manifest
    if (folder / PLAN).exists():
        _check_plan(folder / PLAN, read_json(folder / PLAN), plan)
    elif any(path.name != ".lock" for path in folder.iterdir()):
        raise InputError(f"{folder}: holds other files; expected a new or an empty folder")
    files.write_json(folder / PLAN, plan)
    return None


def _check_plan(path: Path, found: Any, wanted: dict[str, Any]) -> None:
    """Raises an InputError if the plan in the file `path` differs from the wanted one."""
    difference = differences(found, wanted)
    if difference:
        raise InputError(
            f"{path}: {'; '.join(difference[:5])}; use the same flags and files, or another folder"
        )


def read_manifest(folder: Path, kind: str, version: int) -> dict[str, Any]:
    """The manifest of a finished folder.

    Args:
        kind: the expected ``format`` of its plan.
        version: the expected ``version`` of its plan.

    Raises:
        InputError: there is no manifest, or its format or version is another.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(
            f"{folder}: no {MANIFEST}, so the records are not finished; run the command that makes "
            "them again, it goes on where it stopped"
        )
    manifest = read_json(path)
    plan = manifest.get("plan", {}) if isinstance(manifest, dict) else {}
    if (plan.get("format"), plan.get("version")) != (kind, version):
        raise InputError(f"{path}: not the manifest of {kind!r}, version {version}; {MAKE_AGAIN}")
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
        if not path.exists():
            raise InputError(f"{path}: missing; {MAKE_AGAIN}")
        found = path.stat().st_size
        if found != entry["bytes"]:
            raise InputError(
                f"{path}: {found} bytes, expected {entry['bytes']}; truncated or altered, "
                f"{MAKE_AGAIN}"
            )
        if (verify or entry in index) and files.sha256(path) != entry["sha256"]:
            raise InputError(f"{path}: altered since it was written; {MAKE_AGAIN}")
