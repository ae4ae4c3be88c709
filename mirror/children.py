"""Programs that this process runs, and that end with it, however it ends."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mirror.errors import MirrorError

# The kernel sends the signal when the thread that started the program ends, be it by a kill -9 of this process.
_TIED_TO_PARENT = ("setpriv", "--pdeathsig")
# Builds take minutes and are seldom urgent.
_POLITELY = ("nice", "-n", "10")


@dataclass(frozen=True)
class Ended:
    """A program that has ended: its exit code and what it wrote."""

    code: int
    output: str
    errors: str


def tied_to_parent(number: str) -> tuple[str, ...]:
    """Words to put before a command so that it gets this signal when we end, such as TERM or KILL."""
    return (*_TIED_TO_PARENT, number) if shutil.which(_TIED_TO_PARENT[0]) else ()


class Children:
    """Runs programs, and ends them all when asked to. Safe to use from several threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self,
        arguments: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Ended:
        """Run a program to its end, or for so many seconds; code -9 tells that the time was over."""
        child = self.start(arguments, folder, environment or os.environ, subprocess.PIPE)
        try:
            output, errors = self.finish(child, seconds)
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL)
            output, errors = self.finish(child)
        return Ended(child.returncode, output, errors)

    def start(
        self, arguments: Sequence[str | Path], folder: Path, environment: Mapping[str, str], stderr: int
    ) -> subprocess.Popen[str]:
        """Start a program in a process group of its own; standard output is a pipe."""
        with self._lock:
            if self._stopped:
                raise MirrorError("interrupted")
            child = subprocess.Popen(
                [*tied_to_parent("TERM"), *_POLITELY, *map(str, arguments)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(child)
        return child

    def finish(self, child: subprocess.Popen[str], seconds: float | None = None) -> tuple[str, str]:
        """Wait for a program's end; return what it wrote and was not read yet. Raises subprocess.TimeoutExpired."""
        output, errors = child.communicate(timeout=seconds)
        with self._lock:
            self._running.discard(child)
            if self._stopped:
                raise MirrorError("interrupted")
        return output, errors

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                _signal(child, signal.SIGTERM)


def _signal(child: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
