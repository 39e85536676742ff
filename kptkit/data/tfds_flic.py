"""FLIC from TensorFlow Datasets, as pictures and the rows of its examples.mat."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kptkit import files, images
from kptkit.data.formats.faults import is_file_name
from kptkit.errors import InputError


def extract_flic(data_dir: Path, variant: str, out: Path) -> list[dict[str, Any]]:
    """Writes examples.json and the folder images; returns the rows of the first.

    Args:
        data_dir: folder of TensorFlow Datasets.
        variant: small or full.

    Raises:
        InputError: the data set is not there, or tensorflow-datasets is not installed.
    """
    rows = sorted(
        _examples(data_dir, variant, out), key=lambda row: (row["filepath"], row["torsobox"])
    )
    files.write_json(out / "examples.json", rows)
    return rows


def _examples(data_dir: Path, variant: str, out: Path) -> Iterator[dict[str, Any]]:
    """Writes the pictures and yields the fields of `kptkit.data.formats.flic` for each person.

    Raises:
        InputError: the data set is not there, or tensorflow-datasets is not installed.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise InputError(f"needs {error.name}: pip install 'kptkit[tfds]'") from None

    # Features come from the builder's code, not from the data set's files.
    builder = tfds.builder(f"flic/{variant}", data_dir=data_dir)
    if not builder.is_prepared():
        raise InputError(
            f"{data_dir}: no prepared flic/{variant}; run tfds build "
            f"flic/{variant} --data_dir {data_dir} first"
        )
    decoders = {"image": tfds.decode.SkipDecoding()}
    for split in ("train", "test"):
        for example in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders)):
            yield write_example(example, split, out / "images")


def write_example(example: dict[str, Any], split: str, folder: Path) -> dict[str, Any]:
    """Writes the picture of an example, and returns the example's row of the JSON file.

    Raises:
        InputError: the picture's name leads out of the folder, or it is not a picture.
    """
    name = f"{example['moviename'].decode()}-{int(example['currframe']):08d}.jpg"
    if not is_file_name(name) or "/" in name:
        raise InputError(f"moviename: {name!r}; expected the name of a movie")
    width, height = images.image_size_wh(example["image"])
    path = folder / name
    if not path.exists():
        with files.publish_file(path) as unfinished:
            unfinished.write_bytes(example["image"])
    ymin, xmin, ymax, xmax = example["torsobox"].tolist()
    coords = np.stack([example["xcoords"], example["ycoords"]]).tolist()
    return {
        "filepath": name,
        "coords": [[n if np.isfinite(n) else None for n in row] for row in coords],
        "torsobox": [xmin * width, ymin * height, xmax * width, ymax * height],
        "imgdims": [height, width, 3],
        "istrain": split == "train",
        "istest": split == "test",
    }
