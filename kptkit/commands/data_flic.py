"""Writes FLIC from TensorFlow Datasets as pictures and a JSON file that replaces examples.mat.

    kptkit data flic --data-dir ~/tensorflow_datasets --out data/flic
    kptkit train hrnet --data.format flic --data.train data/flic/examples.json \\
        --data.val data/flic/examples.json --data.images data/flic/images

The data set must be prepared already; `tfds build flic/small` downloads and prepares it. Pictures
keep their bytes and get FLIC's own names. With the original examples.mat this step is not needed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kptkit import flags
from kptkit.fields import Existing, Written
from kptkit.wording import counted


@dataclass(frozen=True)
class FlicConfig:
    """Which data set to extract, and where to write it."""

    data_dir: Annotated[Path, Existing("folder")]
    """Folder of TensorFlow Datasets that holds flic/small or flic/full."""
    out: Annotated[Path, Written("folder")]
    """Folder to write."""
    variant: Literal["small", "full"] = "small"
    """small: the 5,003 examples of the paper; full: 20,928."""


def main(config: FlicConfig) -> None:
    """Extracts the data set and prints the sizes of its parts."""
    from kptkit.data.tfds_flic import extract_flic

    rows = extract_flic(config.data_dir, config.variant, config.out)
    for part in ("istrain", "istest"):
        print(f"{part}: {counted(sum(row[part] for row in rows), 'person')}")
    print(f"written: {config.out}/examples.json, {config.out}/images")


def command() -> None:
    """The command line."""
    flags.run(main, FlicConfig, __doc__)
