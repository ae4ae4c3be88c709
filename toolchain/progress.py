"""Progress on the terminal: one live line that shows what runs now; without a terminal, a plain line now and then."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

LIVE_SECONDS = 0.5
PLAIN_SECONDS = 20.0


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


class Progress:
    """Says which parts are in work, since when and how far; several may be at once, each in a thread of its own."""

    def __init__(self, stream: TextIO = sys.stderr, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._live = stream.isatty()
        self._start = time.monotonic()
        self._running: dict[str, tuple[float, str]] = {}
        self._lock = threading.RLock()
        self._done = threading.Event()
        self._ticker: threading.Thread | None = None

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if self._quiet:
            return
        with self._lock:
            print(f"\r\033[K{text}" if self._live else text, file=self._stream, flush=True)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Show a part as running, and its time when it is done."""
        start = time.monotonic()
        with self._lock:
            self._running[name] = (start, "")
        self._start_ticker()
        try:
            yield
            self.say(f"  {name}: done in {clock(time.monotonic() - start)}")
        finally:
            with self._lock:
                del self._running[name]
                if self._live and not self._quiet:
                    print("\r\033[K", end="", file=self._stream, flush=True)

    def detail(self, name: str, text: str) -> None:
        """Tell how far a running part has come."""
        with self._lock:
            if name in self._running:
                self._running[name] = (self._running[name][0], text)

    def close(self) -> None:
        """Stop showing anything."""
        self._done.set()
        if self._ticker:
            self._ticker.join()

    def _start_ticker(self) -> None:
        with self._lock:
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()

    def _tick(self) -> None:
        while not self._done.wait(LIVE_SECONDS if self._live else PLAIN_SECONDS):
            with self._lock:
                if self._running and not self._quiet:
                    print(self._line(), end="" if self._live else "\n", file=self._stream, flush=True)

    def _line(self) -> str:
        now = time.monotonic()
        parts = [
            f"{name}{f' ({detail})' if detail else ''} {clock(now - start)}"
            for name, (start, detail) in self._running.items()
        ]
        line = f"  {' | '.join(parts)}"
        return f"\r\033[K{line[:118]}" if self._live else line
