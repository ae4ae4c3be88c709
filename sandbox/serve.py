"""The daemon itself: take the lock, listen, serve until SIGTERM or SIGINT."""

from __future__ import annotations

import fcntl
import logging
import os
import socket

import uvicorn

from sandbox.api.app import make_app
from sandbox.daemon import Daemon
from sandbox.errors import SandboxError
from sandbox.process import ProcessId
from sandbox.projects import Projects
from sandbox.settings import Home, Settings


def serve(home: Home, settings: Settings) -> None:
    """Be the daemon: until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home.make()
    lock = home.lock.open("w")
    take_lock(lock.fileno(), home)
    process = ProcessId.of(os.getpid())
    assert process is not None  # noqa: S101 - for the type checker: we are alive
    # Before it listens: whoever finds the port taken can see by whom.
    home.daemon.write_text(Daemon(process=process, settings=settings).model_dump_json())
    listener = listen(settings.port)
    config = uvicorn.Config(
        lambda: make_app(Projects(home, settings)),
        factory=True,
        log_config=None,
        access_log=False,  # requests are on record in the state, where their number is bounded
        timeout_graceful_shutdown=3,
        ws="none",
        lifespan="on",
    )
    uvicorn.Server(config).run(sockets=[listener])
    lock.close()


def take_lock(fd: int, home: Home) -> None:
    """Raises when another daemon has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SandboxError(f"another sandbox uses {home.path}", "stop it, or use another --home") from error


def listen(port: int) -> socket.socket:
    """On the loopback interface only. The protocol is named because asyncio sets TCP_NODELAY only then (40 ms a call)."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        raise SandboxError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}", "use another --port") from error
    return listener
