"""The programs that the mirror itself runs to keep images: built from their Go modules, as the others, on first use."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from mirror.gobuild import Go, own_architecture
from mirror.images.store import ImageStore
from mirror.programs import Build, Program
from mirror.progress import Progress, took


@dataclass(frozen=True)
class OwnProgram:
    """One program: package of a module, and the version that is used."""

    program: Program
    package: str
    version: str

    def path(self, store: ImageStore) -> Path:
        """Where it lies when it was built."""
        return store.programs / f"{self.program.name}-{self.version}"


def _own(module: str, package: str, version: str) -> OwnProgram:
    return OwnProgram(Program(package.rsplit("/", 1)[1], module, {}, {}), package, version)


# An OCI registry, and the tool that puts images together and moves them between registries.
REGISTRY = _own("github.com/distribution/distribution/v3", "cmd/registry", "3.1.2")
CRANE = _own("github.com/google/go-containerregistry", "cmd/crane", "0.22.1")


def are_there(store: ImageStore) -> bool:
    """Whether both were built."""
    return all(own.path(store).exists() for own in (REGISTRY, CRANE))


def ensure_own(store: ImageStore, go: Go, progress: Progress) -> None:
    """Build what is missing. The right to fill the store must be held."""
    for own in (REGISTRY, CRANE):
        if not own.path(store).exists():
            _build(own, store, go, progress)


def _build(own: OwnProgram, store: ImageStore, go: Go, progress: Progress) -> None:
    start, build = time.monotonic(), Build(own.program, own.version, own_architecture(), ())
    with progress.task(f"building {build}") as update, store.workdir() as work:
        (binary,) = go.compile(build, {"it": (own.package,)}, work, update).binaries["it"]
        store.programs.mkdir(parents=True, exist_ok=True)
        shutil.move(binary, own.path(store))
    progress.say(f"{build}: built from its Go module, {took(start)}")
