"""Pictures that could not be used; too many of them stop a run."""

import os
import threading
from collections import Counter

from kptkit import files
from kptkit.errors import InputError
from kptkit.wording import counted

# A run continues while it has skipped no more pictures than the larger of these two limits.
ALWAYS_TOLERATED = 10
TOLERATED_SHARE = 0.01


def none_usable(path: str, reason: str, num_pictures: int, source: str) -> InputError:
    """The error that no picture of a data set can be used.

    Args:
        path: of the first one; `reason` is why it cannot be used, in a few words.
        source: the file that names the pictures.
    """
    more = f", as are all {num_pictures:,} pictures of {source}" if num_pictures > 1 else ""
    return InputError(f"{path}: {reason}{more}; is this the right folder of images?")


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

    def refuse_all(self, num_pictures: int, source: str) -> None:
        """Raises if no picture can be used: then the folder is wrong, not the pictures.

        Args:
            num_pictures: how many there are.
            source: the file that names them, for the message.

        Raises:
            InputError: every picture was skipped.
        """
        if not len(self) or len(self) < num_pictures:
            return
        with self._lock:
            path, reason = next(iter(self._reasons.items()))
        raise none_usable(path, reason, num_pictures, source)

    def summary(self) -> str:
        """How many pictures were skipped, and why, such as "3 pictures (2 missing, 1 broken)"."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.counts().items())
        return f"{counted(len(self), 'picture')} ({reasons})"

    def write(self, path: str | os.PathLike) -> None:
        """Writes JSON: the counts by reason, and the reason for each picture, sorted by path."""
        with self._lock:
            skipped = dict(sorted(self._reasons.items()))
        files.write_json(path, {"counts": self.counts(), "skipped": skipped})
