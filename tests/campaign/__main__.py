"""The command: python -m campaign [PART ...] [--share 0.01] [--again] [--table]"""

import argparse
import os
from pathlib import Path

from campaign.ledger import Ledger
from campaign.parts import PARTS
from campaign.run import run_part

LEDGER = Path(__file__).with_name("ledger.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--share", type=float, default=1.0, help="of the whole, to be tried now")
    parser.add_argument("--again", action="store_true", help="repeat only what was wrong")
    parser.add_argument("--table", action="store_true", help="print the table, try nothing")
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    ledger = Ledger(options.ledger)
    for name in () if options.table else options.parts or PARTS:
        part, tally = PARTS[name], ledger.tallies[name]
        if options.again:
            ranges = [(seed, seed + 1) for seed in sorted(tally.wrong)]
        else:
            ranges = first_of(tally.gaps(part.attempts), round(options.share * part.attempts))
        run_part(part, ranges, ledger, options.jobs)
    print(ledger.table())


def first_of(ranges: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """The first `count` seeds of `ranges`."""
    taken = []
    for first, stop in ranges:
        if count > 0:
            taken.append((first, min(stop, first + count)))
            count -= stop - first
    return taken


if __name__ == "__main__":
    main()
