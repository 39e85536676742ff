"""Takes the disk's space away from every command that writes, at any moment, and repeats it.

Right: one line that says so, no half-written file, and after space was made the files of a run that
nobody disturbed.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from campaign import commands
from campaign.kills import faults, repeated
from campaign.parts import FOLDER

prepare = commands.prepare


def attempt(seed: int) -> str:
    """Runs a command on a disk that gets full, and repeats it; "" if all is right."""
    folder = Path(os.environ[FOLDER])
    undisturbed = json.loads((folder / "undisturbed.json").read_text())
    rng = np.random.default_rng(seed)
    name = list(commands.COMMANDS)[seed % len(commands.COMMANDS)]
    at = int(rng.integers(1, undisturbed[name]["changes"] + 1))
    with tempfile.TemporaryDirectory() as place:
        out = Path(place)
        ended = commands.run(folder, name, out, at, "full")
        wrong = faults(ended)
        if not wrong and ended.code == 2 and "No space left" not in ended.error:
            wrong = f"does not say that the disk is full: {ended.error[-300:]}"
        wrong = wrong or repeated(folder, name, out, undisturbed[name]["files"])
    return wrong and f"{name}, full at {at}: {wrong}"
