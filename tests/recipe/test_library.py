"""The functions that steps share, run by a real bash against a real HTTP server."""

import hashlib
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

LIBRARY = Path("recipe/steps/lib.sh").read_text()
CONTENT = b"#!/bin/sh\necho hello\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


class Truncating(Quiet):
    """Promises all of the file and breaks off in the middle; the second attempt is whole."""

    attempts = 0

    def do_GET(self) -> None:
        type(self).attempts += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.attempts > 1 else CONTENT[:5])


def serving(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "tool").write_bytes(CONTENT)
    with tarfile.open(tmp_path / "www" / "tools.tgz", "w:gz") as archive:
        archive.add(tmp_path / "www" / "tool", "bin/tool")
    yield from serving(partial(Quiet, directory=str(tmp_path / "www")))


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", f"{LIBRARY}\n{script}"], capture_output=True, text=True, timeout=60)


def test_fetch_keeps_what_the_lock_promises(upstream: str, tmp_path: Path) -> None:
    result = run(f"fetch {upstream}/tool {DIGEST} {tmp_path}/got")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "got").read_bytes() == CONTENT


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "got").write_bytes(CONTENT)
    assert run(f"fetch http://127.0.0.1:1/nothing {DIGEST} {tmp_path}/got").returncode == 0


def test_a_tampered_file_is_refused_and_removed(upstream: str, tmp_path: Path) -> None:
    result = run(f"fetch {upstream}/tool {'0' * 64} {tmp_path}/got")
    assert result.returncode == 1
    assert f"{upstream}/tool: sha256 is {DIGEST}, but the lock says {'0' * 64}" in result.stderr
    assert list(tmp_path.glob("got*")) == []


def test_a_truncated_download_is_tried_again(tmp_path: Path) -> None:
    for url in serving(Truncating):
        result = run(f"fetch {url}/tool {DIGEST} {tmp_path}/got")
    assert result.returncode == 0, result.stderr
    assert Truncating.attempts == 2


def test_unpack_puts_files_in_place_and_removes_the_archive(upstream: str, tmp_path: Path) -> None:
    digest = hashlib.sha256((tmp_path / "www" / "tools.tgz").read_bytes()).hexdigest()
    assert run(f"unpack {upstream}/tools.tgz {digest} {tmp_path}/out").returncode == 0
    assert (tmp_path / "out" / "bin" / "tool").read_bytes() == CONTENT
    assert not Path("/var/tmp/tools.tgz").exists()


def test_a_step_ends_at_its_first_failure() -> None:
    result = run("false\necho went on")
    assert result.returncode == 1
    assert result.stdout == ""
