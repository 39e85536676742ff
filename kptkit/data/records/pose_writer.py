"""Writes pose records (`kptkit.data.records.pose`): cuts persons out of their pictures.

Every shard appears only when it is complete, so a writer that was killed continues after its last
finished shard. The content of a shard depends only on the plan, not on the number of workers or
restarts.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kptkit import files, images
from kptkit.arrays import save_arrays
from kptkit.data.augment.pose import reachable_boxes
from kptkit.data.records.folder import (
    RECORD_HEAD,
    RECORD_TAIL,
    file_entry,
    fill_folder,
    reason_of,
)
from kptkit.data.records.pose import (
    FORMAT,
    INDEX,
    SAMPLE_ARRAYS,
    VERSION,
    CutConfig,
    PoseManifest,
    pack_paths,
)
from kptkit.data.records.sources import read_picture
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.samples import KeypointSamples

# JPEG with 4:2:0 subsampling codes tiles of 16 x 16 pixels. Coding a window again loses less if it
# starts on a tile of the original picture.
TILE = 16


class Row(NamedTuple):
    """The position of a person's JPEG in its shard: offset and length in bytes."""

    sample_id: int
    jpeg_offset: int
    jpeg_bytes: int
    jpeg_crc32: int
    window_xyxy: tuple[int, ...]
    skipped: str


def write_records(
    samples: KeypointSamples,
    folder: str | os.PathLike,
    cut: CutConfig,
    images_folder: str | os.PathLike,
    made_from: dict[str, str],
    workers: int,
) -> dict[str, Any]:
    """Fills a folder with records, or goes on filling it; returns its manifest.

    Pictures that cannot be read are counted. Their persons get a record without an image, so that
    a training run sees the same batches from records as from pictures.

    Args:
        folder: a new or empty folder, or one that was begun with the same plan.
        images_folder: picture paths are stored relative to it, so that the pictures may be moved.
        made_from: identifies the samples in the plan, such as by a file's name and SHA-256.
        workers: number of threads.

    Raises:
        InputError: the folder holds other records or is in use, the disk is full, or too many
            pictures cannot be read.
    """
    folder = Path(folder)
    plan = {
        "format": FORMAT,
        "version": VERSION,
        "made_from": made_from,
        "orientation": samples.orientation,
        "cut": asdict(cut),
    }
    fill = partial(_fill, samples, folder, cut, images_folder, workers)
    return fill_folder(folder, plan, fill, PoseManifest)


def _fill(
    samples: KeypointSamples,
    folder: Path,
    cut: CutConfig,
    images_folder: str | os.PathLike,
    workers: int,
) -> dict[str, Any]:
    """Writes the missing shards and the index; returns the entries of the manifest."""
    # The persons of a picture follow one another, so that it is decoded once.
    order = np.argsort(samples.image_index, kind="stable")
    parts = [order[i : i + cut.shard_size] for i in range(0, len(order), cut.shard_size)]
    paths = [folder / f"pose-{i:05d}-of-{len(parts):05d}.tfrecord" for i in range(len(parts))]
    rows = _write_shards(samples, paths, parts, cut, workers)
    names = tuple(
        Path(os.path.relpath(path, images_folder)).as_posix() for path in samples.image_paths
    )
    _write_index(folder / INDEX, replace(samples, image_paths=names), parts, rows)
    persons = zip(np.concatenate(parts), chain(*rows), strict=True)
    return {
        "schema": samples.schema.to_json(),
        "persons": len(samples),
        "images": len(names),
        "skipped": {
            names[samples.image_index[index]]: row.skipped for index, row in persons if row.skipped
        },
        "index": file_entry(folder / INDEX),
        "shards": [
            file_entry(path) | {"persons": len(part)}
            for path, part in zip(paths, parts, strict=True)
        ],
    }


def _write_shards(
    samples: KeypointSamples,
    paths: list[Path],
    parts: list[np.ndarray],
    cut: CutConfig,
    workers: int,
) -> list[list[Row]]:
    """Writes the missing shards; returns the rows of every shard."""
    windows_xyxy = windows_to_keep(samples, cut)
    skipped = SkippedPictures(len(samples))

    def make(path: Path, indices: np.ndarray) -> list[Row]:
        if not path.exists():
            write_shard(path, samples, indices, windows_xyxy, cut.jpeg_quality, skipped)
        rows = list(shard_rows(path))
        if [row.sample_id for row in rows] != samples.sample_ids[indices].tolist():
            raise InputError(f"{path}: holds other persons than expected; remove it and go on")
        return rows

    rows = []
    # Decoding and encoding release Python's global lock, so threads suffice.
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(samples), desc="persons", unit="", dynamic_ncols=True) as bar,
    ):
        for shard in pool.map(make, paths, parts):
            rows.append(shard)
            bar.update(len(shard))
    return rows


