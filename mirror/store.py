"""The kept copies: files under <cache>/artifacts/files/<host>/<path>, each with a record of where it came from.

A file without its record does not count as kept: the record is written last, so a run that dies half-way leaves
nothing that could be taken for a whole artifact.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from recipe.files import write_atomically

Origin = Literal["upstream", "built"]


@dataclass(frozen=True)
class Artifact:
    """A kept file.

    sha256: of the file as it is kept; equal to the published sum only where origin is "upstream".
    facts: how it was made, e.g. module, version and Go version of a built one.
    """

    url: str
    path: Path
    sha256: str
    size: int
    origin: Origin
    kept: str
    facts: dict[str, str] = field(default_factory=dict)


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Workplace:
    """A folder of the cache that one process at a time fills."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @contextmanager
    def workdir(self) -> Iterator[Path]:
        """Yield an empty directory on the folder's file system; it is gone afterwards, or swept by the next fill."""
        (self.root / "work").mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=self.root / "work"))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            # Held for as long as the directory is in use: by this the sweep tells it from what a killed run left.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)

    @contextmanager
    def filling(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the right to fill the folder; `waiting` is called first if another process has it."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "fill.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._sweep()
            yield

    def _sweep(self) -> None:
        for path in (self.root / "work").glob("*"):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)


class Store(Workplace):
    """The artifacts kept in one cache."""

    def __init__(self, cache: Path) -> None:
        super().__init__(cache / "artifacts")

    def find(self, url: str, published: str) -> Artifact | None:
        """Return the kept artifact, or None if there is none; an upstream file must have the `published` sum."""
        artifact = self._read(url, self._record(url))
        if artifact is None or (artifact.origin == "upstream" and artifact.sha256 != published):
            return None
        return artifact

    def all(self) -> list[Artifact]:
        """Return every kept artifact, by URL."""
        records = sorted((self.root / "records").rglob("*.yaml"))
        urls = (
            f"https://{record.relative_to(self.root / 'records').as_posix().removesuffix('.yaml')}"
            for record in records
        )
        return [artifact for url in urls if (artifact := self._read(url, self._record(url)))]

    def keep(self, part: Path, url: str, origin: Origin, facts: dict[str, str] | None = None) -> Artifact:
        """Move a finished file of this store's workdir to its place, and record it."""
        record, path = self._record(url), self._file(url)
        about: dict[str, Any] = {"origin": origin, "sha256": sha256_of(part), "size": part.stat().st_size}
        about |= {"kept": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "facts": facts or {}}
        for folder in (path.parent, record.parent):
            folder.mkdir(parents=True, exist_ok=True)
        _flush(part)
        record.unlink(missing_ok=True)
        part.replace(path)
        write_atomically(record, yaml.safe_dump({"url": url, **about}, sort_keys=False))
        return Artifact(url=url, path=path, **about)

    def _file(self, url: str) -> Path:
        return self.root / "files" / url.removeprefix("https://")

    def _record(self, url: str) -> Path:
        return self.root / "records" / f"{url.removeprefix('https://')}.yaml"

    def _read(self, url: str, record: Path) -> Artifact | None:
        try:
            about = yaml.safe_load(record.read_text())
            artifact = Artifact(path=self._file(url), **about)
            whole = artifact.path.stat().st_size == artifact.size
        except (FileNotFoundError, TypeError, yaml.YAMLError):
            return None
        return artifact if whole else None


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
