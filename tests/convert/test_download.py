"""Downloads from a server on loopback that cuts, lies, redirects and fails."""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from kptkit.convert import download as downloads
from kptkit.convert.download import ATTEMPTS, download
from kptkit.errors import InputError
from kptkit.files import locked

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does, and what it was asked for."""

    port: int = 0
    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    """After how many bytes of a body the connection ends, answer by answer."""
    statuses: list[int] = field(default_factory=list)
    """Answers without a body that come first."""
    ranges: bool = True
    lying_range: bool = False
    location: str = ""
    told_length: int | None = None
    stall: float = 0.0
    """Seconds for which the first answer says nothing more after its first half."""
    asked: list[str | None] = field(default_factory=list)
    """The Range of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/weights.pth"


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers["Range"]
            state.asked.append(wanted)
            if state.statuses:
                self.send_response(state.statuses.pop(0))
                if state.location:
                    self.send_header("Location", state.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body, first = state.content, 0
            if wanted and state.ranges:
                first = int(wanted.removeprefix("bytes=").removesuffix("-"))
                body = body[first:]
                self.send_response(206 if body else 416)
                told = first + 7 if state.lying_range else first
                self.send_header("Content-Range", f"bytes {told}-9/{len(state.content)}")
            else:
                self.send_response(200)
            length = len(body) if state.told_length is None else state.told_length
            if length >= 0:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if state.stall:
                self.wfile.write(body[: len(body) // 2])
                seconds, state.stall = state.stall, 0.0
                time.sleep(seconds)
                return
            self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = httpd.server_port
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache/weights.pth"


def part_of(path):
    return path.with_name("weights.pth.part")


def test_an_empty_file(server, path):
    server.content = b""
    download(server.url, path, hashlib.sha256(b"").hexdigest())
    assert path.read_bytes() == b""


@pytest.mark.parametrize("digits", [8, 64])
def test_a_file_comes_once(server, path, digits):
    for _ in range(2):
        download(server.url, path, DIGEST[:digits])
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert not part_of(path).exists()


def test_a_damaged_file_in_the_cache_comes_again(server, path):
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    download(server.url, path, DIGEST)
    assert path.read_bytes() == CONTENT


def test_cuts_are_gone_on_from(server, path):
    server.cuts = [100_000, 0, 50_000]
    download(server.url, path, DIGEST)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]


def test_a_body_that_keeps_ending_early(server, path):
    server.cuts = [1000] * ATTEMPTS
    with pytest.raises(InputError, match="ended early, 4 times, with 4,000 bytes here; the same"):
        download(server.url, path, DIGEST)
    assert part_of(path).read_bytes() == CONTENT[:4000]
    assert not path.exists()
    download(server.url, path, DIGEST)  # the same command, later
    assert server.asked[-1] == "bytes=4000-"
    assert path.read_bytes() == CONTENT


def test_a_server_that_falls_silent(server, path):
    server.stall = 1.0
    download(server.url, path, DIGEST, timeout=0.3)
    assert server.asked == [None, f"bytes={len(CONTENT) // 2}-"]
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_begins_again(server, path):
    server.ranges, server.cuts = False, [100_000]
    download(server.url, path, DIGEST)
    assert path.read_bytes() == CONTENT


def test_a_piece_from_another_place_is_not_appended(server, path):
    server.lying_range, server.cuts = True, [100_000]
    download(server.url, path, DIGEST)
    assert server.asked == [None, "bytes=100000-", None]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"of another file", CONTENT + b"more", CONTENT])
def test_what_an_earlier_command_left(server, path, left):
    path.parent.mkdir()
    part_of(path).write_bytes(left)
    download(server.url, path, DIGEST)
    assert path.read_bytes() == CONTENT


def test_a_body_whose_length_is_not_told(server, path):
    server.told_length, server.cuts = -1, [1000]
    with pytest.raises(InputError, match="expected " + DIGEST):
        download(server.url, path, DIGEST)
    download(server.url, path, DIGEST)
    assert path.read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, path):
    found = DIGEST
    with pytest.raises(InputError, match=f"has SHA-256 {found}, expected 00000000..."):
        download(server.url, path, "00000000")
    assert [p.name for p in path.parent.iterdir()] == [".lock"]
    with pytest.raises(ValueError, match="8 digits or more"):
        download(server.url, path, "")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusals_are_told_at_once(server, path, status):
    server.statuses = [status]
    with pytest.raises(InputError, match=rf"weights\.pth: {status} \w+"):
        download(server.url, path, DIGEST)
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server, path):
    server.statuses = [503, 500]
    download(server.url, path, DIGEST)
    assert path.read_bytes() == CONTENT
    path.unlink()
    server.statuses = [503] * ATTEMPTS
    with pytest.raises(InputError, match="503 Service Unavailable, 4 times, with 0 bytes"):
        download(server.url, path, DIGEST)


def test_no_server(path):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    with pytest.raises(InputError, match="refused, 4 times"):
        download(f"http://127.0.0.1:{port}/a", path, DIGEST)


@pytest.mark.parametrize("told", [True, False])
def test_a_file_that_is_too_long(server, path, told):
    server.told_length = None if told else -1
    with pytest.raises(InputError, match="expected at most 1,000"):
        download(server.url, path, DIGEST, max_bytes=1000)
    assert not path.exists()
    assert not part_of(path).exists() or part_of(path).stat().st_size <= 1000


def test_a_redirect_on_the_same_host(server, path):
    server.statuses, server.location = [302], f"http://localhost:{server.port}/moved"
    download(server.url, path, DIGEST)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "location",
    ["http://example.org/weights.pth", "ftp://127.0.0.1/a", "file:///etc/passwd", "http://[::2]/a"],
)
def test_a_redirect_to_what_is_not_encrypted_is_refused(server, path, location):
    server.statuses, server.location = [302], location
    with pytest.raises(InputError, match=r"not encrypted|302"):
        download(server.url, path, DIGEST)
    assert len(server.asked) == 1


def test_an_encrypted_redirect_may_leave_the_host():
    """As release pages do; what comes is judged by its checksum."""
    first = "https://github.com/a"
    downloads._check_address("https://objects.githubusercontent.com/a", first)
    with pytest.raises(InputError, match=r"github\.com/a: redirects to http://127\.0\.0\.1/a: not"):
        downloads._check_address("http://127.0.0.1/a", first)


@pytest.mark.parametrize("url", ["http://example.org/a", "file:///etc/passwd", "/etc/passwd", ""])
def test_addresses_that_are_never_asked(path, url):
    with pytest.raises(InputError, match="expected an https address"):
        download(url, path, DIGEST)


def test_a_second_process_is_sent_away(server, path):
    with locked(path.parent), pytest.raises(InputError, match="in use by process"):
        download(server.url, path, DIGEST)