def windows_to_keep(samples: KeypointSamples, cut: CutConfig) -> np.ndarray:
    """The part of each person's picture that a record must hold, as augmentation can reach it.

    Returns:
        (N, 4) int64 x1 y1 x2 y2 in image pixels, x2 and y2 excluded.
    """
    reach = reachable_boxes(
        cut.augment, samples.boxes_xyxy, samples.keypoints, samples.schema, cut.size_wh
    )
    # One pixel more for interpolation, one for rounding.
    last = samples.image_wh[samples.image_index] - 1
    low = np.clip(np.floor(reach[:, :2]) - 2, 0, last) // TILE * TILE
    high = np.clip(np.ceil(reach[:, 2:]) + 2, low, last) + 1
    return np.concatenate([low, high], axis=1).astype(np.int64)


def write_shard(
    path: Path,
    samples: KeypointSamples,
    indices: np.ndarray,
    windows_xyxy: np.ndarray,
    jpeg_quality: int,
    skipped: SkippedPictures,
) -> None:
    """Writes one shard.

    Args:
        path: of the shard; it appears there when it is complete.
        indices: (N,) persons of the shard; those of one picture follow one another.
        windows_xyxy: of all persons, see `windows_to_keep`.
        skipped: notes the pictures that cannot be read.

    Raises:
        InputError: too many pictures cannot be read, or the disk is full.
    """
    place, image, reason = -1, None, ""
    try:
        with (
            files.publish_file(path) as unfinished,
            tf.io.TFRecordWriter(str(unfinished)) as writer,
        ):
            for index in indices:
                if samples.image_index[index] != place:
                    place = int(samples.image_index[index])
                    image, reason = _open_picture(samples, place, skipped)
                left, top, right, bottom = windows_xyxy[index]
                jpeg = b""
                if image is not None:
                    jpeg = encode_window(image[top:bottom, left:right], jpeg_quality)
                example = _example(samples, index, windows_xyxy[index], jpeg, reason)
                writer.write(example.SerializeToString(deterministic=True))
    except tf.errors.OpError as error:
        raise InputError(f"{path}: cannot be written: {reason_of(error)}") from None


def encode_window(image_rgb: np.ndarray, quality: int) -> bytes:
    """Encodes RGB pixels (h, w, 3) uint8 as a JPEG.

    Chroma is subsampled 4:2:0, as in photographs; that decodes in 2/3 of the time of 4:4:4.
    """
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        *(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    ]
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", image_bgr, settings)[1].tobytes()


def _open_picture(
    samples: KeypointSamples, place: int, skipped: SkippedPictures
) -> tuple[np.ndarray | None, str]:
    """A picture and "", or None and the reason why it cannot be used."""
    try:
        return read_picture(samples, place), ""
    except images.ImageError as error:
        skipped.record(samples.image_paths[place], error.reason)
        skipped.check()
        return None, error.reason


def _example(
    samples: KeypointSamples, index: int, window_xyxy: np.ndarray, jpeg: bytes, skipped: str
) -> tf.train.Example:
    def floats(values: np.ndarray) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values.ravel()))

    def integers(*values: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def text(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    return tf.train.Example(
        features=tf.train.Features(
            feature={
                "image": text(jpeg),
                "window_xyxy": integers(*window_xyxy.tolist()),
                "box_xyxy": floats(samples.boxes_xyxy[index]),
                "keypoints": floats(samples.keypoints[index]),
                "sample_id": integers(samples.sample_ids[index]),
                "image_id": integers(samples.image_ids[samples.image_index[index]]),
                "skipped": text(skipped.encode()),
            }
        )
    )


def shard_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a finished shard, in order."""
    with open(path, "rb") as file:
        while header := file.read(RECORD_HEAD):
            start = file.tell()
            (length,) = struct.unpack("<Q", header[:8])
            content = file.read(length)
            file.seek(RECORD_TAIL, os.SEEK_CUR)
            feature = tf.train.Example.FromString(content).features.feature
            jpeg = feature["image"].bytes_list.value[0]
            yield Row(
                sample_id=feature["sample_id"].int64_list.value[0],
                jpeg_offset=start + content.find(jpeg),
                jpeg_bytes=len(jpeg),
                jpeg_crc32=zlib.crc32(jpeg),
                window_xyxy=tuple(feature["window_xyxy"].int64_list.value),
                skipped=feature["skipped"].bytes_list.value[0].decode(),
            )


def _write_index(
    path: Path, samples: KeypointSamples, parts: list[np.ndarray], rows: list[list[Row]]
) -> None:
    """Writes the samples and the position of each sample's JPEG."""
    order = np.concatenate(parts)
    written = list(chain(*rows))

    def by_person(column: np.ndarray) -> np.ndarray:
        placed = np.empty_like(column)
        placed[order] = column
        return placed

    shard = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    record = np.concatenate([np.arange(len(part), dtype=np.int32) for part in parts])
    arrays = {"image_paths": pack_paths(samples.image_paths)}
    arrays |= {name: getattr(samples, name) for name in SAMPLE_ARRAYS}
    places = {
        "shard": shard,
        "record": record,
        "jpeg_offset": np.array([row.jpeg_offset for row in written], np.int64),
        "jpeg_bytes": np.array([row.jpeg_bytes for row in written], np.int64),
        "jpeg_crc32": np.array([row.jpeg_crc32 for row in written], np.uint32),
        "window_xyxy": np.array([row.window_xyxy for row in written], np.int64),
    }
    save_arrays(path, arrays | {name: by_person(column) for name, column in places.items()})
