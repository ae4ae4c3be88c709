"""Run the server in the background, once per home folder."""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from mirror.errors import MirrorError

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".sandbox" / "mirror"
START_SECONDS = 15.0
STOP_SECONDS = 8.0


@dataclass(frozen=True)
class Running:
    """A server that runs: its process id, its base URL, and that of the registry beside it."""

    pid: int
    url: str
    registry: str = ""


class Home:
    """The folder of one server: its pid file and its log.

    The server holds a lock on the pid file while it lives. That, not the number in it, tells whether it runs, so a file
    left by a killed server or a number used again by another process misleads nobody.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log = self.path / "mirror.log"
        self._pid_file = self.path / "mirror.pid"

    def running(self) -> Running | None:
        """Return the server that runs, or None."""
        try:
            with self._pid_file.open() as file:
                if _lock(file.fileno(), fcntl.LOCK_SH):
                    return None
                return Running(**json.load(file))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @contextmanager
    def claimed(self, url: str, registry: str) -> Iterator[None]:
        """Be the server of this home while the block runs; MirrorError where another is."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self._pid_file.open("a+") as file:
            if not _within(1.0, lambda: _lock(file.fileno(), fcntl.LOCK_EX)):
                raise MirrorError(f"{self.path}: its mirror is already running", "python -m mirror stop")
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "url": url, "registry": registry}))
            file.flush()
            # Not removed at the end: who waits for the lock has this very file open.
            yield

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Keep others from starting the server of this home at the same time."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def start(self, arguments: Sequence[str]) -> Running:
        """Start `python -m mirror serve` with these arguments, and return once it answers."""
        with self.log.open("w") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "mirror", "serve", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _within(START_SECONDS, lambda: child.poll() is not None or self._answers(child.pid))
        if (running := self.running()) and running.pid == child.pid:
            return running
        child.kill()
        child.wait()
        raise MirrorError(
            _last_words(self.log) or f"the mirror did not come up within {START_SECONDS:.0f} s; see {self.log}"
        )

    def stop(self) -> Running | None:
        """Stop the server and return what ran, or None if none did."""
        running = self.running()
        if running is None:
            return None
        process = os.pidfd_open(running.pid)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(process, number)
                if select.select([process], [], [], STOP_SECONDS)[0]:
                    return running
        finally:
            os.close(process)
        raise MirrorError(f"the mirror (process {running.pid}) does not end")

    def _answers(self, pid: int) -> bool:
        running = self.running()
        return running is not None and running.pid == pid and answers(running.url.removeprefix("http://"), "/")


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def answers(address: str, path: str) -> bool:
    """Whether a server at HOST:PORT has the path."""
    # Not by urlopen, which would send it to the proxy that the environment names.
    connection = HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return met


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-5:]).removeprefix("error: ")
