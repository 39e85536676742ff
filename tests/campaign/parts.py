"""The parts of the campaign: what each tries, how often, and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part.

    Its module's `attempt(seed)` returns "" or what was wrong; its `prepare(folder)`, if there is
    one, is called once before, and attempts find the folder's path in the environment as `FOLDER`.
    """

    name: str
    what: str
    """What is counted, in the table."""
    attempts: int
    """How many attempts make the whole."""
    at_once: int
    """How many attempts a child process makes: its start takes some ten seconds."""
    limit_s: float
    """An attempt that takes longer is stopped, and wrong."""
    each: int = 1
    """How many things an attempt tries."""
    module: str = ""
    """Default: campaign.NAME."""


# The environment variable with the folder that a part has prepared.
FOLDER = "KPTKIT_CAMPAIGN_FOLDER"

PARTS = {
    part.name: part
    for part in (
        Part("pictures", "mutated pictures", 100_000, 2500, 20),
        Part("annotations", "mutated annotation files", 20_000, 500, 20),
        Part("own_files", "damaged files of our own", 10_000, 500, 20),
        Part("kills", "kills", 200, 5, 600),
        Part("full_disks", "full disks", 100, 5, 600),
        Part("requests", "requests", 1000, 50, 120, each=100),
        Part("threads_and_forks", "uses from threads and forked processes", 500, 25, 120),
    )
}
