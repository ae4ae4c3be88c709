"""Run trials by name: `python -m tests.kubernetes "debian-13 1.36.4 amd64" "broken: no ip_forward"`; `--list` shows all."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sandbox.machines.accelerator import choose
from sandbox.machines.base_images import BaseImages
from sandbox.machines.network import HOST
from sandbox.settings import cache_root
from tests.e2e.workspace import Workspace, close_workspace, prepare_workspace, start_workspace
from tests.kubernetes.outcomes import BrokenImage, Outcome, broken_images, cell, node, record
from tests.kubernetes.troubles import CLUSTER_SECONDS, TROUBLES, Trouble, disturb

PATIENCE = {"boot": 1800, "kubelet": 900, "cluster": 3600, "step": 3600, "action": 1800, "shutdown": 600}
"""Seconds; where processors are emulated."""
SYSTEMS, VERSIONS = ("debian-12", "debian-13"), ("1.34.5", "1.35.4", "1.36.4")
TRIED_ON = ("debian-13", "1.36.4")
LAST_LINES = 60
LOG = Path(".sandbox/kubernetes.log")
"""What the last run printed whose image was not published."""


@dataclass(frozen=True)
class Trial:
    """An image; with `broken`, one that must be refused; with `trouble`, one whose first test is disturbed."""

    os: str
    version: str
    broken: BrokenImage | None = None
    trouble: Trouble | None = None


def trials() -> dict[str, Trial]:
    """All of them by name."""
    sound = {cell(os, version): Trial(os, version) for os in SYSTEMS for version in VERSIONS}
    broken = {f"broken: {image.name}": Trial(*TRIED_ON, broken=image) for image in broken_images()}
    troubles = {f"trouble: {name}": Trial(*TRIED_ON, trouble=trouble) for name, trouble in TROUBLES.items()}
    return {**sound, **broken, **troubles}


def main() -> int:
    """Run what the command line names; return 1 where something came out otherwise than it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.kubernetes", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="trials; all of them where none is named")
    parser.add_argument("--list", action="store_true", help="show the names of all trials")
    options = parser.parse_args()
    everything = trials()
    if unknown := [name for name in options.names if name not in everything]:
        parser.error(f"no such trial: {', '.join(unknown)}; --list shows all")
    if options.list:
        print("\n".join(everything))
        return 0
    outcomes = [run(name, everything[name]) for name in options.names or everything]
    return int(any(outcome.problem for outcome in outcomes))


def run(name: str, trial: Trial) -> Outcome:
    """One trial, recorded."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="node-images-") as folder:
        workspace = prepare_workspace(Path(folder) / "checkout")
        workspace.from_snapshot = "vm"
        try:
            seconds, problem = attempt(workspace, trial)
            accelerator = accelerator_name()
        finally:
            close_workspace(workspace)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    outcome = Outcome(
        name=name,
        date=datetime.now(UTC).date().isoformat(),
        commit=commit.strip(),
        accelerator=accelerator,
        minutes=round((time.monotonic() - began) / 60, 1),
        seconds=seconds,
        problem=problem,
    )
    record(outcome)
    print(f"   {problem or 'as it must be'} ({outcome.minutes} min)", flush=True)
    return outcome


def attempt(workspace: Workspace, trial: Trial) -> tuple[dict[str, float], str]:
    """The figures of the booted server, and what is not as it must be."""
    images = workspace.python("tools.mirror", "images", trial.version)
    if images.returncode:
        return {}, f"no images of containers: {images.stderr.strip()[-300:]}"
    with trial.trouble.disk(workspace) if trial.trouble else nullcontext():
        start_workspace(workspace)
        configure(workspace, trial)
        if trial.trouble:
            return {}, disturb(workspace, trial.trouble)
        result = workspace.up()
        text = result.stdout + result.stderr
        workspace.nothing_left_over()
        if trial.broken:
            return refused(workspace, trial.broken, result.returncode, text)
        return published(workspace, result.returncode, text)


def configure(workspace: Workspace, trial: Trial) -> None:
    """The stack file of a trial."""
    if trial.broken and trial.broken.step:
        (workspace.root / "own" / "broken").mkdir(parents=True)
        (workspace.root / "own" / "broken" / "90-broken.sh").write_text(trial.broken.step + "\n")
    workspace.configure(
        images=[{"os": trial.os, "kubernetes": trial.version}],
        node=dict(node(trial.broken, f"http://{HOST}:{workspace.mirror_port + 1}")),
        kubeadm="stacks/kubeadm.emulated.yaml",
        verification="cluster",
        timeouts={**PATIENCE, "cluster": CLUSTER_SECONDS if trial.trouble else PATIENCE["cluster"]},
    )


def published(workspace: Workspace, code: int, text: str) -> tuple[dict[str, float], str]:
    """A sound image has a name, and says how far it was tested."""
    if code:
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text(text)
        return {}, f"not published: {last_error(text)} ({LOG})"
    (image,) = workspace.output("images")
    tests = image["tests"]["amd64"]
    problem = "" if tests["level"] == "cluster" else f"level {tests['level']}: {tests.get('why', '')}"
    return tests.get("seconds", {}), problem


def refused(workspace: Workspace, broken: BrokenImage, code: int, text: str) -> tuple[dict[str, float], str]:
    """A broken one has none, and the last lines say why."""
    last = "\n".join(text.splitlines()[-LAST_LINES:])
    problems = {
        "it was published": code == 0 or any(not name.startswith("unpublished") for name in workspace.snapshots()),
        f"the last lines do not say {broken.said!r}": broken.said not in last,
        f"it did not fail in {broken.where}": f"/{broken.where}" not in text,
    }
    return {}, "; ".join(problem for problem, found in problems.items() if found)


def last_error(text: str) -> str:
    """One line of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("error: ")]
    return lines[0][:200] if lines else "it says no error"


def accelerator_name() -> str:
    """kvm or tcg, as the sandbox decides it on this machine."""
    images = BaseImages(cache_root() / "base-images")
    return asyncio.run(choose(images.kernel, images.directory)).name


if __name__ == "__main__":
    sys.exit(main())
