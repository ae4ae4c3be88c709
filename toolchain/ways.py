"""The three ways in which the engine and its plugins come to a machine; the first that works is taken."""

import hashlib
import json
import os
import platform
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass, field
from pathlib import Path

from toolchain import commands, parts
from toolchain.errors import SetupError
from toolchain.gobuild import Builder
from toolchain.layout import Layout
from toolchain.pins import Pins, fits
from toolchain.progress import Progress

SITE = "https://get.pulumi.com/releases"
CHECKSUMS = "https://github.com/pulumi/pulumi/releases/download"
PROBE_SECONDS = 4.0
MACHINES = {"x86_64": ("x64", "amd64"), "aarch64": ("arm64", "arm64")}


class NotThisWayError(Exception):
    """A way does not work on this machine; the text says why."""


@dataclass(frozen=True)
class Toolchain:
    """Where an engine and its plugins are. Without `files`, they are the user's own."""

    way: int
    description: str
    engine: str
    files: dict[str, Path] = field(default_factory=dict)  # name in bin/ -> file
    plugins: dict[str, Path] = field(default_factory=dict)  # name in plugins/ -> folder


@dataclass(frozen=True)
class Ways:
    """The ways for one checkout; `site` and `checksums` are where Pulumi publishes its releases."""

    layout: Layout
    pins: Pins
    progress: Progress
    site: str = SITE
    checksums: str = CHECKSUMS

    def take(self, only: int | None = None) -> Toolchain:
        """Return the toolchain of the first way that works, or of the one that is asked for. Raises SetupError."""
        ways: dict[int, Callable[[], Toolchain]] = {1: self.own_pulumi, 2: self.release, 3: self.build}
        reasons: list[str] = []
        for number, way in ways.items():
            if only not in (None, number):
                continue
            try:
                return way()
            except NotThisWayError as reason:
                reasons.append(str(reason))
                self.progress.say(f"Way {number}, {WAY_NAMES[number]}: no, {reason}")
        raise SetupError(
            f"the engine cannot be had in the way asked for: {reasons[0]}", "Leave the choice to `make setup`."
        )

    def own_pulumi(self) -> Toolchain:
        """Way 1: the user's own Pulumi, with plugins from Pulumi's site where they are not yet installed."""
        engine = shutil.which("pulumi")
        if engine is None:
            raise NotThisWayError("there is none")
        version = commands.run([engine, "version"], environment={"PULUMI_SKIP_UPDATE_CHECK": "true"}).strip()
        if not fits(version, self.pins.engine_minimum):
            raise NotThisWayError(f"it is {version}, and {self.pins.engine_minimum} or later is needed")
        installed = commands.run([engine, "plugin", "ls", "--json"])
        missing = [name for name, pin in self.pins.plugins.items() if not lists_plugin(installed, name, pin)]
        if missing and not answers(f"{self.site}/plugins/"):
            raise NotThisWayError(
                f"its plugins {', '.join(missing)} are not installed, and {self.site} does not answer"
            )
        for name in missing:
            commands.run([engine, "plugin", "install", "resource", name, self.pins.plugins[name]])
        return Toolchain(1, f"your own Pulumi {version} ({engine})", engine)

    def release(self) -> Toolchain:
        """Way 2: Pulumi's release archive, its checksum verified, with plugins from Pulumi's site."""
        if not answers(f"{self.site}/sdk/"):
            raise NotThisWayError(f"{self.site} does not answer")
        version = self.pins.engine_release
        shaped_by = [self.pins.layout, version, self.pins.plugins]
        folder = parts.part_folder(self.layout.parts, "release", shaped_by)
        if not parts.is_complete(folder):
            with self.progress.part(f"Pulumi {version} and its plugins"):
                parts.ensure(folder, self._unpack_release)
        binaries = {path.name: path for path in (folder / "pulumi").iterdir()}
        plugins = {path.name: path for path in (folder / "plugins").iterdir() if path.is_dir()}
        return Toolchain(2, f"Pulumi's release {version}", "pulumi", binaries, plugins)

    def build(self) -> Toolchain:
        """Way 3: built from Go modules."""
        folders = Builder(self.layout, self.pins, self.progress).ensure()
        programs = [
            path for name in ("engine", "language") for path in folders[name].iterdir() if path.name != parts.MARKER
        ]
        plugins = {f"resource-{name}-v{pin}": folders[f"plugin-{name}"] for name, pin in self.pins.plugins.items()}
        description = f"Pulumi {self.pins.engine_built} built from Go modules"
        return Toolchain(3, description, "pulumi", {path.name: path for path in programs}, plugins)

    def _unpack_release(self, folder: Path) -> None:
        version = self.pins.engine_release
        archive = f"pulumi-v{version}-linux-{MACHINES[platform.machine()][0]}.tar.gz"
        file = folder / archive
        fetch(f"{self.site}/sdk/{archive}", file)
        published = folder / "checksums.txt"
        fetch(f"{self.checksums}/v{version}/pulumi-{version}-checksums.txt", published)
        verify(file, published.read_text())
        with tarfile.open(file) as members:
            members.extractall(folder, filter="data")
        file.unlink()
        for name, pin in self.pins.plugins.items():
            home = {"PULUMI_HOME": str(folder), "PULUMI_SKIP_UPDATE_CHECK": "true"}
            commands.run([folder / "pulumi" / "pulumi", "plugin", "install", "resource", name, pin], environment=home)


WAY_NAMES = {1: "a `pulumi` on PATH", 2: "Pulumi's release archive", 3: "built from Go modules"}


def lists_plugin(listing: str, name: str, version: str) -> bool:
    """Tell whether the JSON that `pulumi plugin ls` prints has a resource plugin."""
    text = listing[listing.find("[") :]
    return any(
        plugin.get("name") == name and plugin.get("kind") == "resource" and plugin.get("version") == version
        for plugin in json.loads(text or "[]")
    )


def answers(url: str, seconds: float = PROBE_SECONDS) -> bool:
    """Tell within a few seconds whether a site answers at all, with whatever status."""

    def ask() -> bool:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):  # noqa: S310 (ours)
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500 and error.headers.get("Via") is None
        except OSError:
            return False

    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(ask).result(seconds)  # name look-ups have no time limit of their own
    except LateError:
        return False
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def fetch(url: str, file: Path) -> None:
    """Download a file. Raises SetupError."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, file.open("wb") as target:  # noqa: S310 (a pinned URL)
            shutil.copyfileobj(answer, target)
    except OSError as error:
        raise SetupError(f"{url} could not be downloaded: {error}", "Run `make setup` again, or take way 3.") from error


def verify(file: Path, published: str) -> None:
    """Compare a file's SHA-256 with the published list (lines of sum and name). Raises SetupError."""
    sums = {
        name.lstrip("*"): digest for digest, name in (line.split() for line in published.splitlines() if line.strip())
    }
    wanted = sums.get(file.name)
    got = hashlib.sha256(file.read_bytes()).hexdigest()
    if got != wanted:
        file.unlink()
        raise SetupError(
            f"the checksum of {file.name} is {got}, published is {wanted or 'none'}: the file is not what it should be",
            "Run `make setup` again. If it stays so, something between here and Pulumi's site changes files.",
        )


def forced_way() -> int | None:
    """Return the way that NODE_IMAGES_SETUP_WAY asks for. Raises SetupError for nonsense."""
    value = os.environ.get("NODE_IMAGES_SETUP_WAY", "")
    if value in ("", "1", "2", "3"):
        return int(value) if value else None
    raise SetupError(f"NODE_IMAGES_SETUP_WAY is {value!r}, which is none of 1, 2, 3", "Unset it.")
