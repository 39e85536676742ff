"""Which pictures could not be used, and when there are too many of them."""

import os
import threading
from collections import Counter

from kptkit import files
from kptkit.errors import InputError

# A run goes on without a few broken pictures, but not without more than these.
ALWAYS_TOLERATED = 10
TOLERATED_SHARE = 0.01


class SkipLedger:
    """Counts the pictures that were skipped, each once, by reason; safe to use from many threads.

    Args:
        num_samples: of the data set; what is tolerated follows from it.
    """

    def __init__(self, num_samples: int):
        self.tolerated = max(ALWAYS_TOLERATED, int(num_samples * TOLERATED_SHARE))
        self._reasons: dict[str, str] = {}
        self._error: InputError | None = None
        self._lock = threading.Lock()

    def record(self, path: str, reason: str) -> None:
        """Notes that `path` was skipped; `reason` is a few words such as "truncated"."""
        with self._lock:
            self._reasons.setdefault(path, reason)

    def stop(self, error: InputError) -> None:
        """Notes an error that no run may go on after; `check` raises the first."""
        with self._lock:
            self._error = self._error or error

    def __len__(self) -> int:
        with self._lock:
            return len(self._reasons)

    def counts(self) -> dict[str, int]:
        """How many pictures were skipped, by reason."""
        with self._lock:
            return dict(Counter(self._reasons.values()))

    def check(self) -> None:
        """Stops a run that skips too much.

        Raises:
            InputError: more pictures were skipped than 10 and than 1 % of the samples, or what
                `stop` was given.
        """
        if self._error:
            raise self._error
        if len(self) <= self.tolerated:
            return
        with self._lock:
            path, reason = next(iter(self._reasons.items()))
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.counts().items())
        raise InputError(
            f"{path}: {reason}; it is one of {len(self)} unusable pictures ({reasons}), more than "
            f"the {self.tolerated} tolerated; mend or remove them"
        )

    def write(self, path: str | os.PathLike) -> None:
        """Publishes the list as JSON: counts by reason, and the reason for each picture."""
        with self._lock:
            skipped = dict(sorted(self._reasons.items()))
        files.write_json(path, {"counts": self.counts(), "skipped": skipped})
