"""Damages one of our own files, as chance or an attacker would, and reads it as the product does.

Right is a refusal in one line that names the file, or the same content as before. Where the damage
was made on purpose, with all checksums right, other values may be read, if they are possible ones.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from campaign.parts import FOLDER
from kptkit.errors import InputError

# Limits of an attempt: seconds, and kilobytes of memory beyond what was used before.
_MOST_S, _MOST_KB = 2.0, 256 << 10


class Kind(NamedTuple):
    """Files of one kind, and how the product reads them."""

    files: tuple[str, ...]
    """In the folder of the kind."""
    read: Callable[[Path], Any]
    """From the folder to what was understood."""


def prepare(folder: str) -> None:
    """Makes a folder of each kind."""
    from support.own_files import MAKERS

    for name, make in MAKERS.items():
        Path(folder, name).mkdir()
        make(Path(folder, name))


def attempt(seed: int) -> str:
    """Damages a file, reads it, and puts it back; returns what was wrong."""
    rng = random.Random(seed)
    name = rng.choice(sorted(KINDS))
    kind, folder = KINDS[name], _copies() / name
    file = rng.choice(kind.files)
    expected = _expected()[name]
    path, before = folder / file, (folder / file).read_bytes()
    kept = {other: other.read_bytes() for other in folder.rglob("*") if other.is_file()}
    damage, purpose = _damage(rng, path)
    label = f"{name}, {file}, {damage}"
    peak, start = _peak_kb(), time.monotonic()
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            found = digest(kind.read(folder))
        if found != expected and not purpose and not _said(said.getvalue(), folder):
            return f"{label}: believed"
    except InputError as error:
        message = str(error)
        if not _said(message, folder) or not message.isprintable() or len(message) > 3000:
            return f"{label}: {message!r}"
    finally:
        seconds, grown = time.monotonic() - start, _peak_kb() - peak
        _put_back(folder, kept, path, before)
    if seconds > _MOST_S or grown > _MOST_KB:
        return f"{label}: {seconds:.1f} s, {grown >> 10} MB"
    return ""


def _said(text: str, folder: Path) -> bool:
    """Whether a message names a file of the folder, and no inner name or error of Python's."""
    inner = ("Errno", "Error(", "Traceback", ".unfinished-")
    return str(folder) in text and not any(word in text for word in inner)


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@cache
def _copies() -> Path:
    """This process's own copy of what was prepared."""
    copies = Path(tempfile.mkdtemp(prefix="copies-", dir=Path(os.environ[FOLDER]).parent))
    shutil.copytree(os.environ[FOLDER], copies, dirs_exist_ok=True)
    return copies


@cache
def _expected() -> dict[str, str]:
    """What is understood of sound files of each kind.

    Reading may finish a folder, so these are copies of their own. All are read before the first
    attempt, so that no later one waits for TensorFlow to be imported.
    """
    sound = Path(shutil.copytree(os.environ[FOLDER], _copies() / "sound"))
    with contextlib.redirect_stdout(io.StringIO()):
        return {name: digest(kind.read(sound / name)) for name, kind in KINDS.items()}


def _put_back(folder: Path, kept: dict[Path, bytes], path: Path, content: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif not path.is_file() or path.is_symlink():
        path.unlink(missing_ok=True)
    for other in folder.rglob("*"):
        if other.is_file() and other not in kept and other.name != ".lock":
            other.unlink()
    for other, bytes_before in (kept | {path: content}).items():
        if not other.is_file() or other.read_bytes() != bytes_before:
            other.write_bytes(bytes_before)


def digest(value: Any) -> str:
    """A checksum of what was understood: nested lists, dicts, dataclasses, numbers and arrays."""
    return hashlib.sha256(_text(value).encode(errors="surrogateescape")).hexdigest()


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_text, value)) + "]"
    return repr(value)


# Damages: each changes the file at `path` and says what it did.


