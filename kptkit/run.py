"""The run folder: what a run was and what it reached, readable by other programs.

config.json    the recipe, the keypoint schema, where the data stood, the command's other flags
history.csv    one row an epoch
metrics.json   what the best weights reach
best.npz       the best weights (their moving average, where the recipe keeps one)
last.npz       the weights at the end
checkpoints/   everything needed to go on after a kill
predictions.jpg, tensorboard/, export/
"""

import dataclasses
import json
import os
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kptkit.data.json_files import read_json
from kptkit.errors import InputError
from kptkit.files import write_json
from kptkit.recipes import PoseRecipe
from kptkit.skeletons import KeypointSchema


@dataclass(frozen=True)
class PoseRun:
    """What evaluate, predict and export need to know of a run."""

    folder: Path
    recipe: PoseRecipe
    schema: KeypointSchema
    data: dict[str, Any]
    """The data flags of the training command, with paths made absolute."""

    @property
    def best(self) -> Path:
        """The best weights so far."""
        return self.folder / "best.npz"

    def write(self, options: dict[str, Any]) -> None:
        """Publishes `config.json`; a run that goes on must have been the same run so far.

        One that has not learned anything yet may change its settings.

        Raises:
            InputError: the folder holds a run with another configuration; the difference is shown.
        """
        config = {
            "task": "pose",
            "recipe": dataclasses.asdict(self.recipe),
            "schema": self.schema.to_json(),
            "data": self.data,
            "options": options,
        }
        config = json.loads(json.dumps(config))
        path = self.folder / "config.json"
        learned = [*self.folder.glob("*.npz"), *self.folder.glob("checkpoints/step-*")]
        if not (path.exists() and learned):
            write_json(path, config)
            return
        difference = _difference(read_json(path), config)
        if difference:
            raise InputError(
                f"{self.folder}: holds a run with other settings: {'; '.join(difference[:5])}; "
                "give the same flags to go on, or another --out"
            )


def load_run(folder: str | os.PathLike) -> PoseRun:
    """Reads a run folder.

    Raises:
        InputError: the folder or its `config.json` is missing or broken.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: no run folder (no config.json); train one first")
    try:
        config = json.loads(path.read_text())
        return PoseRun(
            folder=folder,
            recipe=_dataclass_from_json(PoseRecipe, config["recipe"]),
            schema=KeypointSchema.from_json(config["schema"]),
            data=config["data"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a run's configuration ({error!r})") from None


def _dataclass_from_json(kind: type, content: dict[str, Any]) -> Any:
    """A frozen dataclass from what `dataclasses.asdict` made of it."""
    values = {}
    hints = typing.get_type_hints(kind)
    for name, value in content.items():
        if dataclasses.is_dataclass(hints[name]):
            value = _dataclass_from_json(hints[name], value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _difference(old: Any, new: Any, name: str = "") -> list[str]:
    """The settings in which two configurations differ, as `name: old, now new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in _difference(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{name} was {old}, is now {new}"]
