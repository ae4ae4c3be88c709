"""Run trials by name: `python -m tests.kubernetes "debian-13 1.36.4 amd64" "broken: no ip_forward"`; `--list` shows all."""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from recipe import load_catalog
from recipe.catalog import Architecture
from recipe.gossfile import Level
from sandbox.machines import host
from sandbox.machines.accelerator import choose
from sandbox.machines.base_images import BaseImages
from sandbox.machines.translate import API_NAMES
from sandbox.preflight import emulator_programs, missing_programs
from sandbox.settings import MachineKind, cache_root
from tests.e2e.workspace import Workspace, close_workspace, prepare_workspace, start_workspace
from tests.kubernetes import metal
from tests.kubernetes.forms import try_form
from tests.kubernetes.outcomes import FORM, FORMS, BrokenImage, Outcome, broken_images, cell, joined, node, record
from tests.kubernetes.troubles import CLUSTER_SECONDS, TROUBLES, Trouble, disturb

PATIENCE = {"boot": 1800, "kubelet": 900, "cluster": 3600, "step": 3600, "action": 1800, "shutdown": 600}
"""Seconds; where processors are emulated."""
SYSTEMS, VERSIONS = ("debian-12", "debian-13"), ("1.34.5", "1.35.4", "1.36.4")
TRIED_ON = ("debian-13", "1.36.4")
CROSS_COMPILERS = {
    "amd64": {
        "x86_64-linux-gnu-gcc": "gcc-x86-64-linux-gnu",
        "/usr/x86_64-linux-gnu/include/stdio.h": "libc6-dev-amd64-cross",
    },
    "arm64": {
        "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
        "/usr/aarch64-linux-gnu/include/stdio.h": "libc6-dev-arm64-cross",
    },
}
"""What runc and the pause image are built with: program, or path of a file -> Debian package."""
PROGRAMS_OF_FORMS = {"packer": {"packer": "packer"}, "tarball": metal.PROGRAMS}
LAST_LINES = 60
LOG = Path(".sandbox/kubernetes.log")
"""What the last run printed whose image was not published."""


@dataclass(frozen=True)
class Trial:
    """An image; with `broken`, one that must be refused; with `trouble`, one whose first test is disturbed.

    With `form`, a node in another form than the program's own. `level` is the one that its tests must reach.
    """

    os: str
    version: str
    architecture: Architecture = "amd64"
    level: Level = "cluster"
    broken: BrokenImage | None = None
    trouble: Trouble | None = None
    form: str = ""

    @property
    def from_snapshot(self) -> str:
        """The kind of servers of snapshots. The one on which a tarball is packed installs packages: it is a container."""
        return "real" if self.form == "tarball" else "vm"

    @property
    def emulated(self) -> str:
        """Its architecture in the API's words, where it is another than this host's."""
        name = API_NAMES[self.architecture]
        return name if name != host.architecture() else ""

    @property
    def mirrored(self) -> str:
        """The images of containers that its node pulls, as the mirror takes them: all of its version, or the one for pods."""
        pause = load_catalog().components(self.version)["pause"]
        return self.version if self.level == "cluster" else f"pause:{pause}"


def trials() -> dict[str, Trial]:
    """All of them by name."""
    sound = {cell(os, version): Trial(os, version) for os in SYSTEMS for version in VERSIONS}
    foreign = {cell(*TRIED_ON, "arm64"): Trial(*TRIED_ON, "arm64", "boot")}
    broken = {f"broken: {image.name}": Trial(*TRIED_ON, broken=image) for image in broken_images()}
    troubles = {f"trouble: {name}": Trial(*TRIED_ON, trouble=trouble) for name, trouble in TROUBLES.items()}
    joins = {joined(*TRIED_ON): Trial(*TRIED_ON, level="join")}
    forms = {FORM + form: Trial(*TRIED_ON, form=form) for form in FORMS}
    return {**sound, **joins, **forms, **foreign, **broken, **troubles}


def main() -> int:
    """Run what the command line names; return 1 where something came out otherwise than it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.kubernetes", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="trials; where none is named, all of this machine's architecture"
    )
    parser.add_argument("--list", action="store_true", help="show the names of all trials")
    options = parser.parse_args()
    everything = trials()
    if unknown := [name for name in options.names if name not in everything]:
        parser.error(f"no such trial: {', '.join(unknown)}; --list shows all")
    if options.list:
        print("\n".join(everything))
        return 0
    own = [name for name, trial in everything.items() if not trial.emulated]
    chosen = {name: everything[name] for name in options.names or own}
    if missing := missing_packages(chosen.values()):
        print(f"error: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    outcomes = [run(name, trial) for name, trial in chosen.items()]
    return int(any(outcome.problem for outcome in outcomes))


def missing_packages(wanted: Iterable[Trial]) -> list[str]:
    """Debian packages that trials of a form or of another architecture than this host's need, and that are not there."""
    needed: dict[str, str] = {}
    for trial in wanted:
        if emulated := trial.emulated:
            machines = emulator_programs([MachineKind.real, MachineKind.vm], emulated)
            needed |= {**machines, **CROSS_COMPILERS[trial.architecture]}
        needed |= PROGRAMS_OF_FORMS.get(trial.form, {})
    return sorted(set(missing_programs(needed).values()))


