"""What the campaign has tried: a line of JSON for each range of seeds; the file only grows."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from campaign.parts import PARTS


@dataclass
class Tally:
    """All that was tried of one part; of a seed that was tried twice the later answer counts."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Seeds from the first up to, not including, the second; sorted, apart from each other."""
    wrong: dict[int, str] = field(default_factory=dict)
    """What was wrong, by seed."""
    seconds: float = 0.0
    """By the clock, of all child processes together."""
    peak_mb: int = 0
    """The most memory that a child process held."""
    commits: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """How many seeds were tried."""
        return sum(stop - first for first, stop in self.ranges)

    def add(self, record: dict) -> None:
        """Adds one line of the ledger."""
        first, stop = record["first"], record["stop"]
        self.wrong = {seed: text for seed, text in self.wrong.items() if not first <= seed < stop}
        self.wrong |= {int(seed): text for seed, text in record["wrong"].items()}
        joined: list[tuple[int, int]] = []
        for begin, end in sorted([*self.ranges, (first, stop)]):
            if joined and begin <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((begin, end))
        self.ranges = joined
        self.seconds += record["seconds"]
        self.peak_mb = max(self.peak_mb, record["peak_mb"])
        if record["commit"] not in self.commits:
            self.commits.append(record["commit"])

    def gaps(self, stop: int) -> list[tuple[int, int]]:
        """The ranges of seeds below `stop` that were not tried."""
        ends = [0, *(end for _, end in self.ranges)]
        begins = [*(begin for begin, _ in self.ranges), stop]
        pairs = ((end, min(begin, stop)) for end, begin in zip(ends, begins, strict=True))
        return [(end, begin) for end, begin in pairs if end < begin]


class Ledger:
    """The ledger in a file, which need not exist yet."""

    def __init__(self, path: Path):
        self.path = path
        self.tallies = {name: Tally() for name in PARTS}
        for line in path.read_text().splitlines() if path.exists() else ():
            record = json.loads(line)
            self.tallies[record["part"]].add(record)

    def add(self, record: dict) -> None:
        """Appends a record to the file."""
        with open(self.path, "a") as file:
            file.write(json.dumps(record) + "\n")
        self.tallies[record["part"]].add(record)

    def table(self) -> str:
        """What was tried, right and wrong, as a Markdown table, and every wrong answer below it."""
        lines = [
            "| tried | | right | wrong | of the whole | time in a process | peak memory |",
            "|---|---|---|---|---|---|---|",
        ]
        faults = []
        for name, tally in self.tallies.items():
            part = PARTS[name]
            tried, wrong = tally.tried * part.each, len(tally.wrong)
            lines.append(
                f"| {tried:,} | {part.what} | {tried - wrong:,} | {wrong:,} | "
                f"{tally.tried / part.attempts:.0%} | {tally.seconds / 60:,.0f} min | "
                f"{tally.peak_mb:,} MB |"
            )
            faults += [f"{name} {seed}: {text}" for seed, text in sorted(tally.wrong.items())]
        return "\n".join([*lines, "", *faults])
