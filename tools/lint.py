"""The checks of the sources: `make lint` runs them one after the other, tests/lint runs each as a test.

They look at what git tracks or would track, so that what set-up and the sandbox make is left alone.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.layout import CHECKOUT, PINNED_FOLDER, Layout, cache_root

BIN = Path(sys.executable).parent
GO_FOLDER = CHECKOUT / PINNED_FOLDER
# One cache for all checkouts: it tells by content what is still good.
MYPY_OPTIONS = ("--strict", "--follow-imports=silent", f"--cache-dir={cache_root() / 'mypy'}")
ACTIONLINT_FOLDER = CHECKOUT / "toolchain" / "go" / "actionlint"


@dataclass(frozen=True)
class Check:
    """One program over some files. Some programs fail by what they print, not by their exit code."""

    name: str
    argv: Callable[[], Sequence[str | Path]]
    folder: Path = CHECKOUT
    environment: Mapping[str, str] = field(default_factory=dict)
    silent_when_fine: bool = False

    def run(self) -> str | None:
        """Return what is wrong, or None."""
        result = subprocess.run(
            [str(word) for word in self.argv()],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        failed = result.returncode != 0 or (self.silent_when_fine and result.stdout.strip())
        return (result.stdout.strip() or f"exit code {result.returncode}") if failed else None


def sources(*suffixes: str) -> list[str]:
    """List the files of the checkout that end so, without those that git ignores."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(name for name in names if name.endswith(suffixes) and (CHECKOUT / name).exists())


def product_sources() -> list[str]:
    """List the Python files that are typed throughout: all but the tests."""
    return [name for name in sources(".py") if not name.startswith("tests/")]


def shell_scripts() -> list[str]:
    """List the files that are shell scripts, by their first line."""
    return [
        name for name in sources("") if name and _first_line(CHECKOUT / name).startswith((b"#!/bin/sh", b"#!/bin/bash"))
    ]


def workflows() -> list[Path]:
    """List GitHub's workflows."""
    return [CHECKOUT / name for name in sources(".yml") if name.startswith(".github/workflows/")]


def _schema(name: str) -> list[str | Path]:
    return [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{name}"]


def _first_line(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.readline(80)


def _with_modules() -> Mapping[str, str]:
    return Layout.of().go_environment()


CHECKS = (
    Check("ruff check", lambda: [BIN / "ruff", "check", *sources(".py")]),
    Check("ruff format", lambda: [BIN / "ruff", "format", "--check", *sources(".py")]),
    Check("mypy", lambda: [BIN / "mypy", *MYPY_OPTIONS, *product_sources()]),
    Check("shellcheck", lambda: ["shellcheck", *shell_scripts()]),
    Check("gofmt", lambda: ["gofmt", "-l", *sources(".go")], silent_when_fine=True),
    Check("go vet", lambda: ["go", "vet", "./..."], folder=GO_FOLDER, environment=_with_modules()),
    Check(
        "actionlint",
        lambda: ["go", "tool", "actionlint", *workflows()],
        folder=ACTIONLINT_FOLDER,
        environment=_with_modules(),
    ),
    Check("gitlab-ci", lambda: [*_schema("gitlab-ci"), ".gitlab-ci.yml"]),
    Check("renovate", lambda: [*_schema("renovate"), "renovate.json"]),
)


def main() -> int:
    """Run all checks and show what is wrong; return the exit code."""
    failures = 0
    for check in CHECKS:
        wrong = check.run()
        failures += wrong is not None
        print(f"{check.name:<12} {'fine' if wrong is None else 'FAILED'}", flush=True)
        if wrong:
            print(wrong, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
