"""Make what an image is made of, and put it into a layer."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from mirror.children import Children
from mirror.errors import MirrorError
from mirror.gobuild import c_compiler
from mirror.images.layers import Layer
from mirror.images.recipes import CProgram, Debian, GoProgram, Links, Recipe, Text

DEBIAN_MIRROR = "http://deb.debian.org"
# The fact that is too long for a list.
DEBIAN = "debian"
# Without root it runs as another user, who may not write beside the archive: the list goes to standard error.
LIST_PACKAGES = 'ls "$1/var/cache/apt/archives" >&2'
INSTALL_MMDEBSTRAP = "apt-get install mmdebstrap"


class Maker:
    """Fills layers in a folder, for one architecture."""

    def __init__(self, arch: str, work: Path, children: Children) -> None:
        self._arch = arch
        self._work = work
        self._children = children

    def layer(self, recipe: Recipe, binary: Path | None, update: Callable[[str], None]) -> tuple[Path, dict[str, str]]:
        """Make the layer of a recipe, with the Go program that was compiled for it; return its file, and facts."""
        layer = Layer()
        facts: dict[str, str] = {}
        for part in recipe.contents:
            if isinstance(part, GoProgram) and binary:
                layer.add_file(part.path, binary.read_bytes(), 0o755)
            elif isinstance(part, CProgram):
                update("compiling")
                layer.add_file(part.path, self._compile(part), 0o755)
            elif isinstance(part, Debian):
                update("unpacking Debian packages")
                facts |= self._add_debian(layer, part)
            elif isinstance(part, Text):
                layer.add_text(part)
            elif isinstance(part, Links):
                _add_links(layer, part)
        path = self._work / "layer.tar"
        layer.write(path)
        return path, facts

    def _compile(self, part: CProgram) -> bytes:
        source, binary = self._work / "program.c", self._work / "program"
        source.write_text(part.source)
        options = ["-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-Wl,--build-id=none"]
        self._run([c_compiler(self._arch, f"/{part.path} is written in C"), *options, "-o", binary, source])
        return binary.read_bytes()

    def _add_debian(self, layer: Layer, part: Debian) -> dict[str, str]:
        archive = self._work / "debian.tar"
        archive.unlink(missing_ok=True)
        command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={self._arch}"]
        command += [f"--extract-hook={LIST_PACKAGES}", f"--include={','.join(part.packages)}"]
        command += [part.suite, str(archive), *_sources(part.suite)]
        told = self._run(command, INSTALL_MMDEBSTRAP)
        layer.add_debian(archive)
        return {DEBIAN: " ".join(package_versions(told))}

    def _run(self, command: Sequence[str | Path], remedy: str = "") -> str:
        """Run a program; return what it wrote on standard error."""
        try:
            ended = self._children.run(command, self._work)
        except FileNotFoundError:
            raise MirrorError(f"{command[0]}: not found", remedy) from None
        if ended.code:
            # The last line tells the consequence, those before it the reason.
            words = "\n".join(ended.errors.strip().splitlines()[-8:])
            raise MirrorError(f"{command[0]} failed\n{words}", remedy)
        return ended.errors


def package_versions(told: str) -> list[str]:
    """Return NAME=VERSION of the packages in lines such as kmod_34.2-2_amd64.deb; other lines are passed over."""
    names = [found for line in told.splitlines() if (found := re.fullmatch(r"([^_\s]+)_([^_\s]+)_\w+\.deb", line))]
    return [f"{found[1]}={unquote(found[2])}" for found in names]


def _add_links(layer: Layer, part: Links) -> None:
    for path, target in part.targets.items():
        layer.add_link(path, target)


def _sources(suite: str) -> list[str]:
    suites = (("debian", suite), ("debian", f"{suite}-updates"), ("debian-security", f"{suite}-security"))
    return [f"deb {DEBIAN_MIRROR}/{archive} {name} main" for archive, name in suites]
