"""Which sources refuse a server, as it sees them: the script, run by a real bash against a real HTTP server."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components import sources
from components.identity import new_identity
from components.sources import ASK, refused, refusing
from tests.components.ssh_server import ssh_server


class Host(BaseHTTPRequestHandler):
    """Gives out nothing below /refused/, and has more than one byte of everything else."""

    def do_GET(self) -> None:
        self.send_response(403 if "/refused/" in self.path else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_is_answered_with_403_is_named_and_nothing_else(host: str) -> None:
    urls = [f"{host}/file", f"{host}/refused/file", f"{host}/refused/archive/", "http://127.0.0.1:1/silent"]
    script = f"apt-get() {{ echo \"'{host}/refused/InRelease' name 0\"; }}\n{ASK}"
    done = subprocess.run(["bash", "-s", "--", *urls], input=script, capture_output=True, text=True, timeout=60)
    codename = next(
        line.partition("=")[2]
        for line in Path("/etc/os-release").read_text().splitlines()
        if "VERSION_CODENAME" in line
    )
    assert sorted(done.stdout.split()) == [
        f"{host}/refused/InRelease",
        f"{host}/refused/archive/dists/{codename}/InRelease",
        f"{host}/refused/file",
    ]


def test_a_server_that_cannot_be_asked_is_refused_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusing("127.0.0.1", 22, {}, []) == []
    assert refusing("127.0.0.1", 1, new_identity(), ["https://a/b"]) == []
    monkeypatch.setattr(sources, "ASK", "sleep 9")
    monkeypatch.setattr(sources, "SECONDS", 0.5)
    with ssh_server() as server:
        assert refusing("127.0.0.1", server.port, server.keys, ["https://a/b"]) == []


def test_a_server_is_asked_by_ssh(host: str) -> None:
    with ssh_server() as server:
        assert f"{host}/refused/x" in refusing(
            "127.0.0.1", server.port, server.keys, [f"{host}/refused/x", f"{host}/y"]
        )


def test_people_read_the_address_and_what_it_can_mean() -> None:
    text = refused("198.51.100.7", ["https://a/b"], "Another one is made.")
    assert "https://a/b answered 403 to the build server at 198.51.100.7" in text
    assert "taken for those of another country" in text
    assert text.endswith("Another one is made.")
