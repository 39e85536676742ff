"""Pose records: persons cut out of their pictures, the fastest source of training data.

A folder of records, written by `kptkit data records`, holds

- ``pose-00000-of-00004.tfrecord`` and so on: shards with one tf.train.Example per person. Its
  features are ``image`` (a JPEG of the part of the picture that augmentation can reach),
  ``window_xyxy`` (where that part lies in the picture), ``box_xyxy``, ``keypoints``, ``sample_id``,
  ``image_id`` and ``skipped`` (why there is no image, otherwise empty);
- ``index.npz``: all persons as arrays, and the position of each person's JPEG in the shards;
- ``plan.json`` and ``manifest.json``, see `kptkit.data.records.folder`: what the records were made
  from, the schema, counts, and the sizes and SHA-256 of the files.

Records are read in random order through the index, so that a training run sees the same persons in
the same order as from pictures. Every read is checked against a CRC-32.
"""

import os
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from kptkit import images
from kptkit.checks import check_range
from kptkit.data.augment.settings import HRNET_COCO, AugmentConfig
from kptkit.data.records.folder import (
    MAKE_AGAIN,
    FileEntry,
    Manifest,
    check_files,
    read_manifest,
)
from kptkit.data.records.pose_index import MOST_PIXELS, read_index
from kptkit.data.records.sources import PixelBox
from kptkit.errors import InputError
from kptkit.samples import KeypointSamples, Orientation
from kptkit.sealed import convert
from kptkit.skeletons.schema import KeypointSchema
from kptkit.system import open_to_read, read_at

FORMAT = "kptkit pose records"
VERSION = 1
INDEX = "index.npz"
MOST_PERSONS = 1 << 31


@dataclass(frozen=True)
class CutConfig:
    """How persons are cut out of their pictures."""

    size_wh: tuple[int, int] = (192, 256)
    """Width and height of the crops used in training; only their ratio matters."""
    augment: AugmentConfig = HRNET_COCO
    """The strongest augmentation that the records must support."""
    jpeg_quality: int = 95
    shard_size: int = 512
    """Persons per shard."""

    def __post_init__(self) -> None:
        for side in self.size_wh:
            check_range("size_wh", side, 1, MOST_PIXELS, whole=True)
        check_range("jpeg_quality", self.jpeg_quality, 1, 100, whole=True)
        check_range("shard_size", self.shard_size, 1, 1_000_000, whole=True)


@dataclass(frozen=True)
class PoseShard(FileEntry):
    """What the manifest says about a shard of persons."""

    persons: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("persons", self.persons, 1, MOST_PERSONS, whole=True)


@dataclass(frozen=True)
class PosePlan:
    """What records were made from, and how."""

    format: Literal["kptkit pose records"]
    version: Literal[1]
    made_from: dict[str, str]
    orientation: Orientation
    cut: CutConfig


@dataclass(frozen=True)
class PoseManifest(Manifest):
    """The content of `manifest.json`."""

    FORMAT: ClassVar[str] = FORMAT
    VERSION: ClassVar[int] = VERSION

    plan: PosePlan
    schema: KeypointSchema
    persons: int
    images: int
    skipped: dict[str, str]
    index: FileEntry
    shards: list[PoseShard]

    def __post_init__(self) -> None:
        check_range("persons", self.persons, 1, MOST_PERSONS, whole=True)
        check_range("images", self.images, 1, MOST_PERSONS, whole=True)
        count = len(self.shards)
        names = [f"pose-{n:05d}-of-{count:05d}.tfrecord" for n in range(count)]
        if [shard.file for shard in self.shards] != names or self.index.file != INDEX:
            raise InputError(f"shards: expected pose-00000-of-{count:05d}.tfrecord and so on")
        if sum(shard.persons for shard in self.shards) != self.persons:
            raise InputError("persons: not those of the shards")


