"""Pictures that could not be used; too many of them stop a run."""

import os
import threading
from collections import Counter

from kptkit import files
from kptkit.errors import InputError

# A run continues while it has skipped no more pictures than the larger of these two limits.
ALWAYS_TOLERATED = 10
TOLERATED_SHARE = 0.01


class SkippedPictures:
    """The pictures that were skipped, each counted once, with the reason; thread-safe.

    Args:
        num_samples: size of the data set, which sets the tolerated number of skipped pictures.
    """

    def __init__(self, num_samples: int):
        self.tolerated = max(ALWAYS_TOLERATED, int(num_samples * TOLERATED_SHARE))
        self._reasons: dict[str, str] = {}
        self._error: InputError | None = None
        self._lock = threading.Lock()

    def record(self, path: str, reason: str) -> None:
        """Records that `path` was skipped; `reason` is a few words such as "truncated"."""
        with self._lock:
            self._reasons.setdefault(path, reason)

    def stop(self, error: InputError) -> None:
        """Stores an error that must end the run; the next `check` raises the first one stored."""
        with self._lock:
            self._error = self._error or error

    def __len__(self) -> int:
        with self._lock:
            return len(self._reasons)

    def counts(self) -> dict[str, int]:
        """The number of skipped pictures by reason."""
        with self._lock:
            return dict(Counter(self._reasons.values()))

    def check(self) -> None:
        """Raises if the run must not continue.

        Raises:
            InputError: the error given to `stop`; or more than 10 pictures, and more than 1 % of
                the samples, were skipped.
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
        """Writes JSON: the counts by reason, and the reason for each picture, sorted by path."""
        with self._lock:
            skipped = dict(sorted(self._reasons.items()))
        files.write_json(path, {"counts": self.counts(), "skipped": skipped})
