"""Writes crop records (`kptkit.data.records.crops`), part by part.

The division into parts is fixed beforehand, and the crops of a part depend only on its pictures and
the seed. So any number of processes writes the same bytes, and a writer that was killed and is
started again writes only the missing parts.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kptkit import files
from kptkit.data.mining.crops import IDS_PER_IMAGE, CropKind, Crops, FacePart, ImageCrops
from kptkit.data.mining.workers import work_on
from kptkit.data.records.crops import FORMAT, VERSION, Counts, CropManifest, CropShard
from kptkit.data.records.folder import file_entry, fill_folder, reason_of, regular_size
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.sealed import convert, read_sealed, write_sealed
from kptkit.wording import printable


def write_crops(
    folder: str | os.PathLike,
    plan: dict[str, Any],
    parts: list[FacePart],
    make_part: Callable[[FacePart], Iterable[ImageCrops]],
    workers: int,
) -> dict[str, Any]:
    """Fills a folder with crops, or goes on filling it; returns its manifest.

    Pictures that cannot be read are left out and counted.

    Args:
        folder: a new or empty folder, or one that was begun with the same plan.
        plan: everything that decides what the crops are, as JSON takes it; among it ``stage``,
            ``seed`` and ``size``, the side of the crops in pixels.
        parts: the pictures, see `kptkit.data.mining.crops.split_into_parts`.
        make_part: computes the crops of a part's pictures, see
            `kptkit.data.mining.workers.work_on`.
        workers: number of processes; 0 computes the crops in this process.

    Raises:
        InputError: the folder holds other crops or is in use, the disk is full, too many pictures
            cannot be read, or a worker was killed.
    """
    folder = Path(folder)
    for name, value in (("seed", plan["seed"]), ("workers", workers)):
        if value < 0:
            raise InputError(f"{name}: {value}; expected 0 or more")
    fill = partial(_fill, folder, plan["size"], parts, make_part, workers)
    plan = {"format": FORMAT, "version": VERSION, "parts": len(parts)} | plan
    try:
        return fill_folder(folder, plan, fill, CropManifest, interim=_made_name("*"))
    except tf.errors.OpError as error:
        raise InputError(f"{folder}: cannot be written: {reason_of(error)}") from None


def _made_name(number: str) -> str:
    """Name of the file that says what a finished part holds, until the manifest is written."""
    return f"made-{number}.json"


def summary(manifest: dict[str, Any]) -> str:
    """One line that says what a folder of crops holds and what was left out."""
    reasons = Counter(f"pictures {reason}" for reason in manifest["skipped"].values())
    notes = [f"; {count:,} {note}" for note, count in (dict(reasons) | manifest["notes"]).items()]
    return f"{_listed(manifest['counts'])} crops{''.join(notes)}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


@dataclass
class _Account:
    """Totals over pictures.

    Attributes:
        counts: number of crops by kind.
        notes: the sum of the pictures' notes.
        skipped: why a picture cannot be read, by its path.
    """

    counts: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, counts: dict[str, int], notes: dict[str, int], skipped: dict[str, str]) -> None:
        self.counts.update(counts)
        self.notes.update(notes)
        self.skipped.update(skipped)


REMOVE = "remove it, and its crops are made again"


@dataclass(frozen=True)
class _MadeAccount:
    counts: Counts
    notes: dict[str, int]
    skipped: dict[str, str]


@dataclass(frozen=True)
class _Made:
    """The content of a ``made-*.json``."""

    shards: list[CropShard]
    account: _MadeAccount


class _Progress:
    """A progress bar that also keeps the account of all pictures so far.

    Args:
        num_images: of all parts; it sets how many may be unreadable.
    """

    def __init__(self, num_images: int):
        self.account = _Account()
        self._skipped = SkippedPictures(num_images)
        self._bar = tqdm(total=num_images, desc="mining", unit=" pictures", dynamic_ncols=True)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.set_postfix_str(_listed(self.account.counts))
        self._bar.close()

    def add(
        self,
        num_images: int,
        counts: dict[str, int],
        notes: dict[str, int],
        skipped: dict[str, str],
    ) -> None:
        """Adds the totals of `num_images` pictures.

        Raises:
            InputError: too many pictures cannot be read.
        """
        self.account.add(counts, notes, skipped)
        for path, reason in skipped.items():
            self._skipped.record(path, reason)
        self._skipped.check()
        if self._bar.update(num_images):  # true if the bar was redrawn
            self._bar.set_postfix_str(_listed(self.account.counts), refresh=False)


def _fill(
    folder: Path,
    size: int,
    parts: list[FacePart],
    make_part: Callable[[FacePart], Iterable[ImageCrops]],
    workers: int,
) -> dict[str, Any]:
    """Writes the missing parts; returns the entries of the manifest."""
    made_paths = [folder / _made_name(f"{number:05d}") for number in range(len(parts))]
    read = {number: _read_made(path) for number, path in enumerate(made_paths)}
    made = {number: part for number, part in read.items() if part is not None}
    missing = {number: part for number, part in enumerate(parts) if number not in made}
    layouts = {kind.label: _Layout(kind, size) for kind in CropKind}
    with _Progress(sum(len(part) for part in parts)) as progress:
        for number, part in made.items():
            progress.add(len(parts[number]), **part["account"])
        with closing(work_on(missing, make_part, workers)) as work:
            for number, images in work:
                place = f"{number:05d}-of-{len(parts):05d}"
                paths = {kind: folder / f"{kind}-{place}.tfrecord" for kind in layouts}
                made[number] = _write_part(paths, layouts, images, progress)
                write_sealed(made_paths[number], made[number])
        account = progress.account
    return {
        "counts": {kind: account.counts[kind] for kind in layouts},
        "notes": {note: count for note, count in sorted(account.notes.items()) if count},
        "skipped": dict(sorted(account.skipped.items())),
        "shards": [shard for number in sorted(made) for shard in made[number]["shards"]],
    }


def _read_made(path: Path) -> dict[str, Any] | None:
    """What a finished part holds, as `_write_part` returned it.

    Args:
        path: of the part's ``made-*.json``.

    Returns:
        None if the part is not finished, or one of its shards is missing or truncated.
    """
    if not path.exists():
        return None
    part = read_sealed(path, REMOVE)
    convert(part, _Made, str(path), REMOVE)
    for shard in part["shards"]:
        if regular_size(path.with_name(shard["file"])) != shard["bytes"]:
            return None
    return part


def _write_part(
    paths: dict[str, Path],
    layouts: dict[str, "_Layout"],
    images: Iterable[ImageCrops],
    progress: _Progress,
) -> dict[str, Any]:
    """Writes the shards of a part, one of each kind, and adds its pictures to the progress.

    Returns:
        ``shards``: their entries for the manifest; ``account``: the totals of the part.
    """
    part = _Account()
    with ExitStack() as stack:
        writers = {kind: stack.enter_context(_shard(path)) for kind, path in paths.items()}
        for image in images:
            counts: dict[str, int] = {}
            if image.crops is not None:
                for kind, writer in writers.items():
                    rows = layouts[kind].rows(image.crops, image.number)
                    counts[kind] = len(rows)
                    for row in rows:
                        writer.write(row.tobytes())
            skipped = {printable(image.path): image.skipped} if image.skipped else {}
            part.add(counts, image.notes, skipped)
            progress.add(1, counts, image.notes, skipped)
    shards = [
        file_entry(path) | {"kind": kind, "records": part.counts[kind]}
        for kind, path in paths.items()
    ]
    return {"shards": shards, "account": vars(part)}


@contextmanager
def _shard(path: Path) -> Iterator[tf.io.TFRecordWriter]:
    """A writer whose file appears at `path` when it is complete."""
    with (
        files.publish_file(path) as unfinished,
        tf.io.TFRecordWriter(os.fspath(unfinished)) as writer,
    ):
        yield writer


class _Layout:
    """The byte layout of a serialized tf.train.Example, which is the same for all crops of a kind.

    With it, many examples are filled in column by column instead of being built one by one.
    """

    def __init__(self, kind: CropKind, size: int):
        self._kind = int(kind)
        # Serialize an example of random numbers and look where each of them ended up.
        rng = np.random.default_rng(0)
        columns = {
            "image": rng.bytes(size * size * 3),
            "box": rng.random(4, np.float32).tobytes(),
            "landmark": rng.random(10, np.float32).tobytes(),
            "sample_id": rng.bytes(8),
        }
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[columns[name]]))
            for name in ("image", "sample_id")
        }
        for name in ("box", "landmark"):
            values = tf.train.FloatList(value=np.frombuffer(columns[name], np.float32))
            features[name] = tf.train.Feature(float_list=values)
        features["kind"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[kind]))
        example = tf.train.Example(features=tf.train.Features(feature=features))
        content = example.SerializeToString(deterministic=True)
        self._template = np.frombuffer(content, np.uint8)
        self._places = {
            name: slice(content.index(value), content.index(value) + len(value))
            for name, value in columns.items()
        }

    def rows(self, crops: Crops, image_number: int) -> np.ndarray:
        """Serializes the crops of this kind: (N, bytes) uint8, one tf.train.Example per row."""
        own = np.flatnonzero(crops.kinds == self._kind)
        columns = {
            "image": crops.images[own],
            "box": crops.boxes[own],
            "landmark": crops.landmarks[own],
            "sample_id": (image_number * IDS_PER_IMAGE + own).astype("<i8"),
        }
        rows = np.tile(self._template, (len(own), 1))
        for name, place in self._places.items():
            rows[:, place] = (
                columns[name].view(np.uint8).reshape(len(own), place.stop - place.start)
            )
        return rows
