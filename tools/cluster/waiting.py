"""Waiting, and what is said meanwhile."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tools.tryout import ROOT

HOME = ROOT / ".sandbox" / "cluster"
"""Key, kubectl and kubeconfig of the cluster."""
WAIT_MINUTES = 45
POLL_SECONDS = 10


class ClusterError(Exception):
    """What went wrong, and what to do about it."""


def attempts() -> Iterator[None]:
    """Until the time is over."""
    until = time.monotonic() + WAIT_MINUTES * 60
    while time.monotonic() < until:
        yield
        time.sleep(POLL_SECONDS)


@contextmanager
def waiting(prefix: str) -> Iterator[Callable[[str], None]]:
    """A line whenever what is waited for changes, with the seconds so far."""
    start, last = time.monotonic(), ""

    def tell(what: str) -> None:
        nonlocal last
        if what != last:
            print(f"  {time.monotonic() - start:4.0f} s  {prefix}{what}", flush=True)
            last = what

    yield tell