def _damage(rng: random.Random, path: Path) -> tuple[str, bool]:
    """Damages a file; returns what was done, and whether it was made on purpose."""
    by_chance = [_flip, _set, _cut, _zero, _digit, _insert, _swap, _instead]
    on_purpose = {".json": [_json_value, _json_key], ".npz": [_npz_array, _npz_archive]}
    if rng.random() < 0.5 and path.suffix in on_purpose and path.name != "card.npz":
        change = rng.choice(on_purpose[path.suffix])
        return change(rng, path), True
    change = rng.choice(by_chance)
    return change(rng, path), False


def _edit(path: Path, change: Callable[[bytearray], Any]) -> str:
    content = bytearray(path.read_bytes())
    done = change(content)
    path.write_bytes(content)
    return str(done)


def _flip(rng: random.Random, path: Path) -> str:
    def change(content: bytearray) -> str:
        bits = [rng.randrange(8 * len(content)) for _ in range(rng.choice([1, 1, 1, 4]))]
        for bit in bits:
            content[bit // 8] ^= 1 << bit % 8
        return f"bits {bits}"

    return _edit(path, change)


def _set(rng: random.Random, path: Path) -> str:
    def change(content: bytearray) -> str:
        place, value = rng.randrange(len(content)), rng.choice([0, 255, 10, 34, 92, 123, 48])
        content[place] = value
        return f"byte {place} is {value}"

    return _edit(path, change)


def _cut(rng: random.Random, path: Path) -> str:
    length = rng.choice([0, 1, rng.randrange(path.stat().st_size), path.stat().st_size - 1])
    os.truncate(path, length)
    return f"cut to {length}"


def _zero(rng: random.Random, path: Path) -> str:
    def change(content: bytearray) -> str:
        start = rng.randrange(len(content))
        length = min(rng.choice([1, 16, 512, 4096]), len(content) - start)
        content[start : start + length] = bytes(length)
        return f"{length} zeros at {start}"

    return _edit(path, change)


def _digit(rng: random.Random, path: Path) -> str:
    def change(content: bytearray) -> str:
        places = [n for n, value in enumerate(content) if 48 <= value < 58]
        place = rng.choice(places or [0])
        content[place] = rng.choice(b"0123456789-.eE")
        return f"digit {place} is {chr(content[place])}"

    return _edit(path, change)


def _insert(rng: random.Random, path: Path) -> str:
    def change(content: bytearray) -> str:
        place = rng.choice([0, rng.randrange(len(content)), len(content)])
        content[place:place] = rng.randbytes(rng.choice([1, 3, 100]))
        return f"bytes inserted at {place}"

    return _edit(path, change)


def _swap(rng: random.Random, path: Path) -> str:
    def change(content: bytearray) -> str:
        length = rng.randint(1, max(1, len(content) // 4))
        first, second = (rng.randrange(len(content) - length + 1) for _ in range(2))
        one, other = content[first : first + length], content[second : second + length]
        content[first : first + length], content[second : second + length] = other, one
        return f"{length} bytes at {first} and {second} swapped"

    return _edit(path, change)


def _instead(rng: random.Random, path: Path) -> str:
    path.unlink()
    kind = rng.choice(["nothing", "a folder", "a pipe", "a device", "a loop", "text", "depth"])
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a loop":
        path.symlink_to(path)
    elif kind == "text":
        path.write_text(rng.choice(["", "\n", "{}", "[]", "null", "x" * 99, '{"seal": ""}']))
    elif kind == "depth":
        path.write_text("[" * 100_000)
    return f"{kind} instead"


_VALUES = (None, True, -1, 0, 3, 2**31, 2**63, 2**70, 10**400, 0.5, -0.0, 1e300, 1e-300, "", "evil")
_VALUES += (
    "\x1b[31m",
    "../../x",
    "/etc/passwd",
    "x" * 9999,
    [],
    [1],
    [[]],
    {},
    {"a": 1},
    [0] * 9999,
)


def _places(content: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """All (container, key) of a document."""
    keys = content if isinstance(content, dict) else range(len(content))
    for key in keys:
        found.append((content, key))
        if isinstance(content[key], (dict, list)):
            _places(content[key], found)
    return found


def _json_value(rng: random.Random, path: Path) -> str:
    from kptkit.sealed import sealed_text

    content = json.loads(path.read_text())
    del content["seal"]
    container, key = rng.choice(_places(content, []))
    old = container[key]
    keys = list(container) if isinstance(container, dict) else range(len(container))
    values = [*_VALUES, container[rng.choice(keys)]]
    if type(old) in (int, float):
        values += [old + 1, old - 1, -old, 2 * old, old + 0.5]
    container[key] = rng.choice(values)
    path.write_text(sealed_text(content))
    return f"{key!r} is {str(container[key])[:40]!r}"


def _json_key(rng: random.Random, path: Path) -> str:
    from kptkit.sealed import sealed_text

    content = json.loads(path.read_text())
    del content["seal"]
    container, key = rng.choice([p for p in _places(content, []) if isinstance(p[0], dict)])
    value = container.pop(key)
    new = rng.choice([None, key + "x", "", "evil", key.upper()])
    if new is not None:
        container[new] = value
    path.write_text(sealed_text(content))
    return f"{key!r} is called {new!r}"


def _npz_array(rng: random.Random, path: Path) -> str:
    from kptkit.arrays import read_arrays, save_arrays

    arrays = read_arrays(path)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    changes: list[Callable[[], np.ndarray | None]] = [
        lambda: None,
        lambda: array[..., :-1] if array.ndim else array[None],
        lambda: array[None],
        lambda: array.ravel(),
        lambda: array.astype(rng.choice(["f8", "i2", "U5", "?", ">f4", "u1"])),
        lambda: np.zeros((0, *array.shape[1:]), array.dtype),
    ]
    if array.dtype.kind in "iuf" and array.size:
        changes += [partial(_with_number, rng, array)] * 6
    changed = rng.choice(changes)()
    new = arrays | ({} if changed is None else {name: changed})
    if changed is None:
        del new[name]
    save_arrays(path, new)
    _renew(path)
    return f"{name} changed"


def _with_number(rng: random.Random, array: np.ndarray) -> np.ndarray:
    array = array.copy()
    place = rng.randrange(array.size)
    if array.dtype.kind == "f":
        values = [np.nan, np.inf, -np.inf, 1e30, -1.0, 0.0, 0.5]
    else:
        info = np.iinfo(array.dtype)
        near = int(array.flat[place])
        values = [info.min, info.max, 0, min(near + 1, info.max), max(near - 1, info.min)]
    array.flat[place] = rng.choice(values)
    return array


def _npz_archive(rng: random.Random, path: Path) -> str:
    """Another archive, of right checksums: compressed, with members twice, many or vast."""
    import warnings
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    way = rng.choice(["deflated", "twice", "many", "bomb", "pickle", "vast", "vast text", "names"])
    compression = zipfile.ZIP_DEFLATED if way in ("deflated", "bomb") else zipfile.ZIP_STORED
    place = rng.randrange(len(members))
    name, content = members[place]
    if way == "twice":
        members.append(members[place])
    elif way == "many":
        members += [(f"{n}.npy", b"") for n in range(20_000)]
    elif way == "bomb":
        members[place] = name, content + bytes(1 << 24)
    elif way == "pickle":
        members[place] = name, content.replace(b"'descr': '", b"'descr': '|O", 1)
    elif way == "vast":
        members[place] = name, content.replace(b"'shape': (", b"'shape': (99999999, ", 1)
    elif way == "vast text":
        members[place] = name, content.replace(b"'<f4'", b"'<U9'", 1)
    elif way == "names":
        members[place] = rng.choice(["../a.npy", "\x1b[31m.npy", "a", ".npy", "é.npy"]), content
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    _renew(path)
    return f"archive {way}"


def _renew(path: Path) -> None:
    """Makes the checksums beside an archive right again."""
    from support.sealed_files import put, reseal

    from kptkit.data.records.folder import file_entry
    from kptkit.files import sha256

    beside = path.with_name("state.json"), path.with_name("manifest.json")
    if path.name == "state.npz":
        reseal(beside[0], put("sha256", sha256(path)))
    elif path.name == "index.npz":
        reseal(beside[1], put("index", file_entry(path)))
    sidecar = path.with_name(path.name + ".sha256")
    if sidecar.exists():
        sidecar.write_text(f"{sha256(path)}  {path.name}\n")


# How the product reads each kind; modules are imported when they are needed.


def _pose_records(folder: Path) -> Any:
    from kptkit.data.records.pose import RecordSource
    from kptkit.images import ImageError

    source = RecordSource(folder)
    pixels: list[Any] = []
    for index in range(len(source.samples)):
        box = tuple(source._places["window_xyxy"][index].tolist())
        try:
            pixels.append(source.read(index, box))
        except ImageError as error:
            pixels.append(error.reason)
    return source.manifest, vars(source.samples), pixels


def _crop_records(folder: Path) -> Any:
    from kptkit.data.mining.crops import CropKind
    from kptkit.data.records.crops import CropRecords

    records = CropRecords(folder)
    counts = {kind: len(records.read(kind, np.arange(records.counts[kind]))) for kind in CropKind}
    return records.manifest, counts


def _unfinished_crops(folder: Path) -> Any:
    from support.own_files import go_on_with_crops

    with contextlib.redirect_stderr(io.StringIO()):
        return go_on_with_crops(folder)


def _pose_run(folder: Path) -> Any:
    from kptkit.runs import PoseRun, best_metrics, load_run

    run = load_run(folder, PoseRun)
    run.recipe.heatmap_sigma, run.recipe.num_stacks, run.schema.flip_permutation  # noqa: B018
    return run.settings(), best_metrics(folder)


def _face_run(folder: Path) -> Any:
    from kptkit.runs import FaceRun, load_run

    return load_run(folder, FaceRun).settings()


def _checkpoints(folder: Path) -> Any:
    from support.own_files import restore_checkpoints

    step, progress, arrays, warnings = restore_checkpoints(folder)
    print(*warnings)
    return step, progress, arrays


def _weights(folder: Path) -> Any:
    from kptkit.weights.arrays import load_arrays, read_card

    path = folder / "card.npz"
    arrays = load_arrays(path)
    arrays.pop("card.json", None)
    return read_card(path), arrays


def _bare_weights(folder: Path) -> Any:
    from kptkit.weights.arrays import load_arrays

    return load_arrays(folder / "best.npz")


def _demo(folder: Path) -> Any:
    from kptkit.demo.dataset import read_manifest

    return read_manifest(folder)


def _export(folder: Path) -> Any:
    from kptkit.export.report import print_signatures

    return print_signatures(folder)


def _report(folder: Path) -> Any:
    from kptkit.sealed import read_sealed

    return read_sealed(folder / "report.json", "remove it")


KINDS = {
    "pose_records": Kind(
        ("manifest.json", "index.npz", "pose-00000-of-00002.tfrecord"), _pose_records
    ),
    "crop_records": Kind(("manifest.json", "part-00000-of-00002.tfrecord"), _crop_records),
    "unfinished_crops": Kind(("plan.json", "made-00000.json"), _unfinished_crops),
    "pose_run": Kind(("config.json", "metrics.json"), _pose_run),
    "face_run": Kind(("config.json",), _face_run),
    "checkpoints": Kind(("step-00000007/state.json", "step-00000007/state.npz"), _checkpoints),
    "weights": Kind(("card.npz", "card.npz.sha256"), _weights),
    "bare_weights": Kind(("best.npz",), _bare_weights),
    "demo": Kind(("manifest.json",), _demo),
    "export": Kind(("assets.extra/export.json",), _export),
    "report": Kind(("report.json",), _report),
}
