"""From the `--data` flags to the persons to train on and those to evaluate on."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kptkit.data.formats.document import AnnotationFile, Part, own_part, split_by_image
from kptkit.data.formats.index import load_annotations
from kptkit.data.links import folder_of
from kptkit.data.pose_flags import DataConfig, share_of
from kptkit.data.records.folder import MANIFEST, PLAN
from kptkit.data.records.pose import RecordSource
from kptkit.data.records.sources import ImageSource, SampleSource
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError
from kptkit.skeletons.schema import KeypointSchema, parse_flip_pairs


@dataclass(frozen=True)
class PoseSet:
    """Persons to train or evaluate on, with the ground truth of all their images."""

    source: SampleSource
    truth: dict[str, Any]
    """COCO dictionary that pycocotools can read, including crowds and unlabelled persons; empty for
    records, which contain only persons."""


@dataclass(frozen=True)
class PoseData:
    """The data of a training run."""

    schema: KeypointSchema
    train: PoseSet
    held_out: PoseSet
    notices: tuple[str, ...]
    """Lines for the user about what was assumed or left out."""


def load_pose_data(config: DataConfig) -> PoseData:
    """Reads the training and the held-out data.

    Raises:
        InputError: a flag is missing, a file cannot be used, or the two sets' keypoints differ.
    """
    config.check_complete()
    if config.train is None or config.val is None:
        raise InputError("--data.train and --data.val: expected both")
    notices: list[str] = []
    if Path(config.train).is_dir():
        _check_records_folder(Path(config.train))
        if share_of(config.val):
            raise InputError("--data.val: records cannot be split; expected an annotation file")
        train = PoseSet(_open_records(config.train, config), truth={})
        held_out = load_held_out(config, notices)
    else:
        file = _open_part(config.train, "train", config.images, config)
        notices += file.notices
        if share := share_of(config.val):
            file, rest = split_by_image(file, share, seed=0)
            held_out = _pose_set(rest, config.images, config)
        else:
            held_out = load_held_out(config, notices)
        train = _pose_set(file, config.images, config)
    schema = train.source.samples.schema
    if held_out.source.samples.schema.names != schema.names:
        raise InputError(
            f"{config.val}: keypoints {held_out.source.samples.schema.names}, "
            f"expected those of {config.train}: {schema.names}"
        )
    return PoseData(schema, train, held_out, tuple(notices))


def load_held_out(config: DataConfig, notices: list[str]) -> PoseSet:
    """The held-out persons of a data configuration, the same for training and evaluation.

    Args:
        notices: the file's notices are appended, unless it is the training file.

    Raises:
        InputError: a flag is missing or a file cannot be used.
    """
    if config.val is None:
        raise InputError("--data.val: not given; expected the annotation file to evaluate on")
    if share := share_of(config.val):
        if config.train is None:
            raise InputError(
                f"--data.val {config.val}: a share of --data.train, which is not given"
            )
        file = _open_part(config.train, "train", config.images, config)
        _, rest = split_by_image(file, share, seed=0)
        return _pose_set(rest, config.images, config)
    images = config.val_images or config.images
    file = _open_part(config.val, "test", images, config)
    if config.val != config.train:  # otherwise the caller has them already
        notices += file.notices
    return _pose_set(file, images, config)


def first_persons(persons: PoseSet, count: int) -> PoseSet:
    """The first `count` persons, with a ground truth that contains only these.

    Raises:
        InputError: the persons come from records, which contain no ground truth.
    """
    if not persons.truth:
        raise InputError("--overfit: expected --data.train to be a COCO json, not records")
    samples = persons.source.samples
    samples = samples.select(np.arange(min(count, len(samples))))
    wanted = set(samples.sample_ids.tolist())
    annotations = [a for a in persons.truth["annotations"] if a["id"] in wanted]
    return PoseSet(ImageSource(samples), persons.truth | {"annotations": annotations})


def describe_flip_pairs(schema: KeypointSchema) -> str:
    """One line that lists the flip pairs in use, for the user to check."""
    if not schema.flip_pairs:
        return (
            "flip pairs: none found in the names, so mirroring is off in training and test; "
            "give them as --data.flip-pairs left_eye:right_eye,..."
        )
    pairs = ", ".join(f"{schema.names[a]}:{schema.names[b]}" for a, b in schema.flip_pairs)
    return f"flip pairs: {pairs}"


def _check_records_folder(folder: Path) -> None:
    """Raises an InputError if a folder is none of records."""
    if not any((folder / name).exists() for name in (MANIFEST, PLAN)):
        raise InputError(
            f"--data.train {folder}: a folder without records (no {MANIFEST}); expected an "
            "annotation file, or a folder that kptkit data records wrote"
        )


def _open_records(folder: str, config: DataConfig) -> RecordSource:
    records = RecordSource(folder)
    schema = _with_flip_pairs(records.samples.schema, config)
    records.samples = replace(records.samples, schema=schema)
    return records


def _open_part(path: str, part: Part, images: str | None, config: DataConfig) -> AnnotationFile:
    folder = None if images is None else folder_of(images, config.follow_links)
    file = load_annotations(path, config.format, folder, config.category, config.orientation)
    file = own_part(file, part)
    return replace(file, schema=_with_flip_pairs(file.schema, config))


def _with_flip_pairs(schema: KeypointSchema, config: DataConfig) -> KeypointSchema:
    """The schema with the pairs of `--data.flip-pairs`, if given."""
    if config.flip_pairs is None:
        return schema
    return replace(schema, flip_pairs=parse_flip_pairs(config.flip_pairs, schema.names))


def _pose_set(file: AnnotationFile, images: str | None, config: DataConfig) -> PoseSet:
    if images is None:
        raise InputError("--data.images: not given; expected the folder that holds the images")
    folder = folder_of(images, config.follow_links)
    samples = keypoint_samples(file, folder, config.orientation)
    return PoseSet(ImageSource(samples), file.annotations)
