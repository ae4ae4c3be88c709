"""Programs of others: from package registries by their ordinary clients, built once in the cache, never kept in git."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from toolchain import commands, parts
from toolchain.layout import CHECKOUT, PINNED_FOLDER, Layout
from toolchain.progress import Progress

PROVIDER = "github.com/hetznercloud/terraform-provider-hcloud"
TOFU, TOFU_VERSION = "github.com/opentofu/opentofu", "v1.12.6"
SCHEMATHESIS = "schemathesis==4.32.5"
LINKING = ("-ldflags", "-s -w")
RELEASED = ("-ldflags", f"-s -w -X {TOFU}/version.dev=no")
USES_THE_API = "teste2e.PreCheck"


def provider_version() -> str:
    """That of the Pulumi plugin, which is made from it."""
    required = (CHECKOUT / PINNED_FOLDER / "go.mod").read_text()
    found = re.search(rf"{re.escape(PROVIDER)} (v\S+)", required)
    assert found, f"{PINNED_FOLDER}/go.mod does not name {PROVIDER}"
    return found[1]


def ensure(name: str, shaped_by: object, build: Callable[[Path], None]) -> Path:
    """A folder of the cache, built once for what shapes it."""
    cache = Layout.of().cache / "fidelity"
    with parts.locked(cache / "lock", Progress()):
        return parts.ensure(parts.part_folder(cache, name, shaped_by), build)


def go(*words: str | Path, folder: Path) -> str:
    """Run the go command as set-up does."""
    return commands.run(["go", *words], folder=folder, environment=Layout.of().go_environment())


def module(name: str, version: str, folder: Path) -> Path:
    """The sources of a Go module, in Go's own cache."""
    answer = go("mod", "download", "-json", f"{name}@{version}", folder=folder)
    return Path(json.loads(answer[answer.index("{") :])["Dir"])


def tofu() -> Path:
    """OpenTofu."""

    def build(folder: Path) -> None:
        go("build", *RELEASED, "-o", folder / "tofu", "./cmd/tofu", folder=module(TOFU, TOFU_VERSION, folder))

    return ensure("tofu", [TOFU_VERSION, RELEASED], build) / "tofu"


def provider_tests() -> Path:
    """The provider's tests: a program for each package, and the files that they read.

    They look for the root of a checkout, which a folder `.git` tells.
    """

    def build(folder: Path) -> None:
        sources = module(PROVIDER, provider_version(), folder)
        packages = sorted({file.parent.relative_to(sources) for file in tests_against_the_api(sources)})
        go("test", "-c", "-vet=off", *LINKING, "-o", f"{folder}/", *(f"./{path}" for path in packages), folder=sources)
        shutil.copytree(sources / "internal", folder / "internal")
        (folder / ".git").mkdir()

    return ensure("terraform", provider_version(), build)


def tests_against_the_api(sources: Path) -> list[Path]:
    """Files with acceptance tests."""
    return [file for file in (sources / "internal").rglob("*_test.go") if USES_THE_API in file.read_text()]


def schemathesis() -> Path:
    """In an environment of its own: what it depends on is none of the project's."""

    def build(folder: Path) -> None:
        commands.run([sys.executable, "-m", "venv", folder / "venv"])
        commands.run([folder / "venv" / "bin" / "pip", "install", "--disable-pip-version-check", SCHEMATHESIS])

    return ensure("schemathesis", [SCHEMATHESIS, sys.version], build) / "venv" / "bin" / "schemathesis"
