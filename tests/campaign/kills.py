"""Kills every command that writes, before any change to a file, and repeats it.

Right: at the end the files are those of a run that nobody disturbed.
"""

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np

from campaign import commands
from campaign.parts import FOLDER

prepare = commands.prepare


def attempt(seed: int) -> str:
    """Kills a command once, or two times in a row, and repeats it; "" if all is right."""
    folder = Path(os.environ[FOLDER])
    undisturbed = json.loads((folder / "undisturbed.json").read_text())
    rng = np.random.default_rng(seed)
    name = list(commands.COMMANDS)[seed % len(commands.COMMANDS)]
    with tempfile.TemporaryDirectory() as place:
        out, told = Path(place), []
        for _ in range(1 + rng.integers(2)):
            at = int(rng.integers(1, undisturbed[name]["changes"] + 1))
            how = ("process", "group")[rng.integers(2)]
            ended = commands.run(folder, name, out, at, how)
            told.append(f"{how} at {at}: {ended.code}")
            wrong = faults(ended, killed=True)
            if wrong:
                return f"{name}, {', '.join(told)}: {wrong}"
        wrong = repeated(folder, name, out, undisturbed[name]["files"])
    return wrong and f"{name}, {', '.join(told)}: {wrong}"


def faults(ended: commands.Ended, killed: bool = False) -> str:
    """What is wrong with the end of an interrupted command: it dies, or says one line."""
    if ended.code == 0 or (killed and ended.code == -signal.SIGKILL):
        return ""
    lines = [line for line in ended.error.splitlines() if line.startswith("error: ")]
    if "Traceback" in ended.error or len(lines) != 1 or ended.code != 2:
        return f"ended with {ended.code}: {ended.error[-600:]}"
    return ""


def repeated(folder: Path, name: str, out: Path, files: dict[str, str]) -> str:
    """Repeats a command undisturbed; what differs from the files that it should have written."""
    ended = commands.run(folder, name, out)
    if ended.code:
        return f"the repetition ended with {ended.code}: {ended.error[-600:]}"
    found = commands.files_of(folder, name, out)
    # An export that was published before the kill is the first version; the repetition, the second.
    first, second = (out / commands.COMMANDS[name].out / version for version in "12")
    if second.is_dir():
        shutil.rmtree(first)
        second.rename(first)
        found = commands.files_of(folder, name, out)
    different = sorted(
        key for key in found.keys() | files.keys() if found.get(key) != files.get(key)
    )
    if different:
        return f"{len(different)} files differ, such as {different[:4]}"
    left = [str(path.relative_to(out)) for path in out.rglob(".*") if path.name != ".lock"]
    return f"left over: {left[:4]}" if left else ""
