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
from pathlib import Path

import numpy as np
import tensorflow as tf

from kptkit.data.mining.crops import CropKind
from kptkit.data.records.folder import (
    MAKE_AGAIN,
    RECORD_HEAD,
    RECORD_TAIL,
    check_files,
    read_manifest,
)
from kptkit.errors import InputError

FORMAT = "kptkit crop records"
VERSION = 1


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
        self.manifest = read_manifest(self.folder, FORMAT, VERSION)
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
                if entry["bytes"] % entry["records"]:
                    raise InputError(
                        f"{self.folder / entry['file']}: {entry['bytes']} bytes for "
                        f"{entry['records']} records; expected records of one length; {MAKE_AGAIN}"
                    )
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
