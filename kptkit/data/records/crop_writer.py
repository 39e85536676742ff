"""Fills a folder with records of crops (`kptkit.data.records.crops`), part by part.

The parts of a work are fixed beforehand, and what one holds depends on it and the seed alone. So
one, two or eight processes write the same bytes, and so does a run that was killed and started
again: it makes the parts that are not there.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kptkit import files
from kptkit.data.mining.crops import IDS_PER_IMAGE, CropKind, Crops, FacePart, ImageCrops
from kptkit.data.mining.workers import work_on
from kptkit.data.records.crops import FORMAT, VERSION
from kptkit.data.records.folder import MANIFEST, begin, file_entry
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.images.codec import printable
from kptkit.reading import read_json

# What a finished part holds stands in a file of its own until the manifest is written.
_PART_FILES = "made-*.json"


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
        plan: everything that decides what the crops are, as JSON takes it; among it ``stage``,
            ``seed`` and ``size``, the crops' side in pixels.
        make_part: gives the crops of a part's pictures; see `kptkit.data.mining.workers.work_on`.
        workers: processes; 0: this one.

    Raises:
        InputError: the folder holds other crops or is in use, the disk is full, too many pictures
            cannot be read, or a worker was killed.
    """
    folder = Path(folder)
    for name, value in (("seed", plan["seed"]), ("workers", workers)):
        if value < 0:
            raise InputError(f"{name}: {value}; expected 0 or more")
    plan = {"format": FORMAT, "version": VERSION, "parts": len(parts)} | plan
    try:
        with files.locked(folder):
            manifest = begin(folder, plan)
            if manifest is None:
                manifest = _fill(folder, plan, parts, make_part, workers)
            for path in folder.glob(_PART_FILES):
                path.unlink()
            return manifest
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; nothing half-written is left") from None
    except tf.errors.OpError as error:
        raise InputError(f"{folder}: cannot be written: {error.message}") from None


def summary(manifest: dict[str, Any]) -> str:
    """One line about what a folder of crops holds, and what was left out."""
    reasons = Counter(f"pictures {reason}" for reason in manifest["skipped"].values())
    notes = [f"; {count:,} {note}" for note, count in (dict(reasons) | manifest["notes"]).items()]
    return f"{_listed(manifest['counts'])} crops{''.join(notes)}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


@dataclass
class _Account:
    """What pictures gave: crops by kind, what else happened how often, and who gave nothing."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, counts: dict[str, int], notes: dict[str, int], skipped: dict[str, str]) -> None:
        self.counts.update(counts)
        self.notes.update(notes)
        self.skipped.update(skipped)


class _Progress:
    """The account of all parts so far, shown on a bar.

    Args:
        num_images: of all parts; how many may be unusable follows from it.
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
        """Adds what pictures gave.

        Raises:
            InputError: too many pictures cannot be read.
        """
        self.account.add(counts, notes, skipped)
        for path, reason in skipped.items():
            self._skipped.record(path, reason)
        self._skipped.check()
        if self._bar.update(num_images):  # has been drawn anew
            self._bar.set_postfix_str(_listed(self.account.counts), refresh=False)


def _fill(
    folder: Path,
    plan: dict[str, Any],
    parts: list[FacePart],
    make_part: Callable[[FacePart], Iterable[ImageCrops]],
    workers: int,
) -> dict[str, Any]:
    """Writes the parts that are not there yet and, last, the manifest."""
    notes = [folder / _PART_FILES.replace("*", f"{n:05d}") for n in range(len(parts))]
    missing = {n: parts[n] for n, path in enumerate(notes) if not _is_made(path)}
    layouts = {kind.label: _Layout(kind, plan["size"]) for kind in CropKind}
    with _Progress(sum(len(part) for part in parts)) as progress:
        for number in range(len(parts)):
            if number not in missing:
                progress.add(len(parts[number]), **read_json(notes[number])["account"])
        with closing(work_on(missing, make_part, workers)) as work:
            for number, images in work:
                place = f"{number:05d}-of-{len(parts):05d}"
                paths = {kind: folder / f"{kind}-{place}.tfrecord" for kind in layouts}
                files.write_json(notes[number], _write_part(paths, layouts, images, progress))
        account = progress.account
    manifest = {
        "plan": plan,
        "counts": {kind: account.counts[kind] for kind in layouts},
        "notes": {note: count for note, count in sorted(account.notes.items()) if count},
        "skipped": dict(sorted(account.skipped.items())),
        "shards": [shard for path in notes for shard in read_json(path)["shards"]],
    }
    files.write_json(folder / MANIFEST, manifest)
    return manifest


def _is_made(notes: Path) -> bool:
    """Whether a part was finished, and its shards are still there."""
    if not notes.exists():
        return False
    shards = read_json(notes)["shards"]
    paths = [notes.with_name(shard["file"]) for shard in shards]
    return all(
        path.exists() and path.stat().st_size == shard["bytes"]
        for path, shard in zip(paths, shards, strict=True)
    )


def _write_part(
    paths: dict[str, Path],
    layouts: dict[str, "_Layout"],
    images: Iterable[ImageCrops],
    progress: _Progress,
) -> dict[str, Any]:
    """Publishes the shards of a part, by kind; returns their entries for the manifest, and an
    account of its pictures.
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
    """A writer whose file appears at `path` when it is finished."""
    with (
        files.publish_file(path) as unfinished,
        tf.io.TFRecordWriter(os.fspath(unfinished)) as writer,
    ):
        yield writer


class _Layout:
    """Where a crop's numbers stand in its serialized tf.train.Example, the same for all of a kind.

    So that examples are filled in by columns instead of being built one by one.
    """

    def __init__(self, kind: CropKind, size: int):
        self._kind = int(kind)
        # An example of random numbers shows where they come to stand.
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
        """The crops of this kind as serialized examples (N, bytes) uint8."""
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