class RecordSource:
    """A `kptkit.data.records.sources.SampleSource` that reads pixels from pose records.

    Args:
        folder: of pose records.
        verify: whether to compare the SHA-256 of every shard, which reads all of them.

    Raises:
        InputError: the folder is not finished, or a file is missing, not listed, truncated or
            altered.
    """

    def __init__(self, folder: str | os.PathLike, verify: bool = False):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder, PoseManifest)
        check_files(self.folder, self.manifest, verify)
        schema = convert(self.manifest["schema"], KeypointSchema, str(self.folder), MAKE_AGAIN)
        arrays = read_index(self.folder / INDEX, self.manifest, MAKE_AGAIN)
        fields: dict[str, Any] = {name: arrays.pop(name) for name in SAMPLE_ARRAYS}
        self.samples = KeypointSamples(
            schema=schema,
            image_paths=unpack_paths(arrays.pop("image_paths")),
            orientation=self.manifest["plan"]["orientation"],
            **fields,
        )
        without = self.samples.image_index[arrays["jpeg_bytes"] == 0].tolist()
        skipped = {self.samples.image_paths[place] for place in without}
        if not skipped <= self.manifest["skipped"].keys():
            raise InputError(
                f"{self.folder / INDEX}: jpeg_bytes: a picture is missing; {MAKE_AGAIN}"
            )
        self._places = arrays
        self._paths = [self.folder / shard["file"] for shard in self.manifest["shards"]]
        self._handles = [open_to_read(path) for path in self._paths]
        weakref.finalize(self, _close, self._handles)

    def read(self, index: int, box: PixelBox) -> np.ndarray:
        """See `SampleSource.read`.

        Raises:
            ImageError: the picture could not be read when the records were written.
            InputError: the record is damaged, or `box` reaches beyond it because the records were
                made for weaker augmentation.
        """
        jpeg = self._read_jpeg(index)
        w_left, w_top, w_right, w_bottom = self._places["window_xyxy"][index]
        left, top, right, bottom = box
        if left < w_left or top < w_top or right > w_right or bottom > w_bottom:
            raise InputError(
                f"{self.folder}: the augmentation or the aspect ratio of this run reaches beyond "
                f"what was cut out (sample {self.samples.sample_ids[index]}); {MAKE_AGAIN} with "
                "the flags of this run"
            )
        window = images.decode_image(jpeg)
        if window.shape[:2] != (w_bottom - w_top, w_right - w_left):
            raise InputError(
                f"{self.folder}: the picture of sample {self.samples.sample_ids[index]} is not the "
                f"part that the index tells; {MAKE_AGAIN}"
            )
        return window[top - w_top : bottom - w_top, left - w_left : right - w_left]

    def _read_jpeg(self, index: int) -> bytes:
        places = self._places
        if not places["jpeg_bytes"][index]:
            path = self.samples.image_paths[self.samples.image_index[index]]
            raise images.ImageError(f"{path}: not in the records", self.manifest["skipped"][path])
        shard = places["shard"][index]
        jpeg = read_at(
            self._handles[shard],
            int(places["jpeg_bytes"][index]),
            int(places["jpeg_offset"][index]),
        )
        if zlib.crc32(jpeg) != places["jpeg_crc32"][index]:
            raise InputError(
                f"{self._paths[shard]}: record {places['record'][index]} (sample "
                f"{self.samples.sample_ids[index]}): altered since it was written; {MAKE_AGAIN}"
            )
        return jpeg


# The fields of KeypointSamples that the index stores under their own names.
SAMPLE_ARRAYS = (
    *("image_ids", "image_wh", "image_index", "sample_ids"),
    *("boxes_xyxy", "keypoints", "box_scores"),
)


def pack_paths(paths: tuple[str, ...]) -> np.ndarray:
    """Paths as one uint8 array (they need not be valid UTF-8), separated by zero bytes."""
    return np.frombuffer(b"\0".join(os.fsencode(path) for path in paths), np.uint8)


def unpack_paths(packed: np.ndarray) -> tuple[str, ...]:
    """Undoes `pack_paths`; at least one path."""
    return tuple(os.fsdecode(path) for path in packed.tobytes().split(b"\0"))


def _close(handles: list[int]) -> None:
    for handle in handles:
        os.close(handle)
