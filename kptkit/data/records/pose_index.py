"""The index of pose records: all persons as arrays, and where the JPEG of each one is.

Everything in it is checked against the manifest and the sizes of the shards, so that a record is
read nowhere else.
"""

from pathlib import Path
from typing import Any

import numpy as np

from kptkit.arrays import read_arrays
from kptkit.errors import InputError

# The longest side of a picture, in pixels; larger numbers are mistakes.
MOST_PIXELS = 1 << 24
# Coordinates beyond it are mistakes too; see `kptkit.data.formats.faults`.
_FARTHEST = 1e7

# Types and shapes of the arrays; N persons, M images, K keypoints, B bytes.
_ARRAYS = {
    "image_paths": ("u1", "B"),
    "image_ids": ("i8", "M"),
    "image_wh": ("i4", "M2"),
    "image_index": ("i8", "N"),
    "sample_ids": ("i8", "N"),
    "boxes_xyxy": ("f4", "N4"),
    "keypoints": ("f4", "NK3"),
    "box_scores": ("f4", "N"),
    "shard": ("i4", "N"),
    "record": ("i4", "N"),
    "jpeg_offset": ("i8", "N"),
    "jpeg_bytes": ("i8", "N"),
    "jpeg_crc32": ("u4", "N"),
    "window_xyxy": ("i8", "N4"),
}


def read_index(path: Path, manifest: dict[str, Any], advice: str) -> dict[str, np.ndarray]:
    """The arrays of an index.

    Args:
        manifest: that of the records, as `PoseManifest` has checked it.
        advice: what to do if the index cannot be used, for messages.

    Raises:
        InputError: the file is damaged, or holds other arrays or values than an index.
    """
    arrays = read_arrays(path)
    fault = _shape_fault(arrays, manifest) or _value_fault(arrays, manifest)
    if fault:
        raise InputError(f"{path}: {fault}; {advice}")
    return arrays


def _shape_fault(arrays: dict[str, np.ndarray], manifest: dict[str, Any]) -> str | None:
    """What is wrong with names, types or shapes."""
    if arrays.keys() != _ARRAYS.keys():
        odd = sorted(arrays.keys() ^ _ARRAYS.keys())[0]
        return f"{odd[:80]!a} is missing or unknown"
    sides = {"N": manifest["persons"], "M": manifest["images"], "2": 2, "3": 3, "4": 4}
    sides |= {"K": len(manifest["schema"]["names"]), "B": arrays["image_paths"].size}
    for name, (kind, shape) in _ARRAYS.items():
        expected = tuple(sides[letter] for letter in shape)
        found = arrays[name]
        if found.dtype != np.dtype(kind) or found.shape != expected:
            return f"{name}: {found.dtype} {found.shape}; expected {np.dtype(kind)} {expected}"
    return None


def _value_fault(arrays: dict[str, np.ndarray], manifest: dict[str, Any]) -> str | None:
    """What is wrong with the values."""
    images = manifest["images"]
    shard, start, length = (arrays[n] for n in ("shard", "jpeg_offset", "jpeg_bytes"))
    shards, visibility = manifest["shards"], arrays["keypoints"][..., 2]
    ids = np.sort(arrays["sample_ids"])  # np.unique takes thirty times as long
    faults = {
        "image_paths": np.count_nonzero(arrays["image_paths"] == 0) != images - 1,
        "image_wh": _outside(arrays["image_wh"], 1, MOST_PIXELS),
        "image_index": _outside(arrays["image_index"], 0, images - 1),
        "sample_ids": ids[0] < 0 or (ids[1:] == ids[:-1]).any(),
        "boxes_xyxy": _outside(arrays["boxes_xyxy"], -_FARTHEST, _FARTHEST)
        or not (arrays["boxes_xyxy"][:, 2:] > arrays["boxes_xyxy"][:, :2]).all(),
        "keypoints": _outside(arrays["keypoints"][..., :2], -_FARTHEST, _FARTHEST)
        or not ((visibility == 0) | (visibility == 1) | (visibility == 2)).all(),
        "box_scores": not np.isfinite(arrays["box_scores"]).all(),
        "shard": _outside(shard, 0, len(shards) - 1),
    }
    wrong = next((name for name, fault in faults.items() if fault), None)
    if wrong is None:
        counts = np.array([entry["persons"] for entry in shards])
        sizes = np.array([entry["bytes"] for entry in shards])[shard]
        inside = (start >= 0) & (start <= sizes) & (length >= 0) & (length <= sizes - start)
        order = np.lexsort((arrays["record"], shard))
        numbers = np.concatenate([np.arange(count) for count in counts])
        faults = {
            "shard": (np.bincount(shard, minlength=len(shards)) != counts).any(),
            "record": (arrays["record"][order] != numbers).any(),
            "jpeg_offset and jpeg_bytes": not inside.all(),
            "window_xyxy": _window_fault(arrays),
        }
        wrong = next((name for name, fault in faults.items() if fault), None)
    return None if wrong is None else f"{wrong}: values that do not fit the records"


def _outside(values: np.ndarray, low: float, high: float) -> bool:
    """Whether a value is not between two bounds; NaN is not."""
    return not ((values >= low) & (values <= high)).all()


def _window_fault(arrays: dict[str, np.ndarray]) -> bool:
    """Whether a window is empty or not within its picture."""
    low, high = np.split(arrays["window_xyxy"], 2, axis=1)
    sizes = arrays["image_wh"][arrays["image_index"]]
    return not ((low >= 0) & (low < high) & (high <= sizes)).all()
