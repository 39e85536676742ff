"""Mutated annotation files of every reader, read as training, mining, evaluation and predict do.

Right: finite samples in range, or an InputError of one printable line that names the file; within 2
seconds and 256 MB, without a warning.
"""

import os
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from campaign.annotation_files import FORMATS, Samples, write_all
from campaign.mutations import mutate
from campaign.parts import FOLDER
from kptkit.errors import InputError
from kptkit.metrics.oks import coco_results
from kptkit.samples import FaceSamples, KeypointSamples

SECONDS, MEGABYTES = 2.0, 256
LARGEST = 1e7  # a coordinate may be 1e6, a person of MPII a thousand times that is refused


def prepare(folder: str) -> None:
    """Writes the sound files, and sees that they are read."""
    write_all(Path(folder))
    for name, made in FORMATS.items():
        wrong = "; ".join(faults_of(made.read(Path(folder, name), Path(folder), _ignore)))
        if wrong:
            raise RuntimeError(f"{name}: {wrong}")


def attempt(seed: int) -> str:
    """Reads one mutated file; "" if the answer is right."""
    rng = np.random.default_rng(seed)
    name = list(FORMATS)[seed % len(FORMATS)]
    sound = Path(os.environ[FOLDER])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for beside in FORMATS[name].beside:
            shutil.copy(sound / beside, folder / beside)
        path = folder / name
        path.write_bytes(mutate(name, FORMATS[name].content, rng))
        wrong = verdict(name, path, sound)
    return wrong and f"{name}: {wrong}"


def verdict(name: str, path: Path, pictures: Path) -> str:
    """What is wrong about how a file is read; "" if nothing is."""
    said: list[str] = []
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            wrong = "; ".join(faults_of(FORMATS[name].read(path, pictures, said.append)))
        except InputError as error:
            said.append(str(error))
            known = (path.name, *FORMATS[name].beside)
            wrong = "" if any(n in str(error) for n in known) else f"names no file: {error}"
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    unprintable = [line for line in said if not line.isprintable()]
    if unprintable:
        wrong = f"not one printable line: {unprintable[0]!r}"
    elif any("Error(" in line or "Traceback" in line for line in said):
        wrong = f"an exception's name: {said[-1]}"
    elif any(len(line) > 2000 for line in said):
        wrong = f"{max(map(len, said))} characters in a line"
    if seconds > SECONDS:
        wrong = wrong or f"took {seconds:.1f} s"
    return wrong or (f"took {grown} MB" if grown > MEGABYTES else "")


def faults_of(samples: Samples) -> Iterator[str]:
    """What of some samples cannot be."""
    if isinstance(samples, dict):
        for boxes_xyxy in samples.values():
            yield from _box_faults(boxes_xyxy)
        return
    yield from _box_faults(samples.boxes_xyxy)
    index = samples.image_index
    if not len(samples) or not ((index >= 0) & (index < len(samples.image_paths))).all():
        yield f"{len(samples)} samples, or an index of a picture out of range"
    if isinstance(samples, FaceSamples):
        known = np.isfinite(samples.landmarks)
        if (known.any(axis=2) & ~known.all(axis=2)).any():
            yield "landmarks that are half known"
        if (np.abs(samples.landmarks[known]) > LARGEST).any():
            yield "landmarks far away"
    else:
        yield from _person_faults(samples)


def _box_faults(boxes_xyxy: np.ndarray) -> Iterator[str]:
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    if not (np.abs(boxes_xyxy) <= LARGEST).all():
        yield "a box that is not finite, or far away"
    elif (sides < 0).any() or (sides == 0).all(axis=1).any():
        yield "a box without area"


def _person_faults(samples: KeypointSamples) -> Iterator[str]:
    keypoints = samples.keypoints
    labelled = keypoints[..., 2] > 0
    if not np.isfinite(keypoints[labelled]).all() or (np.abs(keypoints[labelled]) > LARGEST).any():
        yield "labelled keypoints that are not finite, or far away"
    if not np.isin(keypoints[..., 2], (0, 1, 2)).all():
        yield "a visibility that is none of 0, 1, 2"
    ids = samples.sample_ids
    if len(np.unique(ids)) < len(ids) or (ids < 0).any():
        yield "sample ids that are not unique"
    if not (np.isfinite(samples.box_scores).all() and (samples.image_wh > 0).all()):
        yield "scores or sizes of pictures that cannot be"
    lengths = samples.reference_lengths
    if lengths is not None and not (lengths[np.isfinite(lengths)] > 0).all():
        yield "a reference length of 0 or less"
    points = np.where(labelled[..., None], keypoints, 0.0)
    pictures = samples.image_ids[samples.image_index]
    coco_results(pictures, 1, points, samples.box_scores)  # raises if one is not finite


def _ignore(line: str) -> None:
    """Notices of sound files are of no interest."""
