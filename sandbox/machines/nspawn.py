"""Real machines: systemd booted by systemd-nspawn, on a disk of its own, with sshd on an address of its own.

They share the host's network and kernel. So, unlike on a server at Hetzner, a machine cannot load kernel modules, set
sysctls, change the network or (on a host with cgroup v1) run containers; and it is no security boundary.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.machines import Boot, Facts, Progress, host, seed
from sandbox.machines.base_images import BaseImages
from sandbox.machines.disks import Disks, used_bytes
from sandbox.process import ProcessId, children, wait_ended, when_ended
from sandbox.settings import Home, Settings

RUNNER = Path(__file__).parent / "machine.sh"
NSPAWN = "systemd-nspawn"
POWER_BUTTON = signal.SIGRTMIN + 4  # what systemd as pid 1 takes for "power off"
REBOOT = signal.SIGRTMIN + 5
BOOT_SECONDS = 15.0
KILL_SECONDS = 10.0


class Machine:
    """Files and process of one machine."""

    def __init__(self, directory: Path, unit: str) -> None:
        self.directory = directory
        self.unit = unit  # its name towards nspawn, its scope and its control group
        self.disk = directory / "disk"
        self.console = directory / "console.log"
        self.process_file = directory / "process.json"
        self.off_mark = directory / "off"

    def runner(self) -> ProcessId | None:
        """The process that stands for it, if it runs."""
        try:
            process = ProcessId.model_validate_json(self.process_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return process if process.alive() else None

    def supervisors(self) -> list[int]:
        """Pid of systemd-nspawn, in a list; empty when it is not up."""
        runner = self.runner()
        return [pid for pid in children(runner.pid) if command_of(pid) == NSPAWN] if runner else []

    def leader(self) -> int | None:
        """Pid, on this host, of the machine's first process."""
        found = [pid for supervisor in self.supervisors() for pid in children(supervisor)]
        return found[0] if found else None

    def console_tail(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-15:])


