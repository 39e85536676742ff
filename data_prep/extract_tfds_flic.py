"""Writes FLIC from TensorFlow Datasets as pictures and a JSON file that replaces examples.mat.

    python data_prep/extract_tfds_flic.py --data-dir ~/tensorflow_datasets --out data/flic
    python scripts/train_hrnet.py --data.format flic --data.train data/flic/examples.json \\
        --data.val data/flic/examples.json --data.images data/flic/images

The data set must be prepared already; `tfds build flic/small` downloads and prepares it. Pictures
keep their bytes and get FLIC's own names. With the original examples.mat this step is not needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kptkit import cli


@dataclass(frozen=True)
class ExtractConfig:
    """Which data set to extract, and where to write it."""

    data_dir: Path
    """Folder of TensorFlow Datasets that holds flic/small or flic/full."""
    out: Path
    """Folder to write."""
    variant: Literal["small", "full"] = "small"
    """small: the 5,003 examples of the paper; full: 20,928."""


def main(config: ExtractConfig) -> None:
    cli.import_tensorflow_quietly()
    from kptkit import files

    rows = sorted(extract(config), key=lambda row: (row["filepath"], row["torsobox"]))
    files.write_json(config.out / "examples.json", rows)
    for part in ("istrain", "istest"):
        print(f"{part}: {sum(row[part] for row in rows)} persons")
    print(f"written: {config.out}/examples.json, {config.out}/images")


def extract(config: ExtractConfig) -> Iterator[dict[str, Any]]:
    """Writes the pictures and yields the fields of `kptkit.data.formats.flic` for each person.

    Raises:
        InputError: the data set is not there, or tensorflow-datasets is not installed.
    """
    from kptkit.errors import InputError

    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise InputError(f"needs {error.name}: pip install 'kptkit[tfds]'") from None

    # Features come from the builder's code, not from the data set's files.
    builder = tfds.builder(f"flic/{config.variant}", data_dir=config.data_dir)
    if not builder.is_prepared():
        raise InputError(
            f"{config.data_dir}: no prepared flic/{config.variant}; run tfds build "
            f"flic/{config.variant} --data_dir {config.data_dir} first"
        )
    decoders = {"image": tfds.decode.SkipDecoding()}
    for split in ("train", "test"):
        for example in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders)):
            yield write_example(example, split, config.out / "images")


def write_example(example: dict[str, Any], split: str, folder: Path) -> dict[str, Any]:
    """Writes the picture of an example, and returns the example's row of the JSON file.

    Raises:
        InputError: the picture's name leads out of the folder, or it is not a picture.
    """
    from kptkit import files, images
    from kptkit.data.formats.faults import is_file_name
    from kptkit.errors import InputError

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


if __name__ == "__main__":
    cli.run(main, ExtractConfig, description=__doc__)
