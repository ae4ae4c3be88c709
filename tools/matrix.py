"""docs/matrix.md: every operating system, architecture, Kubernetes minor and form, with what the tests proved of it.

`python -m tools.matrix` runs the tests that prove something of a cell, and writes the page from what passed. A whole test run
compares the page with what it proved itself, and fails where they differ.
"""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from recipe import Catalog
from recipe.catalog import Architecture
from recipe.forms import Form

PAGE = Path(__file__).parents[1] / "docs" / "matrix.md"
COMMAND = "python -m tools.matrix"
PROGRAM = "snapshot"
"""The form that the program itself builds."""

FORMS = tuple(form for form in get_args(Form) if form not in ("acceptance", "image", "install-image"))
"""Those that make a node; the others go with the script where there is no program, or with the tarball."""

TARBALL = "tarball"

How = Literal["ran Kubernetes (kvm)", "ran Kubernetes (tcg)", "kernel", "booted", "packed", "rendered", "locked"]
MEANING: dict[How, str] = {
    "ran Kubernetes (kvm)": "it ran Kubernetes, with hardware virtualisation ([when and how](ran-kubernetes.md))",
    "ran Kubernetes (tcg)": "the same with an emulated processor",
    "kernel": "a server of it booted with a kernel of its own, by boot loader and initrd, and kubelet was healthy",
    "booted": "built on a real machine of the sandbox, booted, and its acceptance tests passed",
    "packed": "packed from the snapshot of a small recipe, unpacked as installimage does, and booted",
    "rendered": 'rendered in full, and sound shell by shellcheck; where this stands without "booted", it was not run',
    "locked": "every file has a URL of its publisher, and the sha256 published for it in `recipe/lock.yaml`",
}


@dataclass(frozen=True)
class Proof:
    """What a test that passed showed of one cell. `kubernetes` is a minor of the catalogue."""

    how: How
    form: str
    os: str
    architecture: Architecture
    kubernetes: str


def page(catalog: Catalog, proofs: Iterable[Proof]) -> str:
    """The page, in the order of the catalogue."""
    known = frozenset(proofs)
    return "\n".join(
        [
            "# What was proved of which cell",
            "",
            f"Made by the tests: `{COMMAND}` runs those that prove something of a cell, and writes this page",
            "from the ones that passed. A whole test run fails where it proved something else than what stands here.",
            "",
            *(f"- **{how}**: {meaning}" for how, meaning in MEANING.items()),
            "- **-**: nothing was proved",
            "",
            "## Snapshots, by operating system, architecture and Kubernetes minor",
            "",
            *_table(["", "", *catalog.kubernetes], _systems(catalog, known)),
            "",
            "A `+` stands for every later minor: its components follow the catalogue's pattern, and a version is taken",
            "once its files are in the lock.",
            "",
            "## Forms, by operating system",
            "",
            "The best that was proved of any Kubernetes minor, on amd64.",
            "",
            *_table(["", *catalog.operating_systems], _forms(catalog, known)),
            "",
        ]
    )


def _systems(catalog: Catalog, proofs: frozenset[Proof]) -> list[list[str]]:
    return [
        [os, architecture, *(_cell(proofs, PROGRAM, os, architecture, [minor]) for minor in catalog.kubernetes)]
        for os in catalog.operating_systems
        for architecture in catalog.architectures
    ]


def _forms(catalog: Catalog, proofs: frozenset[Proof]) -> list[list[str]]:
    forms = dict.fromkeys([PROGRAM, *FORMS, TARBALL, *sorted(proof.form for proof in proofs)])
    return [
        [form, *(_cell(proofs, form, os, "amd64", catalog.kubernetes) for os in catalog.operating_systems)]
        for form in forms
    ]


def _cell(proofs: frozenset[Proof], form: str, os: str, architecture: Architecture, minors: Iterable[str]) -> str:
    found = [how for how in MEANING for minor in minors if Proof(how, form, os, architecture, minor) in proofs]
    return ", ".join(dict.fromkeys(found)) or "-"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def main() -> int:
    """Run the tests that prove something of a cell, and write the page; return their exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", "--matrix"], cwd=PAGE.parents[1], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
