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
import os
import reprlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from kptkit.data.pose_flags import DataConfig
from kptkit.errors import InputError
from kptkit.models.sizes import Stage
from kptkit.reading import differences, refuse_foreign
from kptkit.recipes.face import FaceRecipe
from kptkit.recipes.pose import PoseRecipe
from kptkit.sealed import as_read, convert, read_sealed, write_sealed
from kptkit.skeletons.schema import KeypointSchema

_ADVICE = "train again, or copy the run's folder again"


@dataclass(frozen=True)
class _PoseSettings:
    """The content of `config.json` for a pose network."""

    task: Literal["pose"]
    recipe: PoseRecipe
    schema: KeypointSchema
    data: DataConfig
    options: dict[str, Any]
    code: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _FaceSettings:
    """The content of `config.json` for a network of the cascade."""

    task: Literal["face"]
    stage: Stage
    recipe: FaceRecipe
    data: dict[str, str]
    options: dict[str, Any]


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
    def from_settings(cls, folder: Path, settings: dict[str, Any], place: str) -> Self:
        """The run whose `config.json` holds `settings`.

        Args:
            place: of that file, for messages.

        Raises:
            InputError: they are not settings of a run of this task.
        """

    def write(self, options: dict[str, Any]) -> None:
        """Publishes `config.json`; a run that is resumed must have the same settings as before.

        Until the first checkpoint or weights are written, settings may change.

        Raises:
            InputError: the folder holds a run with another configuration; the difference is shown.
        """
        config = {"task": self.task} | self.settings() | {"options": options}
        config = as_read(config)
        path = self.folder / "config.json"
        learned = [*self.folder.glob("*.npz"), *self.folder.glob("checkpoints/step-*")]
        if not (path.exists() and learned):
            write_sealed(path, config)
            return
        before = read_sealed(path, _ADVICE)
        # A run of an earlier version lacks the settings that are new; they had their defaults.
        before |= as_read(load_run(self.folder, type(self)).settings())
        for name, sha256 in config.get("code", {}).items():
            if before.get("code", {}).get(name, sha256) != sha256:
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
    def from_settings(cls, folder: Path, settings: dict[str, Any], place: str) -> Self:
        """See `Run.from_settings`."""
        found = convert(settings, _PoseSettings, place, _ADVICE)
        return cls(folder, found.recipe, found.schema, settings["data"], found.code)


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
    def from_settings(cls, folder: Path, settings: dict[str, Any], place: str) -> Self:
        """See `Run.from_settings`."""
        found = convert(settings, _FaceSettings, place, _ADVICE)
        return cls(folder, found.stage, found.recipe, found.data)


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
    config = read_sealed(path, _ADVICE)
    task = config.get("task")
    if task != kind.task:
        raise InputError(
            f"{path}: task: {reprlib.repr(task)}; expected a run of task {kind.task!r}"
        )
    return kind.from_settings(folder, config, str(path))


@dataclass(frozen=True)
class _Metrics:
    """The content of `metrics.json`."""

    best: dict[str, float]
    last: dict[str, float] = field(default_factory=dict)


def best_metrics(folder: Path) -> dict[str, float]:
    """The metrics of a run's best weights; {} before the first evaluation.

    Raises:
        InputError: `metrics.json` is damaged.
    """
    path, advice = folder / "metrics.json", "remove it; it only describes the weights"
    if not os.path.lexists(path):
        return {}
    return convert(read_sealed(path, advice), _Metrics, str(path), advice).best
