"""Cuts the persons of an annotation file out of their pictures, for faster training.

    kptkit data records --annotations X.json --images DIR --out RECORDS
    kptkit train hrnet --data.train RECORDS --data.val Y.json --data.val-images DIR

Training from records sees the same crops in the same order as training from the pictures. About
100 persons/s per core and 60 kB per person. After a stop, the same command resumes.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from kptkit import flags
from kptkit.data.augment.settings import AugmentConfig
from kptkit.data.pose_flags import Format
from kptkit.fields import COUNT, COUNT_OR_NONE, Existing, Range, Written
from kptkit.wording import counted, say


@dataclass(frozen=True)
class RecordsConfig:
    """What to cut out, and where to write it."""

    annotations: Annotated[Path, Existing("file")]
    """Annotation file; if it defines a training split, only that split is used."""
    images: Annotated[Path, Existing("folder")]
    """Folder of its pictures."""
    out: Annotated[Path, Written("folder")]
    """Folder to write."""
    format: Format = "coco"
    """Format of the annotation file; see --data.format of kptkit train hrnet."""
    orientation: Literal["auto", "stored", "exif"] = "auto"
    """Orientation of pictures: as stored, by EXIF, or (auto) the one that matches their sizes."""
    follow_links: bool = False
    """Whether pictures that are links out of their folder are read."""
    category: str | None = None
    """Name of the category to use, where a file has several with keypoints."""
    size_wh: Annotated[tuple[int, int], Range(1, 4096)] = (192, 256)
    """Width and height of the training crops in pixels; only their ratio matters."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """The strongest augmentation that the records must support."""
    jpeg_quality: Annotated[int, Range(1, 100)] = 95
    """Quality of the stored pictures; 95 is nearly without loss."""
    shard_size: Annotated[int, COUNT] = 512
    """Persons per shard."""
    workers: Annotated[int | None, COUNT_OR_NONE] = None
    """Number of threads; default: one per core."""
    verify: bool = False
    """Also compare every byte of existing files with the manifest."""


def main(config: RecordsConfig) -> None:
    """Writes the records and prints their size."""
    from kptkit import files
    from kptkit.data.formats.document import own_part
    from kptkit.data.formats.index import load_annotations
    from kptkit.data.links import folder_of
    from kptkit.data.records.pose import CutConfig, RecordSource
    from kptkit.data.records.pose_writer import write_records
    from kptkit.data.to_samples import keypoint_samples

    folder = folder_of(config.images, config.follow_links)
    file = load_annotations(
        config.annotations, config.format, folder, config.category, config.orientation
    )
    file = own_part(file, "train")
    for notice in file.notices:
        say(notice)
    samples = keypoint_samples(file, folder, config.orientation)
    cut = CutConfig(config.size_wh, config.augment, config.jpeg_quality, config.shard_size)
    made_from = {
        "annotations": config.annotations.name,
        "sha256": files.sha256(config.annotations),
        "category": config.category or "",
    }
    workers = config.workers or os.cpu_count() or 1
    manifest = write_records(samples, config.out, cut, config.images, made_from, workers)
    if config.verify:
        RecordSource(config.out, verify=True)
    gigabytes = sum(shard["bytes"] for shard in manifest["shards"]) / 1e9
    print(
        f"{config.out}: {counted(manifest['persons'], 'person')} in "
        f"{counted(len(manifest['shards']), 'shard')}, {gigabytes:.2f} GB; "
        f"{counted(len(manifest['skipped']), 'picture')} could not be used"
    )


def command() -> None:
    """The command line."""
    flags.run(main, RecordsConfig, __doc__)
