"""Pose records: persons cut out of their pictures, as training reads them fastest.

A folder of records, written by `data_prep/make_pose_records.py`, holds

- ``pose-00000-of-00004.tfrecord`` and so on: TFRecord shards of one tf.train.Example per person,
  with ``image`` (JPEG of all that augmentation can show of the picture), ``window_xyxy`` (where
  that lies in the picture), ``box_xyxy``, ``keypoints``, ``sample_id``, ``image_id``, and
  ``skipped`` (why there is no image, else empty);
- ``index.npz``: all persons as arrays, and where in the shards the JPEG of each stands;
- ``manifest.json``: schema, counts, sizes and SHA-256 of the files, and what they were made from.
  It is written last: a folder without it is not finished.

Records are read at random through the index, so that a run sees the same persons in the same order
from records as from pictures. Every read is checked against a CRC-32.
"""

import os
import weakref
import zlib
from pathlib import Path

import numpy as np

from kptkit import images
from kptkit.data.records.folder import MAKE_AGAIN, check_files, read_manifest
from kptkit.data.records.sources import PixelBox
from kptkit.errors import InputError
from kptkit.samples import KeypointSamples
from kptkit.skeletons.schema import KeypointSchema

FORMAT = "kptkit pose records"
VERSION = 1
INDEX = "index.npz"


class RecordSource:
    """Persons whose pixels are read from records; see `kptkit.data.records.sources.SampleSource`.

    Args:
        folder: what `data_prep/make_pose_records.py` wrote.
        verify: whether to compare every shard's SHA-256, which reads them all.

    Raises:
        InputError: the folder is not finished, or a file is missing, too many, cut or altered.
    """

    def __init__(self, folder: str | os.PathLike, verify: bool = False):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder, FORMAT, VERSION)
        check_files(self.folder, self.manifest, verify)
        with np.load(self.folder / INDEX, allow_pickle=False) as index:
            arrays = {name: index[name] for name in index.files}
        self.samples = KeypointSamples(
            schema=KeypointSchema.from_json(self.manifest["schema"]),
            image_paths=unpack_paths(arrays.pop("image_paths")),
            orientation=self.manifest["plan"]["orientation"],
            **{name: arrays.pop(name) for name in SAMPLE_ARRAYS},
        )
        self._places = arrays
        self._paths = [self.folder / shard["file"] for shard in self.manifest["shards"]]
        self._handles = [os.open(path, os.O_RDONLY) for path in self._paths]
        weakref.finalize(self, _close, self._handles)

    def read(self, index: int, box: PixelBox) -> np.ndarray:
        """See `SampleSource.read`.

        Raises:
            InputError: the record is damaged, or was cut for weaker augmentation than is asked for.
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
        return window[top - w_top : bottom - w_top, left - w_left : right - w_left]

    def _read_jpeg(self, index: int) -> bytes:
        places = self._places
        if not places["jpeg_bytes"][index]:
            path = self.samples.image_paths[self.samples.image_index[index]]
            raise images.ImageError(f"{path}: not in the records", self.manifest["skipped"][path])
        shard = places["shard"][index]
        jpeg = os.pread(
            self._handles[shard], places["jpeg_bytes"][index], places["jpeg_offset"][index]
        )
        if zlib.crc32(jpeg) != places["jpeg_crc32"][index]:
            raise InputError(
                f"{self._paths[shard]}: record {places['record'][index]} (sample "
                f"{self.samples.sample_ids[index]}): altered since it was written; {MAKE_AGAIN}"
            )
        return jpeg


# The fields of KeypointSamples that the index holds under their own names.
SAMPLE_ARRAYS = (
    *("image_ids", "image_wh", "image_index", "sample_ids"),
    *("boxes_xyxy", "keypoints", "box_scores"),
)


def pack_paths(paths: tuple[str, ...]) -> np.ndarray:
    """Paths as one uint8 array, whatever bytes they are made of."""
    return np.frombuffer(b"\0".join(os.fsencode(path) for path in paths), np.uint8)


def unpack_paths(packed: np.ndarray) -> tuple[str, ...]:
    """What `pack_paths` packed; at least one path."""
    return tuple(os.fsdecode(path) for path in packed.tobytes().split(b"\0"))


def _close(handles: list[int]) -> None:
    for handle in handles:
        os.close(handle)
