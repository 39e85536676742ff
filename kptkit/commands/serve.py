"""Writes TF Serving's configuration for exported models, and prints the command that starts it.

    kptkit serve pose=runs/demo/export face=runs/mtcnn/export

writes serving/ with models.config, batching.config, monitoring.config and compose.yaml; existing
files are not overwritten. Each file says in its first lines what it is for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from kptkit import flags
from kptkit.errors import InputError
from kptkit.export.server_files import (
    check_existing,
    check_versions,
    docker_run,
    write_server_files,
)
from kptkit.fields import Positional, Written


@dataclass(frozen=True)
class Config:
    """Which models to serve."""

    models: Positional[tuple[str, ...]] = (
        "pose=runs/demo/export",
        "face=runs/mtcnn/export",
    )
    """NAME=FOLDER of each model: its name for clients, and the folder of its versions."""
    out: Annotated[Path, Written("folder")] = Path("serving")
    """Folder for the written files."""
    batching: bool = False
    """Whether TF Serving merges requests in the printed command, which helps on a GPU."""


def main(config: Config) -> None:
    """Writes the files, then prints the command that starts a server."""
    models = {}
    for text in config.models:
        name, equals, folder = text.partition("=")
        if not equals or name in models:
            raise InputError(f"{text}: expected NAME=FOLDER, each name once")
        check_versions(folder)
        models[name] = Path(folder)
    check_existing(config.out, models)
    for path in write_server_files(config.out, models):
        print(f"written: {path}")
    print(f"start it: {docker_run(config.out, models, config.batching)}")


def command() -> None:
    """The command line."""
    flags.run(main, Config, __doc__, tensorflow=False)
