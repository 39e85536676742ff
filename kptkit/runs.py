"""The run folder: settings, weights and results of a training, in files of common formats.

config.json    the recipe, the keypoints, the data flags, the command's other flags
history.csv    one row an epoch
metrics.json   the metrics of the best weights
best.npz       the best weights (their moving average, where the recipe keeps one)
last.npz       the weights at the end
checkpoints/   everything needed to resume after a kill
predictions.jpg, tensorboard/, export/    pose networks only; for faces, beside the cascade
"""

import dataclasses
import json
import os
import typing
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from kptkit.errors import InputError
from kptkit.files import write_json
from kptkit.models.sizes import STAGES, Stage
from kptkit.reading import differences, read_json, refuse_foreign
from kptkit.recipes.face import FaceRecipe
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.schema import KeypointSchema


@dataclass(frozen=True)
class Run(ABC):
    """A run folder and the settings it was started with."""

    folder: Path
    task: ClassVar[str]

    @property
    def best(self) -> Path:
        """The best weights so far."""
        return self.folder / "best.npz"

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What is needed to use the run elsewhere, as JSON types."""

    @classmethod
    @abstractmethod
    def from_settings(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """The run with `settings` read back from JSON, as `settings()` returned them."""

    def write(self, options: dict[str, Any]) -> None:
        """Publishes `config.json`; a run that is resumed must have the same settings as before.

        Until the first checkpoint or weights are written, settings may change.

        Raises:
            InputError: the folder holds a run with another configuration; the difference is shown.
        """
        config = {"task": self.task} | self.settings() | {"options": options}
        config = json.loads(json.dumps(config))
        path = self.folder / "config.json"
        learned = [*self.folder.glob("*.npz"), *self.folder.glob("checkpoints/step-*")]
        if not (path.exists() and learned):
            write_json(path, config)
            return
        before = read_json(path)
        # A run of an earlier version lacks the settings that are new; they had their defaults.
        before |= json.loads(json.dumps(load_run(self.folder, type(self)).settings()))
        for name, sha256 in config.get("code", {}).items():
            if before["code"].get(name, sha256) != sha256:
                raise InputError(
                    f"{self.folder}: the source of {name} has changed since this run began; "
                    "restore it to resume, or give another --out"
                )
        difference = differences(before, config)
        if difference:
            raise InputError(
                f"{self.folder}: holds a run with other settings: {'; '.join(difference[:5])}; "
                "give the same flags to resume, or another --out"
            )


@dataclass(frozen=True)
class PoseRun(Run):
    """The run of a pose network: what evaluation, prediction and export need."""

    task: ClassVar[str] = "pose"
    recipe: PoseRecipe
    schema: KeypointSchema
    data: dict[str, Any]
    """The data flags of the training command, with absolute paths."""
    code: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of the source of each function from outside the package, by its name."""

    def settings(self) -> dict[str, Any]:
        """See `Run.settings`."""
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "schema": self.schema.to_json(),
            "data": self.data,
            "code": self.code,
        }

    @classmethod
    def from_settings(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """See `Run.from_settings`."""
        recipe = _dataclass_from_json(PoseRecipe, settings["recipe"])
        schema = KeypointSchema.from_json(settings["schema"])
        code = {str(name): str(sha256) for name, sha256 in settings.get("code", {}).items()}
        return cls(folder, recipe, schema, settings["data"], code)


@dataclass(frozen=True)
class FaceRun(Run):
    """The run of one network of the cascade."""

    task: ClassVar[str] = "face"
    stage: Stage
    recipe: FaceRecipe
    data: dict[str, Any]
    """The folders of the training and the held-out crops, as absolute paths."""

    def settings(self) -> dict[str, Any]:
        """See `Run.settings`."""
        recipe = dataclasses.asdict(self.recipe)
        return {"stage": self.stage, "recipe": recipe, "data": self.data}

    @classmethod
    def from_settings(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """See `Run.from_settings`."""
        if settings["stage"] not in STAGES:
            raise ValueError(f"stage {settings['stage']}")
        recipe = _dataclass_from_json(FaceRecipe, settings["recipe"])
        return cls(folder, settings["stage"], recipe, settings["data"])


AnyRun = TypeVar("AnyRun", bound=Run)


def load_run(folder: str | os.PathLike, kind: type[AnyRun]) -> AnyRun:
    """Reads a run folder.

    Raises:
        InputError: the folder or its `config.json` is missing or broken, or the run is of another
            task.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        if folder.is_file():
            refuse_foreign(folder)
        raise InputError(f"{folder}: no run folder (no config.json); train one first")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        task = config["task"]
        if task == kind.task:
            return kind.from_settings(folder, config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a run's configuration ({error!r})") from None
    raise InputError(f"{path}: task: {task!r}; expected a run of task {kind.task!r}")


def _dataclass_from_json(kind: type, content: dict[str, Any]) -> Any:
    """A frozen dataclass from the output of `dataclasses.asdict`, read back from JSON."""
    values = {}
    hints = typing.get_type_hints(kind)
    for name, value in content.items():
        if dataclasses.is_dataclass(hints[name]):
            value = _dataclass_from_json(hints[name], value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)
