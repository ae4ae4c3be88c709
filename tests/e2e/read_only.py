"""A way to the API that lets only reads through, as an API token that may only read does."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class _Gate(ThreadingHTTPServer):
    target: str
    refused: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Gate

    def do_GET(self) -> None:
        headers = {"Authorization": self.headers["Authorization"]}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.server.target + self.path, headers=headers)
            ) as answer:
                self.reply(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self.reply(error.code, error.read())

    def do_POST(self) -> None:
        self.server.refused.append(f"{self.command} {self.path}")
        self.reply(
            403, b'{"error": {"code": "token_readonly", "message": "token is only allowed to perform GET requests"}}'
        )

    do_PUT = do_DELETE = do_POST  # noqa: N815 - http.server's names

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def read_only(endpoint: str) -> Iterator[tuple[str, list[str]]]:
    """Another endpoint of the same API, and what it refused."""
    place = urlsplit(endpoint)
    gate = _Gate(("127.0.0.1", 0), _Handler)
    gate.target, gate.refused = f"{place.scheme}://{place.netloc}", []
    threading.Thread(target=gate.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{gate.server_port}{place.path}", gate.refused
    gate.shutdown()
    gate.server_close()
