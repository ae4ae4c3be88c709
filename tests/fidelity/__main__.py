"""`make fidelity`: run what others wrote for the real API against a sandbox, and write docs/fidelity.md."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fidelity import programs, schema, terraform, tour
from tests.fidelity.figures import Result, in_words, line, outdated, reasons, table, unexplained
from tests.fidelity.report import document
from tests.sandbox.conftest import Sandbox, free_port
from tests.sandbox.tour import walk

PAGE = Path("docs/fidelity.md")
FIGURES = Path(".fidelity/results.json")
Tell = Callable[[list[Result]], None]


def tell(results: list[Result]) -> None:
    """A line for each group."""
    for group, counted in table(results).items():
        print(f"  {line(group, counted)}", flush=True)


@contextmanager
def a_sandbox(machines: str) -> Iterator[Sandbox]:
    """With a home of its own, gone at the end."""
    with TemporaryDirectory(prefix="fidelity-") as folder:
        sandbox = Sandbox(Path(folder) / "home", ssh_port=free_port(), machines=machines).started()
        try:
            yield sandbox
        finally:
            sandbox.remove()


def run_terraform(options: argparse.Namespace) -> list[Result]:
    """The kind ``none``: what the tests look at is the API."""
    with a_sandbox("none") as sandbox:
        return terraform.run(sandbox, tell, options.only, options.terraform)


def run_schemathesis(_options: argparse.Namespace) -> list[Result]:
    """All operations."""
    with a_sandbox("none") as sandbox:
        return schema.run(sandbox, tell)


def run_tour(_options: argparse.Namespace) -> list[Result]:
    """The kind ``instant``: one command logs in by SSH."""
    with a_sandbox("instant") as sandbox, TemporaryDirectory(prefix="fidelity-") as folder:
        key = Path(folder) / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        results = tour.results(walk(sandbox, key, Path(folder)))
    tell(results)
    return results


PARTS = {terraform.PART: run_terraform, tour.PART: run_tour, schema.PART: run_schemathesis}


def about(program: Path | None) -> dict[str, str]:
    """What each part is."""
    by = f"OpenTofu {programs.TOFU_VERSION} from its Go module"
    if program:
        by = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return {
        terraform.PART: f"Of its Go module {programs.provider_version()}, by {by}, on machines of the kind `none`.",
        tour.PART: "Each command that it has (Debian's package `hcloud-cli`) is tried once, on machines of the kind `instant`.",
        schema.PART: f"By {programs.SCHEMATHESIS.replace('==', ' ')}, with made-up data, one by one and in sequences: no "
        "answer of 500 or more, each status, header and body as in the document, nothing used after its deletion.",
    }


def kept(part: str, results: list[Result]) -> list[Result]:
    """The last results of every part, with these in place of those of ``part``."""
    before = [Result(**item) for item in json.loads(FIGURES.read_text())] if FIGURES.exists() else []
    everything = [item for item in before if item.part != part] + results
    everything.sort(key=lambda item: (list(PARTS).index(item.part), item.group, item.name))
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps([asdict(item) for item in everything], indent=1))
    return everything


def judge(results: list[Result]) -> int:
    """Say what is not explained, and which reasons are out of date; return how many."""
    known = reasons()
    for result in unexplained(results, known):
        print(f"\n{result.outcome}: {result.name} ({result.part})\n    " + result.message.replace("\n", "\n    "))
    for reason in outdated(results, known):
        print(f"\npasses by now, take it out of tests/fidelity/reasons.yaml: {reason.names} ({reason.part})")
    return len(unexplained(results, known))


def main() -> int:
    """The command; exit status 1 when something does not pass and no reason is known."""
    parser = argparse.ArgumentParser(prog="make fidelity", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all unless given")
    parser.add_argument(
        "--only", default="", help="of the Terraform provider's packages, those whose name contains this"
    )
    parser.add_argument("--terraform", type=Path, help="this program instead of OpenTofu, which is built")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wrong = 0
    for name in options.parts or PARTS:
        print(f"{name}:", flush=True)
        results = PARTS[name](options)
        print(f"  together: {in_words(results, reasons())}", flush=True)
        wrong += judge(results)
        if not options.only:
            PAGE.write_text(document(kept(name, results), reasons(), about(options.terraform)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
