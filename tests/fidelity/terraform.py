"""The Terraform provider's own acceptance tests, run by OpenTofu against a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fidelity import programs
from tests.fidelity.figures import Result
from tests.sandbox.conftest import TOKEN, Sandbox

PART = "terraform"
OUTCOMES = {"pass": "passed", "fail": "failed", "skip": "skipped"}
PREFIX = "TestAcc"  # the others ask no API
SHOWN_LINES = 12
PACKAGE_TIMEOUT = "20m"
LOCATION = "hel1"  # where the provider's authors run them


def run(
    sandbox: Sandbox, tell: Callable[[list[Result]], None], only: str = "", program: Path | None = None
) -> list[Result]:
    """All packages, one after the other, each in an empty project; by OpenTofu, or a Terraform that is there."""
    tests, tofu = programs.provider_tests(), program or programs.tofu()
    results = []
    for tested in sorted(tests.glob("*.test")):
        if only in tested.stem:
            sandbox.control("DELETE", "/project", timeout=60)
            found = package(tested, tofu, sandbox)
            tell(found)
            results += found
    return results


def package(program: Path, tofu: Path, sandbox: Sandbox) -> list[Result]:
    """The tests of one package."""
    name = program.name.removesuffix(".test")
    options = ("-test.v=test2json", "-test.parallel=4", f"-test.timeout={PACKAGE_TIMEOUT}", f"-test.run=^{PREFIX}")
    with TemporaryDirectory(prefix="fidelity-") as scratch:
        done = subprocess.run(
            ["go", "tool", "test2json", "-t", "-p", name, program, *options],
            cwd=program.parent / "internal" / name,
            env=os.environ | environment(tofu, sandbox, scratch),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return results_of(name, done.stdout)


def environment(tofu: Path, sandbox: Sandbox, scratch: str) -> dict[str, str]:
    """As the provider's authors set it, but for the API's address. No registry is asked: there is none here."""
    return {
        "TF_ACC": "1",
        "TF_ACC_TERRAFORM_PATH": str(tofu),
        **({} if tofu.name == "terraform" else {"TF_ACC_PROVIDER_HOST": "registry.opentofu.org"}),
        "TF_ACC_PROVIDER_NAMESPACE": "hetznercloud",
        "TEST_LOCATION": LOCATION,
        "HCLOUD_ENDPOINT": sandbox.url,
        "HCLOUD_TOKEN": TOKEN,
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": os.devnull,  # nobody's own settings
        "TMPDIR": scratch,
        "GOTOOLCHAIN": "local",
    }


def results_of(group: str, output: str) -> list[Result]:
    """From the events of test2json: the tests themselves, not their parts."""
    events = list(events_of(output))
    ended = [
        event for event in events if event.get("Test") and event["Action"] in OUTCOMES and "/" not in event["Test"]
    ]
    said: dict[str, list[str]] = {}
    for event in events:
        if event["Action"] == "output":
            said.setdefault(event.get("Test", ""), []).append(event["Output"])
    known = [result(group, event["Test"], event["Action"], said) for event in ended]
    unknown = {event["Test"] for event in events if event.get("Test")} - {item.name for item in known}
    return known + [Result(PART, group, name, "failed", "it did not end") for name in unknown if "/" not in name]


def events_of(output: str) -> Iterator[dict[str, str]]:
    """One a line; whatever else a program says is left out."""
    for line in output.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def result(group: str, name: str, action: str, said: dict[str, list[str]]) -> Result:
    """With the end of what it said, unless it passed."""
    lines = [line.strip() for line in said.get(name, []) if line.strip() and not line.startswith(("===", "---"))]
    return Result(PART, group, name, OUTCOMES[action], "" if action == "pass" else "\n".join(lines[-SHOWN_LINES:]))
