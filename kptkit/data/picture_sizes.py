"""Checks that a data set's pictures exist and have the sizes and orientation of its annotations.

Annotations refer to a picture as the labelling tool displayed it: as stored (COCO), or turned by
its EXIF tag (most tools). The sizes in the annotation file show which.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import numpy as np
from tqdm import tqdm

from kptkit import images
from kptkit.data.links import lead_out, link_out
from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError
from kptkit.samples import KeypointSamples, Orientation
from kptkit.wording import counted, printable

# Reading the headers of this many pictures takes a while, so a progress bar is shown.
_MANY_IMAGES = 2_000


def with_readable_images(
    samples: KeypointSamples,
    orientation: Literal["auto"] | Orientation,
    source: str,
    report: Callable[[str], None],
    folder: str | os.PathLike | None = None,
) -> KeypointSamples:
    """The samples whose pictures can be opened, with the orientation that their sizes match.

    Only headers are checked; broken pixel data is found when the pictures are decoded.

    Args:
        orientation: "stored" or "exif" is the orientation whose sizes must be the samples'
            `image_wh`; "auto" chooses the one that matches.
        source: the annotation file, for messages.
        report: called with a line about pictures left out, and one if the sizes match both
            orientations of pictures with an EXIF rotation.
        folder: of the pictures, which those must not lead out of; see `kptkit.data.links`.

    Raises:
        InputError: too many pictures are missing or unreadable, sizes match neither orientation,
            or some match only as stored and others only after the EXIF rotation.
    """
    found = read_headers(samples.image_paths, folder)
    skipped = SkippedPictures(len(found))
    for path, header in zip(samples.image_paths, found, strict=True):
        if isinstance(header, images.ImageError):
            skipped.record(path, header.reason)
    skipped.refuse_all(len(found), source)
    skipped.check()
    readable = np.array([isinstance(header, images.ImageHeader) for header in found])
    kept = _with_images(samples, readable)
    if len(skipped):
        report(f"{source}: left out: {skipped.summary()}")
    headers = [header for header in found if isinstance(header, images.ImageHeader)]
    chosen = _matching_orientation(kept, headers, orientation, source, report)
    return replace(kept, orientation=chosen)


def read_headers(
    paths: Sequence[str], folder: str | os.PathLike | None = None
) -> list[images.ImageHeader | images.ImageError]:
    """The header of each picture, or the error of reading it; nothing is decoded.

    Args:
        folder: pictures that lead out of it are not opened; see `kptkit.data.links`.
    """
    out = lead_out(folder, paths)
    with ThreadPoolExecutor(16) as pool:
        headers = pool.map(_read_header, paths, out, chunksize=64)
        quiet = len(paths) < _MANY_IMAGES
        return list(tqdm(headers, "reading picture sizes", len(paths), disable=quiet))


def _read_header(path: str, leads_out: bool) -> images.ImageHeader | images.ImageError:
    if leads_out:
        return link_out(path)
    try:
        return images.read_header(images.read_bytes(path))
    except images.ImageError as error:
        return error


def _with_images(samples: KeypointSamples, keep: np.ndarray) -> KeypointSamples:
    """The samples on those images for which `keep` (M,) bool is true."""
    numbers = np.cumsum(keep) - 1
    samples = samples.select(np.flatnonzero(keep[samples.image_index]))
    return replace(
        samples,
        image_paths=tuple(np.array(samples.image_paths, object)[keep].tolist()),
        image_ids=samples.image_ids[keep],
        image_wh=samples.image_wh[keep],
        image_index=numbers[samples.image_index],
    )


def _matching_orientation(
    samples: KeypointSamples,
    headers: list[images.ImageHeader],
    orientation: Literal["auto"] | Orientation,
    source: str,
    report: Callable[[str], None],
) -> Orientation:
    sizes = {
        "stored": np.array([header.size_wh for header in headers]),
        "exif": np.array([header.upright_wh for header in headers]),
    }
    fits = {way: (sizes[way] == samples.image_wh).all(axis=1) for way in sizes}
    wrong = ~(fits["stored"] | fits["exif"]) if orientation == "auto" else ~fits[orientation]
    if wrong.any():
        index = int(np.argmax(wrong))
        raise InputError(_size_message(samples, index, headers[index], int(wrong.sum()), source))
    if orientation != "auto":
        return orientation
    only_stored, only_exif = fits["stored"] & ~fits["exif"], fits["exif"] & ~fits["stored"]
    if only_stored.any() and only_exif.any():
        raise InputError(
            f"{source}: images: {only_stored.sum()} sizes are those of the pictures as stored, "
            f"{only_exif.sum()} those after the EXIF rotation; correct the minority and say which "
            "with --data.orientation stored or exif"
        )
    turned = sum(header.orientation != 1 for header in headers)
    if turned and not only_stored.any() and not only_exif.any():
        report(
            f"{source}: {counted(turned, 'picture')} with an EXIF rotation that the sizes do not "
            "settle; read as stored; --data.orientation exif reads them as displayed"
        )
    return "exif" if only_exif.any() else "stored"


def _size_message(
    samples: KeypointSamples, index: int, header: images.ImageHeader, count: int, source: str
) -> str:
    stated, stored, displayed = (
        f"{width}x{height}"
        for width, height in (samples.image_wh[index], header.size_wh, header.upright_wh)
    )
    exif = f" (displayed as {displayed} by its EXIF tag)" if displayed != stored else ""
    more = f"; and {count - 1} more" if count > 1 else ""
    path = printable(samples.image_paths[index])
    return (
        f"{source}: images (id {samples.image_ids[index]}): {stated} is stated, but {path} is "
        f"stored as {stored}{exif}; correct the stated size, or choose --data.orientation{more}"
    )
