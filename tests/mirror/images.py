"""A cache of images in temporary folders, with the real registry and the real crane, and recipes that need no compiler."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.gobuild import Go
from mirror.images import KeptImage, ensure_images
from mirror.images.own_programs import CRANE, REGISTRY, ensure_own
from mirror.images.recipes import RECIPES, Recipe, Text
from mirror.images.store import ImageStore
from mirror.progress import Silent
from tests.mirror.doubles import ROOT
from toolchain.layout import cache_root

PAUSE, NOTE = "registry.k8s.io/pause:3.10.2", "registry.k8s.io/note:1"


def note(text: str) -> Recipe:
    return Recipe((Text("etc/note", text),), ("/bin/note",))


@dataclass
class ImagePlace:
    """Temporary cache and home, and the registry that is asked first."""

    path: Path
    upstream: str

    def __post_init__(self) -> None:
        self.cache, self.home = self.path / "cache", self.path / "home"
        self.store = ImageStore(self.cache)
        shared = ImageStore(cache_root())
        with shared.filling(lambda: None):
            ensure_own(shared, Go(), Silent())
        self.store.programs.mkdir(parents=True)
        for own in (REGISTRY, CRANE):
            shutil.copy(own.path(shared), own.path(self.store))

    def ensure(
        self, *names: str, recipes: Mapping[str, Recipe] = RECIPES, arches: tuple[str, ...] = ("amd64",)
    ) -> list[KeptImage]:
        return ensure_images(names, cache=self.cache, upstream=self.upstream, recipes=recipes, arches=arches)

    def command(self, name: str, *arguments: str) -> list[str]:
        places = [f"--cache={self.cache}"]
        places += [f"--upstream={self.upstream}"] if name == "images" else [f"--home={self.home}"]
        return [sys.executable, "-m", "mirror", name, *places, *arguments]

    def run(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name, *arguments),
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def crane(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [CRANE.path(self.store), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def unpacked(self, name: str, folder: Path) -> Path:
        """The files of an image, as a container would have them."""
        folder.mkdir()
        export = subprocess.Popen([CRANE.path(self.store), "export", name, "-"], stdout=subprocess.PIPE)
        subprocess.run(["tar", "--extract", "--directory", folder], stdin=export.stdout, check=True)
        assert export.wait(60) == 0
        return folder

    def leftovers(self) -> list[Path]:
        return [*self.store.leftovers(), *(self.store.root / "work").glob("*")]

    def processes(self) -> list[int]:
        """Process ids of the registries of this place."""
        program = str(REGISTRY.path(self.store)).encode()
        return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _arguments(entry)[:1] == [program]]


def _arguments(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def go_environment(folder: Path, module: str, source: str) -> dict[str, str]:
    """Variables with which the go command finds a module of ours, which nobody publishes, and nothing else."""
    versions = folder / module / "@v"
    versions.mkdir(parents=True)
    files = {"go.mod": f"module {module}\n\ngo 1.26\n", "main.go": source}
    (versions / "v1.0.0.mod").write_text(files["go.mod"])
    (versions / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (versions / "list").write_text("v1.0.0\n")
    with zipfile.ZipFile(versions / "v1.0.0.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{module}@v1.0.0/{name}", text)
    modules = os.fspath(folder / "modules")
    return {"GOPROXY": f"file://{folder}", "GOSUMDB": "off", "GOMODCACHE": modules, "GOFLAGS": "-modcacherw"}
