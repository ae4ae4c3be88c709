"""The sandbox as one process in the background: start, stop, reset. What that process does is in ``serve``.

A lock file tells whether it runs: the kernel frees the lock when the process ends, however it ends. So a stale pid file
means nothing, and two daemons of one home are impossible.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sandbox import preflight
from sandbox.errors import SandboxError
from sandbox.machines.network import NAMESPACES, Network
from sandbox.process import ProcessId, wait_ended
from sandbox.settings import Home, Settings

START_SECONDS = 60.0
STOP_SECONDS = 90.0
LEFTOVER_SECONDS = 8.0  # that machines of a killed daemon have to shut down
Say = Callable[[str], None]


class Daemon(BaseModel):
    """What the running process wrote about itself; the settings outlive it."""

    process: ProcessId
    settings: Settings


class ProblemsError(SandboxError):
    """Several problems at once."""

    def __init__(self, found: list[SandboxError]) -> None:
        super().__init__("\n".join(str(problem) for problem in found))


def recorded(home: Home) -> Daemon | None:
    """The last daemon of this home, running or not."""
    try:
        return Daemon.model_validate_json(home.daemon.read_text())
    except (FileNotFoundError, ValueError):
        return None


def running(home: Home) -> Daemon | None:
    """The daemon of this home, if it runs."""
    daemon = recorded(home)
    return daemon if daemon and daemon.process.alive() else None


def start(home: Home, settings: Settings, say: Say) -> Daemon:
    """Start it in the background and wait until the API answers. Two starts at once: one daemon, both succeed."""
    found = [] if running(home) else preflight.problems(home, settings)
    if daemon := running(home):  # asked again: it may have come up meanwhile, and be what holds the port
        if changeable(daemon.settings, settings) != settings:
            raise SandboxError(f"it runs already, with other options: {described(daemon.settings)}", "stop it first")
        say(f"already running (pid {daemon.process.pid})")
        wait_until_answering(home, settings)
        return daemon
    if found:
        raise ProblemsError(found)
    home.make()
    child = spawn(home, settings)
    try:
        wait_until_answering(home, settings, child)
    finally:
        daemon = running(home)
        if daemon is None or daemon.process.pid != child.pid:
            child.kill()  # another was quicker: ours must not come up later, when that one has been stopped
            child.wait()
    if daemon is None:
        raise SandboxError("it ended right after its start", f"see {home.log}")
    return daemon


def changeable(running: Settings, wanted: Settings) -> Settings:
    """The settings of a running daemon, but for what can be changed while it runs, and is left as it is."""
    conditions = running.conditions if wanted.conditions else None
    return running.model_copy(update={"speed": wanted.speed, "conditions": conditions})


def described(settings: Settings) -> str:
    """As options of ``start``."""
    return " ".join(serve_options(settings))


def spawn(home: Home, settings: Settings) -> subprocess.Popen[bytes]:
    """``serve`` in a session of its own."""
    command = [sys.executable, "-m", "sandbox", "--home", str(home.path), "serve", *serve_options(settings)]
    package_parent = str(Path(__file__).resolve().parent.parent)
    with home.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": package_parent},
        )


def serve_options(settings: Settings) -> list[str]:
    """Settings as command line options."""
    options = settings.model_dump(mode="json", exclude={"conditions"}, exclude_none=True)
    if settings.conditions:
        options["conditions"] = settings.conditions.model_dump_json()
    flags = {name for name, value in options.items() if value is True}
    given = {name: value for name, value in options.items() if value not in ("", True, False)}
    words = [part for name, value in given.items() for part in (option(name), str(value))]
    return words + [option(name) for name in sorted(flags)]


def option(name: str) -> str:
    """A field's name on the command line."""
    return f"--{name.replace('_', '-')}"


def wait_until_answering(home: Home, settings: Settings, child: subprocess.Popen[bytes] | None = None) -> None:
    """Raises with the end of the log when neither our child nor a daemon that was quicker comes up."""
    until = time.monotonic() + START_SECONDS
    while not answers(settings):
        gone = child is not None and child.poll() is not None and running(home) is None
        if gone or time.monotonic() > until:
            tail = "\n".join(home.log.read_text(errors="replace").splitlines()[-10:])
            raise SandboxError(f"the sandbox did not come up; the end of {home.log}:\n{tail}")
        time.sleep(0.05)


def answers(settings: Settings) -> bool:
    """Whether the control plane answers."""
    try:
        return bool(ask(settings, "GET", "/health"))
    except SandboxError:
        return False


def ask(settings: Settings, method: str, path: str, **content: object) -> dict[str, Any]:
    """A call to the control plane, past any proxy. {} when the answer has no body."""
    body = json.dumps(content).encode() if content else None
    request = urllib.request.Request(settings.control_url + path, body, method=method)  # noqa: S310 - our own address
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        raise SandboxError(json.load(error)["error"]["message"]) from error
    except (OSError, ValueError) as error:
        raise SandboxError(f"the sandbox at {settings.api_url} does not answer: {error}") from error
    return answer


def stop(home: Home, say: Say) -> bool:
    """End the daemon and its machines; False when there was nothing to end. Machines that ran boot at the next start."""
    daemon = running(home)
    if daemon is None:
        return end_leftovers(home, say)
    say(f"stopping (pid {daemon.process.pid}): machines shut down...")
    daemon.process.kill(signal.SIGTERM)
    if not wait_ended(daemon.process, STOP_SECONDS):
        daemon.process.kill(signal.SIGKILL)
        wait_ended(daemon.process, STOP_SECONDS)
        end_leftovers(home, say)
    return True


def end_leftovers(home: Home, say: Say, grace: float = LEFTOVER_SECONDS) -> bool:
    """Machines that outlived a daemon that was killed, and their network."""
    daemon = recorded(home)
    left = [*home.machines.glob("*/process.json"), *NAMESPACES.glob(f"{Network(home).name}*")]
    if daemon is None or not daemon.settings.machines.hosted or not left:
        return False
    say("ending the machines...")

    from sandbox.projects import Projects  # noqa: PLC0415 - rarely needed, slow to load

    async def end() -> None:
        await Projects(home, daemon.settings).close(grace)

    asyncio.run(end())
    return True


def reset(home: Home, say: Say) -> None:
    """End everything at once and delete what was made; base images stay in the cache."""
    if daemon := running(home):
        daemon.process.kill(signal.SIGKILL)  # nothing of its state is kept, so there is nothing to end in good order
        wait_ended(daemon.process, STOP_SECONDS)
    end_leftovers(home, say, grace=0)
    if not home.path.exists():
        return
    directories = [str(path) for path in (home.machines, home.snapshots, home.layers, home.volumes, home.trash)]
    subprocess.run(["rm", "-rf", "--one-file-system", *directories], check=False)
    for path in (*home.path.glob("state.db*"), home.daemon, home.log, home.lock):
        path.unlink(missing_ok=True)
    if not any(home.path.iterdir()):
        home.path.rmdir()