class NspawnMachines:
    """All machines of one sandbox."""

    def __init__(self, home: Home, settings: Settings, base_images: BaseImages) -> None:
        self.home = home
        self.settings = settings
        self.base_images = base_images
        self.disks = Disks(home.trash)
        self.ended: Callable[[int], None] = lambda _machine: None
        self.watched: set[int] = set()
        self.disks.sweep(*home.trash.iterdir())

    def machine(self, number: int) -> Machine:
        """Handle of a machine, whether it exists or not."""
        return Machine(self.home.machines / str(number), f"sandbox-{self.home.key}-{number}")

    def snapshot(self, number: int) -> Path:
        """Directory of a snapshot."""
        return self.home.snapshots / str(number)

    def can_boot(self, architecture: str) -> bool:
        """Only the host's own."""
        return architecture == host.architecture()

    def address_free(self, address: str) -> bool:
        """Whether the port for sshd can be had there."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((address, self.settings.ssh_port))
            except OSError:
                return False
        return True

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:
        """A base image that is yet to be made is not counted."""
        paths = [self.base_images.path(base_image)] if base_image else []
        paths += [self.snapshot(snapshot)] if snapshot else []
        paths += [self.machine(machine).disk] if machine else []
        for path in paths:
            if path.exists():
                await self.disks.require_space(path)

    async def prepare(self, base_image: str, progress: Progress) -> None:
        """Make or find the base image."""
        await self.base_images.ready(base_image, progress)

    async def install(self, machine: int, base_image: str, progress: Progress) -> None:
        """Disk from a base image."""
        source = await self.base_images.ready(base_image, progress)
        progress(95, "copying the disk")
        await self.replace_disk(machine, source)

    async def restore(self, machine: int, snapshot: int) -> None:
        """Disk from a snapshot."""
        await self.replace_disk(machine, self.snapshot(snapshot))

    async def replace_disk(self, machine: int, source: Path) -> None:
        """The old disk, if any, is dropped first."""
        disk = self.machine(machine).disk
        self.disks.drop(disk)
        await self.disks.copy(source, disk)

    async def capture(self, machine: int, snapshot: int) -> int:
        """Copy of the disk as it is now."""
        await self.disks.copy(self.machine(machine).disk, self.snapshot(snapshot))
        return await used_bytes(self.snapshot(snapshot))

    async def power_on(self, boot: Boot) -> None:
        """Start systemd-nspawn; on failure the end of the console is in the error and nothing is left running."""
        machine = self.machine(boot.machine)
        write_files(machine.directory / "run", seed.files(boot, self.settings.ssh_port))
        shutil.copyfile("/etc/resolv.conf", machine.directory / "run" / "resolv.conf")
        machine.off_mark.unlink(missing_ok=True)
        with machine.console.open("wb") as console:
            runner = subprocess.Popen(
                self.command(machine, boot),
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        process = ProcessId.of(runner.pid)
        if process:
            machine.process_file.write_text(process.model_dump_json())
            self.watch(boot.machine, process, runner)
        release(runner)
        if not boot.delay:
            await self.wait_for_leader(machine)

    def command(self, machine: Machine, boot: Boot) -> list[str]:
        """The machine as an argument vector."""
        cgroups = [] if host.has_systemd() else host.make_cgroups(cgroup_name(machine))
        scope = host.scope(machine.unit) if host.has_systemd() else []
        runner = ["sh", str(RUNNER), str(machine.off_mark), ":".join(map(str, cgroups)), f"{boot.delay:g}"]
        return [*scope, *runner, *nspawn_command(machine, boot)]

    async def wait_for_leader(self, machine: Machine) -> None:
        """Until its first process exists."""
        until = time.monotonic() + BOOT_SECONDS
        while machine.leader() is None:
            if machine.runner() is None or time.monotonic() > until:
                await self.kill(machine)
                raise SandboxError(f"the machine did not start:\n{machine.console_tail()}")
            await asyncio.sleep(0.02)

    def watch(self, number: int, process: ProcessId, popen: subprocess.Popen[bytes] | None = None) -> None:
        """Notice when it ends."""

        def ended() -> None:
            if popen:
                popen.wait()
            self.watched.discard(number)
            self.clear_up(self.machine(number))
            self.ended(number)

        self.watched.add(number)
        when_ended(process, ended)

    def clear_up(self, machine: Machine) -> None:
        """What systemd-nspawn leaves when it is killed, and the control group."""
        machine.process_file.unlink(missing_ok=True)
        shutil.rmtree(Path("/run/systemd/nspawn/propagate") / machine.unit, ignore_errors=True)
        (machine.directory / f".#{machine.disk.name}.lck").unlink(missing_ok=True)
        if not host.has_systemd():
            host.remove_cgroups(cgroup_name(machine))

    def shut_down(self, machine: int) -> None:
        """Press the power button."""
        self.signal_init(machine, POWER_BUTTON)

    def reboot(self, machine: int) -> None:
        """Press Ctrl-Alt-Del."""
        self.signal_init(machine, REBOOT)

    def signal_init(self, machine: int, number: int) -> None:
        """Nothing happens when the machine is off, or not yet far enough to listen: as with a power button."""
        leader = self.machine(machine).leader()
        process = ProcessId.of(leader) if leader else None
        if process:
            process.kill(number)

    async def power_off(self, machine: int) -> None:
        """Kill it and wait."""
        await self.kill(self.machine(machine))
        while machine in self.watched:  # until its end was noticed, so that nobody sees it half off
            await asyncio.sleep(0.01)

    async def kill(self, machine: Machine) -> None:
        """First its init, which ends systemd-nspawn in good order; should that hang, systemd-nspawn and its runner."""
        runner = machine.runner()
        if runner is None:
            return
        for victims in ([machine.leader()], [*machine.supervisors(), runner.pid]):
            for process in [ProcessId.of(pid) for pid in victims if pid]:
                if process:
                    process.kill(signal.SIGKILL)
            if await asyncio.to_thread(wait_ended, runner, KILL_SECONDS):
                return

    def running(self, machine: int) -> bool:
        """Adopts what outlived a killed daemon, and clears up after what ended unwatched."""
        handle = self.machine(machine)
        runner = handle.runner()
        if machine not in self.watched:
            if runner:
                self.watch(machine, runner)
            elif handle.process_file.exists():
                self.clear_up(handle)
        return runner is not None

    def ended_by_itself(self, machine: int) -> bool:
        """Its runner left a mark."""
        return self.machine(machine).off_mark.exists()

    def delete_disk(self, machine: int) -> None:
        """Its whole directory."""
        self.clear_up(self.machine(machine))
        self.disks.drop(self.machine(machine).directory)

    def delete_snapshot(self, snapshot: int) -> None:
        """Its directory."""
        self.disks.drop(self.snapshot(snapshot))

    def forget_others(self, machines: set[int], snapshots: set[int]) -> None:
        """What no record knows of was about to be deleted, or to be recorded."""
        for path in self.home.machines.iterdir():
            if path.name.isdigit() and int(path.name) not in machines:
                self.delete_disk(int(path.name))
        for path in self.home.snapshots.iterdir():
            if path.name.isdigit() and int(path.name) not in snapshots:
                self.delete_snapshot(int(path.name))

    def facts(self, machine: int) -> Facts:
        """For ``status``."""
        handle = self.machine(machine)
        return Facts(handle.leader(), handle.disk, handle.console)

    async def close(self) -> None:
        """Wait for what is being deleted."""
        await self.disks.close()


def nspawn_command(machine: Machine, boot: Boot) -> list[str]:
    """systemd-nspawn for this machine."""
    run = str(machine.directory / "run").replace(":", r"\:")  # the separator of --bind-ro
    return [
        *("env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", NSPAWN, "--quiet", "--register=no", "--keep-unit", "--boot"),
        *(
            f"--directory={machine.disk}",
            f"--machine={machine.unit}",
            f"--hostname={boot.name.partition('.')[0]}",
            "--console=pipe",
        ),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        "--system-call-filter=@keyring bpf",  # runc asks for both
        f"--bind-ro={run}:{seed.RUN}",
        f"--bind-ro={run}/sshd.conf:/run/systemd/system/ssh.service.d/sandbox.conf",
        f"--bind-ro={run}/resolv.conf:/run/systemd/resolve/resolv.conf",
        *seed.CLOUD_INIT_ARGUMENTS,
    ]


def release(runner: subprocess.Popen[bytes]) -> None:
    """Let the runner go on: its pid is on record now."""
    assert runner.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    with contextlib.suppress(BrokenPipeError), runner.stdin as stdin:
        stdin.write(b"go\n")


def cgroup_name(machine: Machine) -> str:
    """Path below each hierarchy: ``sandbox-5f2a81c0/100000001``."""
    parent, _, number = machine.unit.rpartition("-")
    return f"{parent}/{number}"


def command_of(pid: int) -> str:
    """Name of the program a process runs."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def write_files(directory: Path, files: dict[str, str]) -> None:
    """Write all, making directories; nobody else may read them."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
