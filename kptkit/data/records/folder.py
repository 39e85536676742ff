"""Folders of shards that are finished or can be filled on: plan, files and manifest.

A folder's ``plan.json`` is written first and says what its shards shall hold; ``manifest.json`` is
written last and lists the files with their sizes and SHA-256, beside the plan.
"""

import json
from pathlib import Path
from typing import Any

from kptkit import files
from kptkit.errors import InputError
from kptkit.reading import differences, read_json

MANIFEST = "manifest.json"
PLAN = "plan.json"

MAKE_AGAIN = "make the records anew in another folder"


def read_manifest(folder: Path, kind: str, version: int) -> dict[str, Any]:
    """The manifest of a finished folder, of the format `kind`.

    Raises:
        InputError: there is none, or it is of another kind or version.
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


def begin(folder: Path, plan: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of a folder that is finished; None of one to be filled, which now has its plan.

    To be called while holding the folder's lock.

    Args:
        plan: everything that decides what the shards hold; also ``format`` and ``version``.

    Raises:
        InputError: the folder holds something else, and the difference is shown; or a finished
            folder lacks a file.
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


def file_entry(path: Path) -> dict[str, Any]:
    """What a manifest says about a file."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": files.sha256(path)}


def check_files(folder: Path, manifest: dict[str, Any], verify: bool) -> None:
    """Compares a folder's files with its manifest: names and sizes, and on demand all bytes.

    Args:
        manifest: ``shards`` and, where there is one, ``index`` are what `file_entry` gave; the
            index is always read.

    Raises:
        InputError: naming the file.
    """
    index = [manifest["index"]] if "index" in manifest else []
    listed = {shard["file"] for shard in manifest["shards"]}
    for path in sorted(folder.glob("*.tfrecord")):
        if path.name not in listed:
            raise InputError(f"{path}: not in {MANIFEST}; remove it, it is of another run")
    for entry in (*index, *manifest["shards"]):
        path = folder / entry["file"]
        if not path.exists():
            raise InputError(f"{path}: missing; {MAKE_AGAIN}")
        found = path.stat().st_size
        if found != entry["bytes"]:
            raise InputError(
                f"{path}: {found} bytes, expected {entry['bytes']}; cut or altered, {MAKE_AGAIN}"
            )
        if (verify or entry in index) and files.sha256(path) != entry["sha256"]:
            raise InputError(f"{path}: altered since it was written; {MAKE_AGAIN}")


def _check_plan(path: Path, found: Any, wanted: dict[str, Any]) -> None:
    """Refuses to mix records of two kinds in one folder."""
    difference = differences(found, wanted)
    if difference:
        raise InputError(
            f"{path}: {'; '.join(difference[:5])}; use the same flags and files, or another folder"
        )
