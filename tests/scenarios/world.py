"""Where scenarios run: a workspace with a sandbox of light machines, prepared once and set back before each of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from hcloud import Client

from tests.e2e.workspace import (
    TOKEN,
    Workspace,
    close_workspace,
    prepare_workspace,
    start_workspace,
    use_small_recipe,
)
from tests.scenarios.scenario import Act, Order

HAND = "by-hand"
"""The application name of clients that are not the program."""

SKEW = Path(__file__).with_name("skew")
BOUNDARY = re.compile(r'"(resourcePreEvent|resOutputsEvent)"')
CHANGED = re.compile(r"^\s+(?:\S )?\d+ (?!unchanged)[a-z-]+", re.MULTILINE)
SHORT = {"action": 30, "boot": 6, "shutdown": 3, "snapshot": 30, "room": 300}
"""Time limits: what never comes need not be waited for as long as at Hetzner."""

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Run:
    """A run of the engine that has ended. `changed`: whether it did anything."""

    code: int
    text: str
    boundaries: int

    @property
    def changed(self) -> bool:
        resources = self.text.rpartition("Resources:")[2]
        return bool(CHANGED.search(resources))


@dataclass
class World:
    """`pristine` is the state of a stack that has nothing yet, `stack_text` its stack file."""

    workspace: Workspace
    pristine: Path
    stack_text: str
    act: Callable[["World", str], None]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    foreign: set[str] = field(default_factory=set, init=False)
    """Names of what belongs to somebody else."""
    builder: str = field(default="", init=False)
    """How the server will be named that builds the image."""

    # --- the sandbox ---

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        url = f"http://127.0.0.1:{self.workspace.api_port}/_sandbox{path}"
        response = httpx.request(method, url, json=body, timeout=30)
        response.raise_for_status()
        return response.json() if response.content else None

    def requests(self) -> list[dict[str, Any]]:
        return list(self.control("GET", "/requests")["requests"])

    @cached_property
    def hand(self) -> Client:
        """A client of somebody else in the project."""
        return Client(
            token=TOKEN,
            api_endpoint=self.workspace.endpoint,
            application_name=HAND,
            poll_interval=0.1,
            poll_max_retries=300,
        )

    def start_sandbox(self) -> None:
        ports = ["--port", str(self.workspace.api_port), "--ssh-port", str(self.workspace.ssh_port)]
        started = self.workspace.python("sandbox", "start", *ports)
        assert started.returncode == 0, started.stdout + started.stderr

    def kill_sandbox(self) -> None:
        os.kill(self.control("GET", "/health")["pid"], signal.SIGKILL)

    # --- the engine ---

    @property
    def backend(self) -> Path:
        return self.workspace.root / ".pulumi" / ".pulumi"

    def outputs(self) -> dict[str, Any]:
        """The exports, from the state file: asking the engine takes a second."""
        checkpoint = json.loads((self.backend / "stacks/node-images/sandbox.json").read_text())["checkpoint"]
        resources = (checkpoint["latest"] or {}).get("resources") or []
        stack = next((item for item in resources if item["type"] == "pulumi:pulumi:Stack"), {})
        return dict(stack.get("outputs") or {})

    def up(self, acts: Sequence[Act] = (), seconds: float = 240, clock_hours: float = 0) -> Run:
        """`pulumi up`, and the acts when their time has come."""
        events, log = self.workspace.root / "events.json", self.workspace.root / "up.log"
        events.write_text("")
        command = ["./pulumiw", "up", "--yes", "--skip-preview", "--non-interactive", "--suppress-outputs"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--event-log", str(events)],
                cwd=self.workspace.root, env=self._environment(clock_hours),
                stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            self._watch(events, list(acts), seconds)
        return Run(self.process.returncode, log.read_text(), boundaries_in(events))

    def _environment(self, clock_hours: float) -> dict[str, str]:
        """`--event-log` is a flag for those who debug."""
        skew = {"PYTHONPATH": str(SKEW), "SKEW_HOURS": str(clock_hours)} if clock_hours else {}
        return {**self.workspace.environment(), "PULUMI_DEBUG_COMMANDS": "true", **skew}

    def _watch(self, events: Path, acts: list[Act], seconds: float) -> None:
        assert self.process is not None
        began = time.monotonic()
        while self.process.poll() is None:
            passed = time.monotonic() - began
            reached = boundaries_in(events) if acts else 0
            for act in [item for item in acts if is_due(item, reached, passed)]:
                acts.remove(act)
                self.act(self, act.name)
            if passed > seconds:
                self.end_run()
                raise AssertionError(f"the engine did not end within {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def processes_of_run(self) -> dict[int, str]:
        """Command lines of the engine's session: of itself, the program, and the plugins."""
        assert self.process is not None
        listing = subprocess.run(
            ["ps", "-s", str(self.process.pid), "-o", "pid=,args=", "ww"], capture_output=True, text=True
        ).stdout
        return {int(pid): args for pid, _, args in (line.strip().partition(" ") for line in listing.splitlines())}

    def end_run(self) -> None:
        """End what a killed engine left running."""
        for pid in self.processes_of_run() if self.process else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()

    def unlock(self) -> None:
        """What docs/trouble.md tells people to do after the engine was killed."""
        if any(file.is_file() for file in (self.backend / "locks").rglob("*.json")):
            result = self.workspace.pulumi("cancel", "--yes")
            assert result.returncode == 0, result.stderr

    # --- back to the beginning ---

    def reset(self) -> None:
        """An empty project, an empty stack, nothing running."""
        self.end_run()
        self.process = None
        self.foreign.clear()
        self.control("DELETE", "/project")
        self.workspace.stack_file.write_text(self.stack_text)
        shutil.rmtree(self.backend)
        shutil.copytree(self.pristine, self.backend)
        shutil.rmtree(self.workspace.root / "sboms", ignore_errors=True)

    def order(self, faults: Sequence[Order]) -> None:
        for fault in faults:
            self.control("POST", "/faults", fault)


def boundaries_in(events: Path) -> int:
    return len(BOUNDARY.findall(events.read_text(errors="replace")))


def is_due(act: Act, reached: int, passed: float) -> bool:
    return reached >= act.boundary if act.boundary else passed >= act.seconds


@contextmanager
def a_world(folder: Path, act: Callable[[World, str], None]) -> Iterator[World]:
    """One with its own sandbox, closed at the end."""
    folder.mkdir()
    workspace = prepare_workspace(folder)
    use_small_recipe(workspace)
    workspace.configure(timeouts=SHORT)
    try:
        start_workspace(workspace)
        pristine = folder / "pristine"
        shutil.copytree(folder / ".pulumi" / ".pulumi", pristine)
        world = World(workspace, pristine, workspace.stack_file.read_text(), act)
        try:
            yield world
        finally:
            world.end_run()
    finally:
        close_workspace(workspace)
