"""Writes what TF Serving needs to serve exported models together, and prints how it is started.

    python scripts/serve.py pose=runs/demo/export face=runs/mtcnn/export

makes serving/ with models.config, batching.config, monitoring.config and compose.yaml; files that
are there already stay as they are. docs/serving.md says what is in them.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from kptkit import cli
from kptkit.errors import InputError
from kptkit.export.server_files import docker_run, write_server_files
from kptkit.export.version_folders import versions


@dataclass(frozen=True)
class Config:
    """Which models to serve."""

    models: tyro.conf.Positional[tuple[str, ...]] = (
        "pose=runs/demo/export",
        "face=runs/mtcnn/export",
    )
    """NAME=FOLDER for each: what clients call it, and where export.py put its versions."""
    out: Path = Path("serving")
    """Folder for the files."""
    batching: bool = False
    """Whether the printed line has TF Serving merge requests, which helps on a GPU."""


def main(config: Config) -> None:
    """Files, then the line that starts a server."""
    models = {}
    for text in config.models:
        name, equals, folder = text.partition("=")
        if not equals or name in models:
            raise InputError(f"{text}: expected NAME=FOLDER, each name once")
        if not versions(folder):
            raise InputError(f"{folder}: no version of a model; export one: scripts/export.py")
        models[name] = Path(folder)
    for path in write_server_files(config.out, models):
        print(f"written: {path}")
    print(f"start it: {docker_run(config.out, models, config.batching)}")


def command() -> None:
    """The command line."""
    cli.run(main, Config, description=__doc__)
