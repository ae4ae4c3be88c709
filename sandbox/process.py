"""Processes: run one, know one again, wait for its end, end it. Never by name, always by pid and start time."""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from sandbox.errors import SandboxError

# A helper of ours dies with us, also on kill -9: nothing goes on copying for a daemon that is gone.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")


class ProcessId(BaseModel):
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    started: int  # clock ticks since boot
    boot: str  # id of that boot

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Identity of a running process; None when there is none (a zombie counts as none)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else cls(pid=pid, started=int(fields[19]), boot=boot_id())

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessId.of(self.pid) == self

    def kill(self, number: int) -> None:
        """Send a signal, if it is still this process."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def boot_id() -> str:
    """Changes with every boot of this machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def children(pid: int) -> list[int]:
    """Pids of the direct children; empty when the process is gone."""
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def when_ended(process: ProcessId, call: Callable[[], None]) -> None:
    """Call ``call`` once in the running loop when the process has ended, whoever its parent is."""
    loop = asyncio.get_running_loop()
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        loop.call_soon(call)
        return

    def ended() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        call()

    loop.add_reader(fd, ended)


def wait_ended(process: ProcessId, seconds: float) -> bool:
    """Wait, blocking; True when it has ended in time."""
    until = time.monotonic() + seconds
    while process.alive():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@dataclass(frozen=True)
class Finished:
    """What a command left: exit status and the end of its output."""

    status: int
    output: str


class CommandError(SandboxError):
    """A command ended with an error; the message has the command ready to paste and the end of its output."""

    def __init__(self, argv: Sequence[str], finished: Finished) -> None:
        tail = "\n".join(finished.output.splitlines()[-15:])
        super().__init__(f"exit status {finished.status} of: {shlex.join(argv)}\n{tail}")
        self.finished = finished


async def run(*argv: str, on_line: Callable[[str], None] | None = None, given: str = "") -> Finished:
    """Run to the end with ``given`` as input, output (both streams) by line to ``on_line``.

    Cancelled, it kills the command first. Raises CommandError on a status other than 0.
    """
    process = await asyncio.create_subprocess_exec(
        *DIES_WITH_US,
        *argv,
        stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
    )
    lines: list[str] = []
    if process.stdin:
        process.stdin.write(given.encode())  # short: it fits the pipe
        process.stdin.close()
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            lines.append(line)
            if on_line:
                on_line(line)
        status = await process.wait()
    except asyncio.CancelledError:
        process.kill()  # callers put right what is half done; nothing of ours needs to end in good order
        await process.wait()
        raise
    finished = Finished(status, "\n".join(lines[-200:]))
    if status != 0:
        raise CommandError(argv, finished)
    return finished
