"""`make sandbox`: from nothing to a verified node image on this machine, and a summary of it.

Every phase is a command that people can type themselves; each may be interrupted and run again.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from images.engine import plain
from images.stackfile import load_stack_file
from recipe import load_catalog
from recipe.problems import ProblemsError
from tools import local_cloud
from tools.children import to_its_end
from tools.orphans import end_orphans

ROOT = Path(__file__).parents[1]
PYTHON = [sys.executable, "-m"]
STACK = "sandbox"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{STACK}.yaml"


class PhaseFailedError(Exception):
    """A command failed and has said why; `exit_code` is its own."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(exit_code)


@dataclass
class Phases:
    """Times each phase; `seconds` by name, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start


def main() -> int:
    """Run all phases; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        _run_all()
    except PhaseFailedError as failed:
        return failed.exit_code
    except KeyboardInterrupt:
        print(
            "\nInterrupted. What is finished stays; `make sandbox` goes on with the rest.",
            file=sys.stderr,
        )
        return 130
    return 0


def _run_all() -> None:
    phases = Phases()
    with phases.phase("Sandbox and artifact mirror"):
        run([*PYTHON, "tools.local_cloud", "start"])
    with phases.phase("Artifacts"), base_images_meanwhile():
        run([*PYTHON, "tools.prepare", STACK])
    with phases.phase("pulumi up"):
        run([str(ROOT / "pulumiw"), "stack", "select", "--create", STACK], quiet=True)
        end_orphans()
        release_dead_lock()
        run([str(ROOT / "pulumiw"), "up", "--yes", "--skip-preview", "--suppress-outputs", "--stack", STACK])
    _summary(phases, newest_event_log())


def newest_event_log() -> Path:
    """The one that ./pulumiw left of the last `up`."""
    return max((ROOT / "logs" / STACK / "runs").glob("*-up.events.json"), default=ROOT / "none")


def _summary(phases: Phases, event_log: Path) -> None:
    options = [item for name, value in phases.seconds.items() for item in ("--phase", f"{name}={value:.1f}")]
    run([*PYTHON, "cli", "summary", "--stack", STACK, "--event-log", str(event_log), *options])


def run(command: Sequence[str], *, quiet: bool = False, variables: Mapping[str, str] | None = None) -> None:
    """Run a command in the checkout; raises PhaseFailedError. A Ctrl-C reaches it from the terminal, and is waited for."""
    environment = {**plain(os.environ), **(variables or {})}
    output = subprocess.PIPE if quiet else None
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT if quiet else None
    ) as process:
        text = to_its_end(process)
    if process.returncode:
        if quiet:
            sys.stderr.buffer.write(text)
        raise PhaseFailedError(process.returncode)


@contextmanager
def base_images_meanwhile() -> Iterator[None]:
    """Have the stack's base images made beside other work. Should one fail, `up` tries again and says why."""
    wanted = [item for name in declared_systems() for item in ("--prepare", name)]
    command = [*local_cloud.sandbox_start(local_cloud.settings()), *wanted]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        except BaseException:
            process.terminate()
            raise


def declared_systems() -> list[str]:
    """Operating systems of the stack's images; none where the stack file is wrong, which `up` tells better."""
    try:
        return [image.os for image in load_stack_file(STACK_FILE, load_catalog()).images]
    except ProblemsError:
        return []


def release_dead_lock(stack: str = STACK) -> None:
    """Take away the lock of an engine that was killed: its process is gone, and the next one would refuse to start."""
    locks = list((ROOT / ".pulumi").glob(f".pulumi/locks/organization/*/{stack}/*.json"))
    if locks and all(map(is_dead, locks)):
        run([str(ROOT / "pulumiw"), "cancel", "--yes", "--stack", stack], quiet=True)


def is_dead(lock: Path) -> bool:
    """Whether the engine that holds the lock ran on this machine and runs no more."""
    holder = json.loads(lock.read_text())
    return holder.get("hostname") == socket.gethostname() and not _runs(holder.get("pid"))


def _runs(pid: int) -> bool:
    """Whether a process still works; one that has ended may wait for its parent to take note (state Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
