"""How long commands take to start: `--help` of each, and `import kptkit`, beside Python itself.

    python benchmarks/startup.py

Medians of processes that are started in turn; takes about a minute.
"""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from kptkit import cli, flags


@dataclass(frozen=True)
class Config:
    """How often."""

    repeats: int = 7


def main(config: Config) -> None:
    """Prints a row per command."""
    commands = {"python": ["-c", "pass"], "import kptkit": ["-c", "import kptkit"]}
    commands |= {
        f"{name} --help": ["-m", "kptkit", *name.split(), "--help"] for name in cli.COMMANDS
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(config.repeats):
        for name, arguments in commands.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    for name, times in seconds.items():
        print(f"{name:24}{statistics.median(times):7.3f} s  (longest {max(times):.3f})")


if __name__ == "__main__":
    flags.run(main, Config, __doc__, tensorflow=False)
