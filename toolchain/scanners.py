"""Scanners of vulnerabilities, for the tests of bills of materials: grype, what `trivy sbom` does, and databases for both.

They are built from pinned Go modules (toolchain/go/scanners). The programs stay in the cache; what they are compiled from is
fifty times as large and needed for nothing else, so it is deleted when they are there.
"""

import shutil
from functools import partial
from pathlib import Path

from toolchain import commands, parts
from toolchain.errors import SetupError
from toolchain.layout import Layout
from toolchain.progress import Progress

FOLDER = "toolchain/go/scanners"
PROGRAMS = ("./database", "./trivy", "github.com/anchore/grype/cmd/grype")
NAME = "Scanners for the tests"
REMEDY = "Check that the Go module proxy can be reached (go env GOPROXY), then run `make test` again: it goes on there."


def folder_of(layout: Layout) -> Path:
    """Where the programs are, or will be: named after all that shapes them."""
    module = layout.checkout / FOLDER
    files = sorted([*module.glob("go.*"), *module.rglob("*.go")])
    shaped_by = {path.relative_to(module).as_posix(): path.read_text() for path in files}
    return parts.part_folder(layout.parts, "scanners", [shaped_by, PROGRAMS])


def ensure(layout: Layout, progress: Progress) -> Path:
    """Return the folder of the programs, built unless they are there. Raises SetupError."""
    folder = folder_of(layout)
    if parts.is_complete(folder):
        return folder
    if not shutil.which("go"):
        raise SetupError("the tests need trivy and grype, built from Go modules, and there is no `go` on PATH", REMEDY)
    with parts.locked(layout.toolchain / "scanners.lock", progress), progress.part(NAME):
        return parts.ensure(folder, partial(_build, layout, progress))


def _build(layout: Layout, progress: Progress, folder: Path) -> None:
    """Compile with caches of their own, which stay after an interruption and go at the end."""
    caches = layout.toolchain / "scanners-caches"
    environment = {
        **layout.go_environment(),
        "GOMODCACHE": str(caches / "modules"),
        "GOCACHE": str(caches / "build"),
        "GOEXPERIMENT": "jsonv2",  # trivy's own choice
    }
    downloaded: set[str] = set()

    def is_progress(line: str) -> bool:
        if line.startswith("go: downloading "):
            downloaded.add(line)
            progress.detail(NAME, f"{len(downloaded)} modules downloaded")
            return True
        return False

    commands.run(
        ["go", "build", "-ldflags", "-s -w", "-o", f"{folder}/", *PROGRAMS],
        folder=layout.checkout / FOLDER,
        environment=environment,
        is_progress=is_progress,
        remedy=REMEDY,
    )
    shutil.rmtree(caches)
