"""Downloads a file over HTTPS into the cache: resumable, and published only when complete.

The checksum decides whether a file is kept, so redirects to any host are followed, as long as every
hop is encrypted. Loopback addresses may use plain HTTP.
"""

import http.client
import ipaddress
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from tqdm import tqdm

from kptkit.errors import InputError
from kptkit.files import locked, sha256
from kptkit.system import remove, rename, sync

MAX_BYTES = 2**30
ATTEMPTS = 4
_CHUNK = 2**20
# A connection that ended early or never began, so that another attempt may help.
_CUTS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def download(
    url: str, path: Path, sha256_prefix: str, max_bytes: int = MAX_BYTES, timeout: float = 30.0
) -> None:
    """Fetches a file unless it is at `path` already.

    An interrupted download is kept beside `path` as ``.part`` and resumed if the server supports
    it.

    Args:
        url: https, or http on a loopback address.
        sha256_prefix: first hexadecimal digits of the file's SHA-256, at least 8.
        max_bytes: a longer file is refused.
        timeout: an attempt ends after this many seconds without data.

    Raises:
        InputError: the address is not allowed or answers with an error; the file is too long or its
            checksum differs; the connection was lost several times in a row; or another process is
            downloading into the same folder.
    """
    if len(sha256_prefix) < 8:
        raise ValueError(f"sha256_prefix: {sha256_prefix!r}, expected 8 digits or more")
    _check_address(url, url)
    with locked(path.parent):
        if path.exists() and sha256(path).startswith(sha256_prefix):
            return
        part = path.with_name(path.name + ".part")
        resumed = part.exists()
        _fetch(url, part, max_bytes, timeout)
        if resumed and not sha256(part).startswith(sha256_prefix):
            remove(part)  # the resumed part belonged to another file
            _fetch(url, part, max_bytes, timeout)
        found = sha256(part)
        if not found.startswith(sha256_prefix):
            remove(part)
            raise InputError(
                f"{url}: the download has SHA-256 {found}, expected {sha256_prefix}...; the file "
                "was replaced or altered on the way, and is not used"
            )
        sync(part)
        rename(part, path)


def _fetch(url: str, part: Path, max_bytes: int, timeout: float) -> None:
    """Completes `part`, in several attempts if necessary."""
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            if _attempt(url, part, max_bytes, timeout):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:  # `part` is not a prefix of the file: start over
                    remove(part)
                elif error.code < 500:
                    raise InputError(f"{url}: {error.code} {error.reason}") from None
                reason = f"{error.code} {error.reason}"
        except _CUTS as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
    done = part.stat().st_size if part.exists() else 0
    raise InputError(
        f"{url}: {reason}, {ATTEMPTS} times, with {done:,} bytes here; the same command "
        "resumes from there"
    )


def _attempt(url: str, part: Path, max_bytes: int, timeout: float) -> bool:
    """Appends the rest of the file to `part`; returns whether it is complete."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "kptkit"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with _opener(url).open(request, timeout=timeout) as answer:
        goes_on = answer.status == 206 and (answer.headers["Content-Range"] or "").startswith(
            f"bytes {have}-"
        )
        if not goes_on:
            if answer.status == 206:
                remove(part)
                return False
            have = 0
        length = answer.headers["Content-Length"]
        total = have + int(length) if length and length.isdecimal() else None
        if total is not None and total > max_bytes:
            remove(part)
            raise _too_long(url, total, max_bytes)
        with open(part, "ab" if goes_on else "wb") as file:
            have = _copy(answer, file, have, total, url, max_bytes)
    return total is None or have == total


def _copy(
    answer: Any, file: BinaryIO, have: int, total: int | None, url: str, max_bytes: int
) -> int:
    """Appends the body of an answer after `have` bytes; returns the new length."""
    name = urlsplit(url).path.rpartition("/")[2]
    with tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=None) as bar:
        while chunk := answer.read1(_CHUNK):  # what is there; `read` would wait for a whole chunk
            have += len(chunk)
            if have > max_bytes:
                raise _too_long(url, have, max_bytes)
            file.write(chunk)
            bar.update(len(chunk))
    return have


def _too_long(url: str, found: int, max_bytes: int) -> InputError:
    return InputError(f"{url}: {found:,} bytes or more; expected at most {max_bytes:,}")


def _opener(url: str) -> urllib.request.OpenerDirector:
    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
            _check_address(arguments[-1], url)
            return super().redirect_request(*arguments)

    return urllib.request.build_opener(Redirects)


def _check_address(url: str, first: str) -> None:
    """Refuses unencrypted addresses, except loopback ones that were requested as such."""
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and _is_loopback(url) and _is_loopback(first)):
        return
    where = "" if url == first else f"{first}: redirects to "
    raise InputError(f"{where}{url}: not encrypted; expected an https address")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
