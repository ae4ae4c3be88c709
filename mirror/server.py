"""Serve the artifacts over HTTP on loopback: kept copy, else upstream. Building them is left to `ensure`.

A file that was built has another sum than upstream's, and a recipe must know that sum before it asks for the file; so a
request never starts a build.
"""

import logging
import socket
import threading
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mirror.errors import MirrorError, UnavailableError
from mirror.fill import explain_os_error
from mirror.images.store import ImageStore
from mirror.programs import is_program
from mirror.store import Artifact, Store
from mirror.sums import read_lock
from mirror.upstream import Upstream

ADDRESS = "127.0.0.1"
SERVICE = "artifact mirror"

log = logging.getLogger("uvicorn.error")


class Mirror:
    """Answers requests for <base>/<host>/<path>, the artifact that upstream publishes at https://<host>/<path>."""

    def __init__(self, store: Store, images: ImageStore, lock: Path, upstream: Upstream) -> None:
        self._store = store
        self._images = images
        self._lock = lock
        self._upstream = upstream
        self._fetching: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[Route("/", self.about), Route("/images", self.images), Route("/{file:path}", self.artifact)]
        )

    def about(self, _request: Request) -> Response:
        """Tell what this server is."""
        return JSONResponse({"service": SERVICE, "cache": str(self._store.root), "lock": str(self._lock)})

    def images(self, _request: Request) -> Response:
        """List the images of the registry, each with its origin and how it was made."""
        return JSONResponse([asdict(kept) for kept in self._images.all()])

    def artifact(self, request: Request) -> Response:
        """Serve one file, with origin ("upstream" or "built") and sum in the headers; 404 or 502 with the reason."""
        url = f"https://{request.path_params['file']}"
        try:
            published = read_lock(self._lock).get(url)
            # The lock is also what keeps this from being an open proxy, or from serving other files of this machine.
            if published is None and not is_program(url):
                return PlainTextResponse(f"{url}: has no line in {self._lock}; other files are not served\n", 404)
            found = self._find(url, published or "")
        except UnavailableError as error:
            remedy = f"get it or build it first: python -m mirror ensure {url}"
            return PlainTextResponse(f"{error}\n{remedy}\n", 404)
        except MirrorError as error:
            log.error("%s", error)
            return PlainTextResponse(f"{error}\n", 502)
        headers = {"x-artifact-origin": found.origin, "x-artifact-sha256": found.sha256}
        return FileResponse(found.path, media_type="application/octet-stream", headers=headers)

    def _find(self, url: str, published: str) -> Artifact:
        with self._fetching[url]:
            try:
                if found := self._store.find(url, published):
                    return found
                if not published:
                    raise UnavailableError(f"{url}: has no line in {self._lock}, so it is not fetched from upstream")
                return self._upstream.fetch(url, published)
            except OSError as error:
                raise explain_os_error(error, self._store) from None


def listen(port: int) -> socket.socket:
    """Return a bound socket on loopback; raises MirrorError where the port is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
    except OSError as error:
        listener.close()
        raise MirrorError(
            f"{ADDRESS}:{port}: cannot listen ({error.strerror})",
            f"`ss -ltnp 'sport = :{port}'` tells what uses the port: end that, or choose another port with --port",
        ) from None
    return listener


def serve(listener: socket.socket, cache: Path, lock: Path, upstream: str | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    store = Store(cache)
    mirror = Mirror(store, ImageStore(cache), lock, Upstream(store, upstream))
    config = uvicorn.Config(mirror.application(), log_level="info", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listener])
