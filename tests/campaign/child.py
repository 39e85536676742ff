"""Makes attempts in a process of its own: python -m campaign.child MODULE prepare | FIRST STOP

Every answer is one line, "SEED TEXT", on the standard output, which nothing else may write to; the
last line is "peak MEGABYTES".
"""

import importlib
import os
import resource
import sys
import traceback

from campaign.parts import FOLDER


def main(module: str, *seeds: str) -> None:
    # Whatever an attempt prints goes to the error stream.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    part = importlib.import_module(module)
    if seeds == ("prepare",):
        if hasattr(part, "prepare"):
            part.prepare(os.environ[FOLDER])
        return
    for seed in range(*map(int, seeds)):
        try:
            wrong = part.attempt(seed)
        except Exception:
            wrong = traceback.format_exc(limit=-3)
        print(seed, " | ".join(wrong.split("\n"))[:2000], file=answers, flush=True)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print("peak", peak_mb, file=answers, flush=True)
    os._exit(0)  # without waiting for the threads of a server


if __name__ == "__main__":
    main(*sys.argv[1:])
