"""Parts of a toolchain: each in a folder of its own, complete when its marker is there, and then never touched again."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from toolchain.progress import Progress

MARKER = ".complete"
DIGEST_DIGITS = 12


def part_folder(parts: Path, name: str, shaped_by: object) -> Path:
    """Name a part's folder after everything that shapes its content (any JSON value)."""
    digest = hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()
    return parts / f"{name}-{digest[:DIGEST_DIGITS]}"


def is_complete(folder: Path) -> bool:
    """Tell whether a part was finished."""
    return (folder / MARKER).exists()


def ensure(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return a part's folder, built from nothing unless it is complete. The lock must be held."""
    if not is_complete(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        build(folder)
        (folder / MARKER).touch()
    return folder


@contextmanager
def locked(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a cache; say so if another set-up must be waited for. It ends with the process, however that ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("Another set-up is at work on this cache; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
