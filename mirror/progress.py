"""Tell what happens: lines where nobody watches, a live line on a terminal."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

HEARTBEAT_SECONDS = 30.0


class Progress(Protocol):
    """Where the parts of the mirror report to. Called from several threads."""

    def say(self, line: str) -> None:
        """Tell one finished fact."""

    def task(self, name: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show `name` while the block runs; the yielded function tells what it is at."""


class Silent:
    """Tells nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""

    @contextmanager
    def task(self, name: str) -> Iterator[Callable[[str], None]]:  # noqa: ARG002 (the protocol's)
        """Run the block."""
        yield lambda _detail: None


class Lines:
    """Plain lines on standard error: start, a sign of life every half minute, end."""

    def say(self, line: str) -> None:
        """Print the line."""
        print(line, file=sys.stderr, flush=True)

    @contextmanager
    def task(self, name: str) -> Iterator[Callable[[str], None]]:
        """Print when the block starts, and every half minute what it is at."""
        start = told = time.monotonic()
        self.say(f"{name} ...")

        def update(detail: str) -> None:
            nonlocal told
            if time.monotonic() - told > HEARTBEAT_SECONDS:
                told = time.monotonic()
                self.say(f"{name} ... {took(start)}, {detail}")

        yield update


class Live:
    """A spinner line per task on a terminal; finished facts scroll above."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 (not needed, nor paid for, when nothing is missing)
        from rich.progress import Progress as Rich  # noqa: PLC0415
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._changing = threading.Lock()
        detail = TextColumn("[dim]{task.fields[detail]}", markup=True)
        self._rich = Rich(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            detail,
            console=Console(stderr=True),
            transient=True,
        )

    def say(self, line: str) -> None:
        """Print the line above the spinners."""
        self._rich.console.print(line, highlight=False, markup=False)

    @contextmanager
    def task(self, name: str) -> Iterator[Callable[[str], None]]:
        """Show a spinner with the elapsed time while the block runs."""
        with self._changing:
            self._rich.start()
            task = self._rich.add_task(name, detail="")
        try:
            yield lambda detail: self._rich.update(task, detail=detail[-60:])
        finally:
            with self._changing:
                self._rich.remove_task(task)
                if not self._rich.tasks:
                    self._rich.stop()


def for_terminal() -> Progress:
    """Return what suits standard error."""
    return Live() if sys.stderr.isatty() else Lines()


def took(start: float) -> str:
    """Return the time since `start` (of time.monotonic) as "1m02s" or "3.4s"."""
    seconds = time.monotonic() - start
    return f"{seconds // 60:.0f}m{seconds % 60:02.0f}s" if seconds >= 60 else f"{seconds:.1f}s"
