"""Checkpoints that survive a kill at any moment: whole folders, published by one rename.

A checkpoint folder `step-00001234` holds `state.npz` (every variable of the model, the optimizer
and the moving average) and `state.json` (its SHA-256, the step, the history so far). The newest two
are kept: if the newest is damaged, the run resumes from the one before it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptkit.errors import InputError
from kptkit.files import publish_folder, sha256
from kptkit.system import remove
from kptkit.weights.arrays import load_arrays, save_arrays

KEEP = 2


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
            (unfinished / "state.json").write_text(json.dumps(state), encoding="utf-8")
        for old in self._folders()[:-KEEP]:
            remove(old)

    def restore(self) -> tuple[int, dict[str, Any], list[str]]:
        """Fills the variables from the newest sound checkpoint.

        Returns:
            The step, the progress given to `save`, and warnings to print; (0, {}, []) without one.

        Raises:
            InputError: there are checkpoints, but all of them are damaged.
        """
        warnings = []
        folders = self._folders()
        for folder in reversed(folders):
            try:
                state = _read_state(folder)
                self._assign(load_arrays(folder / "state.npz"), folder)
            except (InputError, OSError, ValueError, KeyError) as error:
                warnings.append(f"{folder}: damaged, trying the one before it ({error})")
                continue
            if state["keras"] != keras.__version__:
                warnings.append(
                    f"{folder}: written by Keras {state['keras']}, this is {keras.__version__}; "
                    "the numbers may differ in their last digits"
                )
            return state["step"], state["progress"], warnings
        if folders:
            raise InputError(
                f"{self.folder}: all {len(folders)} checkpoints are damaged; "
                "remove the folder to start over"
            )
        return 0, {}, warnings

    def _folders(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))

    def _assign(self, arrays: dict[str, np.ndarray], folder: Path) -> None:
        if arrays.keys() != self.variables.keys():
            odd = sorted(arrays.keys() ^ self.variables.keys())
            raise InputError(f"{folder}: {len(odd)} variables do not match, such as {odd[0]}")
        for name, variable in self.variables.items():
            if arrays[name].shape != tuple(variable.shape):
                raise InputError(f"{folder}: {name} has shape {arrays[name].shape}")
        for name, variable in self.variables.items():
            variable.assign(arrays[name])


def _read_state(folder: Path) -> dict[str, Any]:
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if state["sha256"] != sha256(folder / "state.npz"):
        raise InputError("its SHA-256 does not match")
    return state


def named_variables(prefix: str, variables: Iterable[keras.Variable]) -> dict[str, keras.Variable]:
    """Variables by their index: their paths differ when a process builds a model twice."""
    return {f"{prefix}/{index}": variable for index, variable in enumerate(variables)}