def run(name: str, trial: Trial) -> Outcome:
    """One trial, recorded."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="node-images-") as folder:
        workspace = prepare_workspace(Path(folder) / "checkout")
        workspace.from_snapshot = trial.from_snapshot
        workspace.emulate = trial.emulated
        try:
            seconds, problem = attempt(workspace, trial)
            accelerator = accelerator_name(API_NAMES[trial.architecture])
        finally:
            close_workspace(workspace)
    outcome = Outcome.now(
        began, name=name, accelerator=accelerator, level=trial.level, seconds=seconds, problem=problem
    )
    record(outcome)
    print(f"   {problem or 'as it must be'} ({outcome.minutes} min)", flush=True)
    return outcome


def attempt(workspace: Workspace, trial: Trial) -> tuple[dict[str, float], str]:
    """The figures of the booted server, and what is not as it must be."""
    images = workspace.python("mirror", "images", trial.mirrored, "--arch", trial.architecture)
    if images.returncode:
        return {}, f"no images of containers: {images.stderr.strip()[-300:]}"
    with trial.trouble.disk(workspace) if trial.trouble else nullcontext():
        start_workspace(workspace)
        configure(workspace, trial)
        if trial.trouble:
            return {}, disturb(workspace, trial.trouble)
        if trial.form:
            return try_form(workspace, trial.form)
        result = workspace.up()
        text = result.stdout + result.stderr
        workspace.nothing_left_over()
        if trial.broken:
            return refused(workspace, trial.broken, result.returncode, text)
        return published(workspace, trial, result.returncode, text)


def configure(workspace: Workspace, trial: Trial) -> None:
    """The stack file of a trial."""
    if trial.broken and trial.broken.step:
        (workspace.root / "own" / "broken").mkdir(parents=True)
        (workspace.root / "own" / "broken" / "90-broken.sh").write_text(trial.broken.step + "\n")
    workspace.configure(
        images=[{"os": trial.os, "kubernetes": trial.version, "architectures": [trial.architecture]}],
        node=dict(node(trial.broken, workspace.registry_for_servers, trial.level)),
        kubeadm="stacks/kubeadm.emulated.yaml",
        verification=trial.level,
        timeouts={**PATIENCE, "cluster": CLUSTER_SECONDS if trial.trouble else PATIENCE["cluster"]},
    )


def published(workspace: Workspace, trial: Trial, code: int, text: str) -> tuple[dict[str, float], str]:
    """A sound image has a name, and says how far it was tested."""
    if code:
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text(text)
        return {}, f"not published: {last_error(text)} ({LOG})"
    (image,) = workspace.output("images")
    tests = image["tests"][trial.architecture]
    reached = tests["level"] == trial.level and "why" not in tests
    problem = "" if reached else f"level {tests['level']}: {tests.get('why', '')}"
    return tests.get("seconds", {}), problem


def refused(workspace: Workspace, broken: BrokenImage, code: int, text: str) -> tuple[dict[str, float], str]:
    """A broken one has none, and the last lines say why."""
    last = "\n".join(text.splitlines()[-LAST_LINES:])
    others = failed_besides(broken.fails, text)
    problems = {
        "it was published": code == 0 or any(not name.startswith("unpublished") for name in workspace.snapshots()),
        f"the last lines do not say {broken.said!r}": broken.said not in last,
        f"it did not fail in {broken.where}": f"/{broken.where}" not in text,
        f"items fail that nobody broke: {', '.join(others)}": bool(others),
    }
    return {}, "; ".join(problem for problem, found in problems.items() if found)


def failed_besides(known: Sequence[str], text: str) -> list[str]:
    """What run.sh says of other acceptance tests that failed."""
    said = {f"{kind.lower()} {rest}" for kind, rest in re.findall(r"\bfailed: (Command|File|Service) (.+)", text)}
    return sorted(line for line in said if not any(line.startswith(f"{item}: ") for item in known))


def last_error(text: str) -> str:
    """One line of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("error: ")]
    return lines[0][:200] if lines else "it says no error"


def accelerator_name(architecture: str) -> str:
    """kvm or tcg, as the sandbox decides it on this machine for an architecture (x86, arm)."""
    images = BaseImages(cache_root() / "base-images")
    return asyncio.run(choose(images.kernel, images.directory, architecture)).name


if __name__ == "__main__":
    sys.exit(main())
