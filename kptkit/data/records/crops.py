"""Crop records: mined crops on disk, from which P-Net, R-Net and O-Net are trained.

A folder of crops holds

- ``positive-00000-of-00008.tfrecord`` and so on, also ``negative-``, ``part-`` and ``landmark-``:
  shards with one tf.train.Example per crop. Its features are ``image`` (size x size x 3 bytes,
  RGB), ``box`` (4 floats) and ``landmark`` (10 floats) as in `kptkit.data.mining.crops.Crops`,
  ``kind`` (`CropKind`) and ``sample_id`` (an int64 as 8 bytes, little-endian);
- ``plan.json`` and ``manifest.json``, see `kptkit.data.records.folder`: what the crops were made
  from, how many there are, the sizes and SHA-256 of the shards, and which pictures were skipped.

All records of a kind have the same length, so the shards are read like arrays: in any order,
without an index or a shuffle buffer.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import tensorflow as tf

from kptkit.checks import check_range
from kptkit.data.mining.crops import CropKind
from kptkit.data.records.folder import (
    RECORD_HEAD,
    RECORD_TAIL,
    FileEntry,
    Manifest,
    check_files,
    read_manifest,
)
from kptkit.errors import InputError

FORMAT = "kptkit crop records"
VERSION = 1
MOST_PARTS = 1000
# The largest crops, in pixels a side; O-Net's have 48.
MOST_PIXELS = 1024

Counts = dict[Literal["positive", "negative", "part", "landmark"], int]


@dataclass(frozen=True)
class CropShard(FileEntry):
    """What the manifest says about a shard of crops."""

    kind: Literal["positive", "negative", "part", "landmark"]
    records: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file.startswith(f"{self.kind}-"):
            raise InputError(f"kind: {self.kind} of {self.file}")
        check_range("records", self.records, 0, self.bytes, whole=True)
        if (self.records == 0) != (self.bytes == 0) or self.bytes % max(1, self.records):
            raise InputError(
                f"records: {self.records} in the {self.bytes} bytes of {self.file}; expected "
                "records of one length"
            )


@dataclass(frozen=True)
class CropPlan:
    """What crops were made from, and how."""

    format: Literal["kptkit crop records"]
    version: Literal[1]
    parts: int
    stage: Literal["pnet", "rnet", "onet"]
    seed: int
    size: int
    mining: dict[str, Any]
    made_from: list[Any]
    cascade: dict[str, Any] | None = None
    detector_sha256: str | None = None
    pictures: int | None = None

    def __post_init__(self) -> None:
        check_range("parts", self.parts, 1, MOST_PARTS, whole=True)
        check_range("size", self.size, 1, MOST_PIXELS, whole=True)


@dataclass(frozen=True)
class CropManifest(Manifest):
    """The content of `manifest.json`."""

    FORMAT: ClassVar[str] = FORMAT
    VERSION: ClassVar[int] = VERSION

    plan: CropPlan
    counts: Counts
    notes: dict[str, int]
    skipped: dict[str, str]
    shards: list[CropShard]

    def __post_init__(self) -> None:
        kinds, parts = [kind.label for kind in CropKind], range(self.plan.parts)
        names = [f"{k}-{n:05d}-of-{len(parts):05d}.tfrecord" for n in parts for k in kinds]
        if [shard.file for shard in self.shards] != names:
            raise InputError(f"shards: expected one of each kind for each of {len(parts)} parts")
        pixels = 3 * self.plan.size**2
        found: Counter[str] = Counter()
        for shard in self.shards:
            found[shard.kind] += shard.records
            if shard.records and not pixels < shard.bytes // shard.records <= pixels + 1000:
                raise InputError(
                    f"shards: {shard.bytes // shard.records} bytes a record in "
                    f"{shard.file}; expected crops of {self.plan.size} pixels a side"
                )
        if {kind: found[kind] for kind in self.counts} != self.counts or len(self.counts) != 4:
            raise InputError("counts: not those of the shards")


class CropRecords:
    """A finished folder of crops, opened for reading.

    Attributes:
        folder: its path.
        manifest: the content of `manifest.json`.
        stage: "pnet", "rnet" or "onet".
        size: side of the crops in pixels.
        counts: number of crops of each kind.

    Raises:
        InputError: the folder is not finished, or a shard is missing, not listed, truncated or
            altered.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder, CropManifest)
        check_files(self.folder, self.manifest, verify=True)
        self.stage: str = self.manifest["plan"]["stage"]
        self.size: int = self.manifest["plan"]["size"]
        self._shards = {kind: self._open(kind) for kind in CropKind}
        self.counts = {
            kind: sum(len(shard) for shard in shards) for kind, shards in self._shards.items()
        }

    def _open(self, kind: CropKind) -> list[np.ndarray]:
        """Maps the shards of a kind into memory, each as (records, bytes) uint8."""
        shards: list[np.ndarray] = []
        for entry in self.manifest["shards"]:
            if entry["kind"] == kind.label and entry["records"]:
                shape = entry["records"], entry["bytes"] // entry["records"]
                shards.append(np.memmap(self.folder / entry["file"], np.uint8, "r", shape=shape))
        return shards

    def read(self, kind: CropKind, indices: np.ndarray) -> list[bytes]:
        """Reads the serialized tf.train.Examples of a kind at `indices` (N,), in that order."""
        shards = self._shards[kind]
        ends = np.cumsum([len(shard) for shard in shards])
        places = np.searchsorted(ends, indices, side="right")
        records = []
        for place, index in zip(places.tolist(), np.asarray(indices).tolist(), strict=True):
            row = shards[place][index - int(ends[place])]  # a negative index, from the shard's end
            records.append(row[RECORD_HEAD:-RECORD_TAIL].tobytes())
        return records


def parse_crops(serialized: tf.Tensor, size: int) -> dict[str, tf.Tensor]:
    """Parses serialized tf.train.Examples (B,).

    Args:
        size: side of the crops in pixels.

    Returns:
        image (B, size, size, 3) uint8 RGB, kind (B,) int64, box (B, 4) float32 and landmark (B, 10)
        float32, NaN where a crop has none, and sample_id (B,) int64.
    """
    spec = {
        "image": tf.io.FixedLenFeature((), tf.string),
        "kind": tf.io.FixedLenFeature((), tf.int64),
        "box": tf.io.FixedLenFeature((4,), tf.float32),
        "landmark": tf.io.FixedLenFeature((10,), tf.float32),
        "sample_id": tf.io.FixedLenFeature((), tf.string),
    }
    crops = tf.io.parse_example(serialized, spec)
    pixels = tf.io.decode_raw(crops["image"], tf.uint8, fixed_length=None)
    crops["image"] = tf.reshape(pixels, (-1, size, size, 3))
    crops["sample_id"] = tf.reshape(tf.io.decode_raw(crops["sample_id"], tf.int64), (-1,))
    return crops
