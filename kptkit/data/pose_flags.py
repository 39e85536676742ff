"""From the `--data` flags to persons to learn from, and persons and truth to be judged by."""

import dataclasses
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kptkit.data.formats.coco import coco_samples
from kptkit.data.formats.document import AnnotationFile, own_part, split_by_image
from kptkit.data.formats.index import Format, load_annotations
from kptkit.data.records.pose import RecordSource
from kptkit.data.records.sources import ImageSource, SampleSource
from kptkit.errors import InputError
from kptkit.samples import KeypointSamples
from kptkit.skeletons.schema import KeypointSchema, parse_flip_pairs


@dataclass(frozen=True)
class DataConfig:
    """Where the data stand."""

    train: str | None = None
    """Annotation file to learn from, or a folder of records; none: the demo set. Of a file that
    says what is for training and what for testing (LSP, FLIC), the training part."""
    val: str | None = None
    """Annotation file to be judged by, or a share such as 0.1 of the training images. Of a file
    with a part for testing, which may be that of --data.train, that part."""
    format: Format = "coco"
    """What the annotation files are: coco json; mpii: mpii_human_pose_v1_u12_1.mat, or HRNet's
    json; flic: examples.mat (flic-observer: left and right are the observer's); lsp: joints.mat of
    LSP or LSP extended, or json; 300w: list of .pts files, or json; wflw: list, or json; cofw:
    json; dlib: XML of 68 points."""
    images: str | None = None
    """Folder of the training images."""
    val_images: str | None = None
    """Folder of the images of --data.val; none: that of --data.images."""
    orientation: Literal["auto", "stored", "exif"] = "auto"
    """How images lie: as stored, turned by EXIF, or (auto) whichever the json's sizes match."""
    flip_pairs: str | None = None
    """Keypoints that change places in a mirror: left_eye:right_eye,left_ear:right_ear or 1:2,3:4;
    none: inferred from left and right in their names."""
    category: str | None = None
    """Name of the category to use, where a file has several with keypoints."""

    def absolute(self) -> "DataConfig":
        """The same with absolute paths, so that a run folder means the same from anywhere."""
        paths = {
            name: os.path.abspath(value)
            for name in ("train", "val", "images", "val_images")
            if (value := getattr(self, name)) and not (name == "val" and is_share(value))
        }
        return replace(self, **paths)


@dataclass(frozen=True)
class PoseSet:
    """Persons to learn from or to be judged on, with the ground truth of all their images."""

    source: SampleSource
    truth: dict[str, Any]
    """A COCO dictionary, crowds and unlabelled persons included, as pycocotools reads it; empty for
    records, which hold persons only."""


@dataclass(frozen=True)
class PoseData:
    """What a training run needs to know of its data."""

    schema: KeypointSchema
    train: PoseSet
    held_out: PoseSet
    notices: tuple[str, ...]


def load_pose_data(config: DataConfig) -> PoseData:
    """Reads the training and the held-out data.

    Raises:
        InputError: a flag is missing, a file is unusable, or the two sets differ in keypoints.
    """
    if config.train is None or config.val is None:
        raise InputError(
            "--data: expected --data.train X.json --data.val Y.json (or a share such as 0.1) "
            "--data.images DIR (and --data.format for files other than COCO json)"
        )
    notices: list[str] = []
    if Path(config.train).is_dir():
        if is_share(config.val):
            raise InputError("--data.val: records cannot be split; expected an annotation file")
        records = RecordSource(config.train)
        schema = with_flip_pairs(records.samples.schema, config.flip_pairs)
        records.samples = replace(records.samples, schema=schema)
        train = PoseSet(records, truth={})
        held_out = load_held_out(config, notices)
    else:
        file = own_part(_load(config.train, config.images, config), "train")
        notices += file.notices
        schema = with_flip_pairs(file.schema, config.flip_pairs)
        if is_share(config.val):
            file, rest = split_by_image(file, float(config.val), seed=0)
            held_out = _pose_set(rest, config.images, config)
        else:
            held_out = load_held_out(config, notices)
        train = _pose_set(file, config.images, config)
    if held_out.source.samples.schema.names != schema.names:
        raise InputError(
            f"{config.val}: keypoints {held_out.source.samples.schema.names}, "
            f"expected those of {config.train}: {schema.names}"
        )
    return PoseData(schema, train, held_out, tuple(notices))


def load_held_out(config: DataConfig, notices: list[str]) -> PoseSet:
    """The held-out persons of a data configuration, as training and evaluation see them."""
    if is_share(config.val):
        file = own_part(_load(config.train, config.images, config), "train")
        _, rest = split_by_image(file, float(config.val), seed=0)
        return _pose_set(rest, config.images, config)
    images = config.val_images or config.images
    file = own_part(_load(config.val, images, config), "test")
    if config.val != config.train:  # else they are told already
        notices += file.notices
    return _pose_set(file, images, config)


def first_persons(persons: PoseSet, count: int) -> PoseSet:
    """The first `count` persons alone, and a truth that knows no others.

    Raises:
        InputError: the persons come from records, which hold no truth to be judged by.
    """
    if not persons.truth:
        raise InputError("--overfit: expected --data.train to be a COCO json, not records")
    samples = persons.source.samples
    samples = samples.select(np.arange(min(count, len(samples))))
    wanted = set(samples.sample_ids.tolist())
    annotations = [a for a in persons.truth["annotations"] if a["id"] in wanted]
    return PoseSet(ImageSource(samples), persons.truth | {"annotations": annotations})


def with_flip_pairs(schema: KeypointSchema, flag: str | None) -> KeypointSchema:
    """The schema with the pairs of `--data.flip-pairs`, where that is given."""
    if flag is None:
        return schema
    return dataclasses.replace(schema, flip_pairs=parse_flip_pairs(flag, schema.names))


def describe_flip_pairs(schema: KeypointSchema) -> str:
    """One line on the pairs in use, for the user to check."""
    if not schema.flip_pairs:
        return (
            "flip pairs: none found in the names, so mirroring is off in training and test; "
            "give them as --data.flip-pairs left_eye:right_eye,..."
        )
    pairs = ", ".join(f"{schema.names[a]}:{schema.names[b]}" for a, b in schema.flip_pairs)
    return f"flip pairs: {pairs}"


def _load(path: str, images: str | None, config: DataConfig) -> AnnotationFile:
    return load_annotations(path, config.format, images, config.category, config.orientation)


def _pose_set(file: AnnotationFile, images: str | None, config: DataConfig) -> PoseSet:
    return PoseSet(ImageSource(_samples(file, images, config)), file.annotations)


def _samples(file: AnnotationFile, images: str | None, config: DataConfig) -> KeypointSamples:
    if images is None:
        raise InputError("--data.images: not given; expected the folder that holds the images")
    samples = coco_samples(file, images, config.orientation)
    return replace(samples, schema=with_flip_pairs(samples.schema, config.flip_pairs))


def is_share(value: str | None) -> bool:
    """Whether a flag is a number between 0 and 1, and no path."""
    try:
        return 0 < float(value or "") < 1
    except ValueError:
        return False
