"""Checkpoints that survive a kill at any moment: whole folders, published by one rename.

A checkpoint folder `step-00001234` holds `state.npz` (every variable of the model, the optimizer
and the moving average) and `state.json` (its SHA-256, the step, the history so far; sealed). The
newest two are kept: if the newest is damaged, the run resumes from the one before it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from kptkit.arrays import read_arrays, save_arrays
from kptkit.checks import check_range
from kptkit.errors import InputError
from kptkit.files import publish_folder, sha256
from kptkit.sealed import convert, read_sealed, sealed_text
from kptkit.system import remove
from kptkit.wording import name_of, printable

KEEP = 2
# Enough for any run, and exact as a float.
MOST_STEPS = 1 << 53

_NAME = re.compile(r"step-(\d{8,16})")

Progress = TypeVar("Progress")


@dataclass(frozen=True)
class _State:
    """The content of `state.json`."""

    step: int
    sha256: str
    keras: str
    progress: dict[str, Any]

    def __post_init__(self) -> None:
        check_range("step", self.step, 0, MOST_STEPS, whole=True)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are.
        variables: everything to be saved, by a unique name.
    """

    folder: Path
    variables: dict[str, keras.Variable]

    def save(self, step: int, progress: dict[str, Any]) -> None:
        """Publishes the state after `step` steps, then removes all but the newest two.

        `progress` is the state of the loop itself as plain JSON; floats are kept exactly.
        """
        final = self.folder / f"step-{step:08d}"
        if final.exists():
            remove(final)  # left by a run that went back to an older checkpoint
        arrays = {name: np.asarray(variable) for name, variable in self.variables.items()}
        with publish_folder(final) as unfinished:
            save_arrays(unfinished / "state.npz", arrays)
            state = {
                "step": step,
                "sha256": sha256(unfinished / "state.npz"),
                "keras": keras.__version__,
                "progress": progress,
            }
            (unfinished / "state.json").write_bytes(sealed_text(state).encode())
        for old in self._folders()[:-KEEP]:
            remove(old)

    def restore(self, kind: type[Progress]) -> tuple[int, Progress, list[str]]:
        """Fills the variables from the newest sound checkpoint.

        Args:
            kind: the dataclass of the progress given to `save`; it checks its values.

        Returns:
            The step, the progress, and warnings to print; (0, `kind()`, []) without a checkpoint.

        Raises:
            InputError: there are checkpoints, but all of them are damaged.
        """
        warnings = []
        folders = self._folders()
        for folder in reversed(folders):
            try:
                state = _read_state(folder)
                progress = convert(state.progress, kind, "progress", "it was written otherwise")
                self._assign(read_arrays(folder / "state.npz"))
            except (InputError, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                warnings.append(f"{folder}: damaged, trying the one before it ({reason})")
                continue
            if state.keras != keras.__version__:
                warnings.append(
                    f"{folder}: written by Keras {printable(state.keras[:20])}, this is "
                    f"{keras.__version__}; the numbers may differ in their last digits"
                )
            return state.step, progress, warnings
        if folders:
            raise InputError(
                f"{self.folder}: all {len(folders)} checkpoints are damaged ({warnings[0]}); "
                "remove the folder to start over"
            )
        return 0, kind(), warnings

    def _folders(self) -> list[Path]:
        """The checkpoints by their step, oldest first."""
        found = {path: _NAME.fullmatch(path.name) for path in self.folder.glob("step-*")}
        steps = {path: int(name[1]) for path, name in found.items() if name}
        return sorted(steps, key=lambda path: steps[path])

    def _assign(self, arrays: dict[str, np.ndarray]) -> None:
        if arrays.keys() != self.variables.keys():
            odd = sorted(arrays.keys() ^ self.variables.keys())
            name = name_of(odd[0])
            raise InputError(f"state.npz: {len(odd)} variables do not match, such as {name}")
        for name, variable in self.variables.items():
            found, expected = arrays[name], (tuple(variable.shape), np.dtype(variable.dtype))
            if (found.shape, found.dtype) != expected:
                raise InputError(f"state.npz: {name} is {found.dtype} of shape {found.shape}")
        for name, variable in self.variables.items():
            variable.assign(arrays[name])


def _read_state(folder: Path) -> _State:
    path = folder / "state.json"
    state = convert(read_sealed(path, "it is not used"), _State, str(path), "it is not used")
    if folder.name != f"step-{state.step:08d}":
        raise InputError(f"state.json: step {state.step}; expected that of the folder's name")
    if state.sha256 != sha256(folder / "state.npz"):
        raise InputError("the SHA-256 of state.npz does not match")
    return state


def named_variables(prefix: str, variables: Iterable[keras.Variable]) -> dict[str, keras.Variable]:
    """Variables by their index: their paths differ when a process builds a model twice."""
    return {f"{prefix}/{index}": variable for index, variable in enumerate(variables)}
