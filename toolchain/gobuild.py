"""Way 3: the engine and its plugins, built from pinned Go modules."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from toolchain import commands, parts
from toolchain.errors import SetupError
from toolchain.layout import PINNED_FOLDER, Layout
from toolchain.pins import Pins, fits, version_numbers
from toolchain.progress import Progress

NAME = "Engine and plugins from Go modules"
SDK = "github.com/pulumi/pulumi/sdk/v3"
ENGINE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
LANGUAGE_HOST = f"{SDK}/python/cmd/pulumi-language-python"
# Scripts of the SDK that stand beside the language host; the second serves dynamic resources.
LANGUAGE_SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
REMEDY = (
    "Check that the Go module proxy can be reached (go env GOPROXY), then run `make setup` again: it goes on there."
)


@dataclass(frozen=True)
class Part:
    """One folder of the toolchain: the packages whose binaries it is made of, and how they are put there."""

    name: str
    module: str
    packages: tuple[str, ...]
    flags: str
    assemble: Callable[["Builder", Path, Path], None]


class Builder:
    """Builds what is missing of the engine and its plugins, all of a module with one call of the Go compiler."""

    def __init__(self, layout: Layout, pins: Pins, progress: Progress) -> None:
        self.layout = layout
        self.pins = pins
        self.progress = progress
        self.environment = layout.go_environment()

    def ensure(self) -> dict[str, Path]:
        """Return the folder of each part, by name."""
        folders = {part.name: self._folder(part) for part in self.plan()}
        missing = [part for part in self.plan() if not parts.is_complete(folders[part.name])]
        if missing:
            require_go(self.pins.go)
            with self.progress.part(NAME):
                for module, members in groupby(missing, key=lambda part: part.module):
                    self._build(module, list(members), folders)
        return folders

    def plan(self) -> list[Part]:
        """List the parts, the longest first: what it compiles serves the others."""
        pins = self.pins
        return [
            Part(
                "engine",
                ".",
                (ENGINE,),
                f"-X {SDK}/go/common/version.Version=v{pins.engine_built}",
                _take_engine,
            ),
            Part(
                "plugin-hcloud",
                ".",
                ("./hcloud/tfgen", "./hcloud"),
                f"-X node-images/plugins/hcloud/provider.Version={pins.plugins['hcloud']}",
                _take_hcloud,
            ),
            Part(
                "plugin-command",
                ".",
                ("./command",),
                f"-X main.version={pins.plugins['command']}",
                _take_command,
            ),
            Part("language", "language-python", (LANGUAGE_HOST,), "", _take_language_host),
        ]

    def go(self, module: str, *arguments: str, is_progress: Callable[[str], bool] = lambda _: False) -> str:
        """Run the go command in a module; return its output."""
        folder = self.layout.checkout / PINNED_FOLDER / module
        return commands.run(
            ["go", *arguments], folder=folder, environment=self.environment, is_progress=is_progress, remedy=REMEDY
        )

    def _folder(self, part: Part) -> Path:
        module = self.layout.checkout / PINNED_FOLDER / part.module
        sources = [
            path for package in part.packages if package.startswith("./") for path in (module / package).rglob("*.go")
        ]
        shared = sorted(module.glob("hcloud/provider/*.go")) if part.name == "plugin-hcloud" else []
        files = [module / "go.mod", module / "go.sum", *sorted({*sources, *shared})]
        shaped_by = {
            "layout": self.pins.layout,
            "files": {path.relative_to(module).as_posix(): path.read_text() for path in files},
            "packages": part.packages,
            "flags": part.flags,
        }
        return parts.part_folder(self.layout.parts, part.name, shaped_by)

    def _build(self, module: str, members: list[Part], folders: dict[str, Path]) -> None:
        """Build parts of one module by one call: nothing is compiled twice, and one links while another compiles."""
        name = members[0].name
        wanted = [package for part in members for package in part.packages]
        packages = self._needed_packages(name, module, wanted)
        compiled: set[str] = set()

        def is_progress(line: str) -> bool:
            if line not in packages:
                return line.startswith("go: downloading ")
            compiled.add(line)
            self.progress.detail(NAME, f"{name}: {len(compiled)} of at most {len(packages)} packages")
            return True

        self.layout.parts.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".built-", dir=self.layout.parts) as built:
            flags = " ".join(["-s -w", *(part.flags for part in members if part.flags)])
            self.go(module, "build", "-v", "-ldflags", flags, "-o", f"{built}/", *wanted, is_progress=is_progress)
            for part in members:
                parts.ensure(folders[part.name], partial(part.assemble, self, Path(built)))

    def _needed_packages(self, name: str, module: str, wanted: list[str]) -> set[str]:
        """List what packages are compiled from; the modules are downloaded on the way."""
        modules = 0

        def is_progress(line: str) -> bool:
            nonlocal modules
            modules += line.startswith("go: downloading ")
            self.progress.detail(NAME, f"{name}: {modules} modules downloaded")
            return line.startswith("go: downloading ")

        return set(self.go(module, "list", "-deps", *wanted, is_progress=is_progress).splitlines())


def _take_engine(_: Builder, binaries: Path, folder: Path) -> None:
    (binaries / "pulumi").rename(folder / "pulumi")


def _take_hcloud(builder: Builder, binaries: Path, folder: Path) -> None:
    schema = binaries / "schema"
    schema.mkdir()
    commands.run([binaries / "tfgen", "schema", "--skip-docs", "--out", schema], environment=builder.environment)
    for name in ("schema.json", "bridge-metadata.json"):
        (schema / name).rename(folder / name)
    (binaries / "hcloud").rename(folder / "pulumi-resource-hcloud")


def _take_command(_: Builder, binaries: Path, folder: Path) -> None:
    (binaries / "command").rename(folder / "pulumi-resource-command")


def _take_language_host(builder: Builder, binaries: Path, folder: Path) -> None:
    (binaries / "pulumi-language-python").rename(folder / "pulumi-language-python")
    sdk = Path(builder.go(".", "list", "-m", "-f", "{{.Dir}}", SDK).strip())
    for script in LANGUAGE_SCRIPTS:
        copy = folder / Path(script).name
        shutil.copyfile(sdk / script, copy)
        copy.chmod(0o755)


def require_go(minimum: str) -> None:
    """Raise SetupError unless a `go` is there that is new enough, or new enough to fetch the one that is."""
    remedy = (
        f"Install Go {minimum} or later (https://go.dev/dl, or the package golang-go where it is new enough), "
        "or install Pulumi (https://www.pulumi.com/docs/install); then run `make setup` again."
    )
    if not shutil.which("go"):
        raise SetupError("the Pulumi engine must be built from Go modules here, and there is no `go` on PATH", remedy)
    version = commands.run(["go", "env", "GOVERSION"], environment={"GOTOOLCHAIN": "local"})
    if not fits(version, minimum) and not _fetches_newer(version):
        raise SetupError(f"the `go` on PATH is {version.strip()}, too old to build the Pulumi engine", remedy)


def _fetches_newer(version: str) -> bool:
    """Since 1.21 the go command fetches the Go version that a module asks for, unless it is told not to."""
    return version_numbers(version) >= (1, 21) and not _toolchain_setting().startswith(("local", "path"))


def _toolchain_setting() -> str:
    if setting := os.environ.get("GOTOOLCHAIN"):
        return setting
    return commands.run(["go", "env", "GOTOOLCHAIN"]).strip() if shutil.which("go") else "auto"
