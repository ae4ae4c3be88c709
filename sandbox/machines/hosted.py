"""Machines that are processes of this host: what all kinds of them have in common.

A machine is a *runner* (machine.sh), its child the *supervisor* (the program that makes the namespaces), and that one's
child the *leader*, the machine's first process. They outlive a killed daemon; the next one adopts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from sandbox.errors import SandboxError
from sandbox.machines import Boot, Facts, Place, PrivateNet, Progress, host
from sandbox.machines.base_images import BaseImages
from sandbox.machines.disks import Disks
from sandbox.machines.network import RESOLVER, Cable, Filter, Network
from sandbox.machines.volumes import WithoutVolumes
from sandbox.process import ProcessId, children, run, wait_ended, when_ended
from sandbox.settings import Home, Settings

RUNNER = Path(__file__).parent / "machine.sh"
DISK = Path(__file__).parent / "disk.sh"
BOOT_SECONDS = 15.0
KILL_SECONDS = 10.0


class Machine:
    """Files and processes of one machine."""

    def __init__(self, directory: Path, unit: str, programs: Collection[str]) -> None:
        self.directory = directory
        self.unit = unit  # its name towards the host: nspawn, scope, control group
        self.programs = programs  # one of them is its supervisor
        self.disk = directory / "disk"
        self.root = self.disk / "root"  # the disk put together, in the mount namespace of the machine
        self.run = directory / "run"
        self.console = directory / "console.log"
        self.process_file = directory / "process.json"
        self.off_mark = directory / "off"
        self.cable_file = directory / "cable"

    def runner(self) -> ProcessId | None:
        """The process that stands for it, if it runs."""
        try:
            process = ProcessId.model_validate_json(self.process_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return process if process.alive() else None

    def supervisors(self) -> list[int]:
        """Pid of the supervisor, in a list; empty when it is not up."""
        runner = self.runner()
        return [pid for pid in children(runner.pid) if command_of(pid) in self.programs] if runner else []

    def leader(self) -> int | None:
        """Pid, on this host, of the machine's first process."""
        found = [pid for supervisor in self.supervisors() for pid in children(supervisor)]
        return found[0] if found else None

    def cable(self) -> Cable | None:
        """What connects it to the sandbox's network, if it is connected."""
        try:
            return Cable(int(self.cable_file.read_text()))
        except (FileNotFoundError, ValueError):
            return None

    def console_tail(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-15:])


class HostedMachines(WithoutVolumes, ABC):
    """All machines of one sandbox; the kinds differ in how a disk is made and how a machine is started and told to stop."""

    programs: ClassVar[Collection[str]]  # that are supervisors, by name
    power_button: ClassVar[int]  # signals that the leader takes for it
    reboot_signal: ClassVar[int]

    def __init__(self, home: Home, settings: Settings, base_images: BaseImages) -> None:
        self.home = home
        self.settings = settings
        self.base_images = base_images
        self.disks = Disks(home)
        self.ended: Callable[[int], None] = lambda _machine: None
        self.watched: set[int] = set()
        self.disks.sweep(*home.trash.iterdir())

    def machine(self, number: int) -> Machine:
        """Handle of a machine, whether it exists or not."""
        return Machine(self.home.machines / str(number), f"sandbox-{self.home.key}-{number}", self.programs)

    def snapshot(self, number: int) -> Path:
        """Directory of a snapshot."""
        return self.home.snapshots / str(number)

    def address_free(self, address: str) -> bool:
        """Whether the port for sshd can be had there."""
        return host.can_listen(address, self.settings.ssh_port)

    @abstractmethod
    def can_boot(self, architecture: str) -> bool:
        """See ``Machines``."""

    @property
    def architectures(self) -> list[str]:
        """The host's own, and the one that is emulated."""
        return [host.architecture(), *([self.settings.emulate] if self.settings.emulate else [])]

    def processor(self, architecture: str) -> str:
        """What a machine of a server of this architecture runs: that of the host where it is not emulated."""
        return architecture if architecture in self.architectures else host.architecture()

    @abstractmethod
    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:
        """See ``Machines``."""

    @abstractmethod
    async def install(self, machine: int, base_image: str, architecture: str, progress: Progress) -> None:
        """See ``Machines``."""

    async def prepare(self, base_image: str, progress: Progress) -> None:
        """Make or find the base image, of each architecture."""
        for architecture in self.architectures:
            await self.base_images.ready(base_image, progress, architecture)

    def new_disk(self, machine: int, base_image: Path) -> None:
        """The old disk, if any, is dropped first."""
        disk = self.machine(machine).disk
        self.disks.drop(disk)
        self.disks.make(base_image, disk)

    async def restore(self, machine: int, snapshot: int) -> None:
        """Disk from a snapshot; the old one, if any, is dropped first."""
        disk = self.machine(machine).disk
        self.disks.drop(disk)
        await self.disks.copy(self.snapshot(snapshot), disk)

    async def capture(self, machine: int, snapshot: int) -> int:
        """Copy of the disk as it is now, and its size in bytes."""
        disk = self.machine(machine).disk
        if not self.running(machine):
            self.disks.freeze(disk)
        await self.disks.copy(disk, self.snapshot(snapshot))
        return await self.disks.used(self.snapshot(snapshot))

    @abstractmethod
    def write_boot_files(self, machine: Machine, boot: Boot) -> None:
        """What the machine finds when it boots, in ``machine.run``."""

    @abstractmethod
    def command(self, machine: Machine, boot: Boot) -> list[str]:
        """The machine as an argument vector: the runner and what it runs."""

    def resolver(self) -> str:
        """What the machine asks for names, as resolv.conf says it."""
        return Path("/etc/resolv.conf").read_text()

    def clear_up(self, machine: Machine) -> None:
        """What may be left when it has ended."""
        machine.process_file.unlink(missing_ok=True)

    async def power_on(self, boot: Boot) -> None:
        """Start it; on failure the end of the console is in the error and nothing is left running."""
        machine = self.machine(boot.machine)
        shutil.rmtree(machine.run, ignore_errors=True)
        machine.run.mkdir(mode=0o700, parents=True)
        self.write_boot_files(machine, boot)
        (machine.run / "resolv.conf").write_text(self.resolver())
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

    def shut_down(self, machine: int) -> None:
        """Press the power button."""
        self.signal_leader(machine, self.power_button)

    def reboot(self, machine: int) -> None:
        """Press Ctrl-Alt-Del."""
        self.signal_leader(machine, self.reboot_signal)

    def signal_leader(self, machine: int, number: int) -> None:
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
        """First the leader, which ends the supervisor in good order; should that hang, supervisor and runner."""
        runner = machine.runner()
        if runner is None:
            return
        leader = machine.leader()
        if leader and await end([leader], runner):
            return
        await end([*machine.supervisors(), runner.pid], runner)

    async def set_password(self, machine: int, password: str) -> None:
        """From outside, as the guest agent of a server does it inside."""
        leader = self.machine(machine).leader()
        if leader is None:
            raise SandboxError("the machine does not run")
        inside = ["nsenter", f"--target={leader}", "--mount", "--pid", "--root", "--wd", "--"]
        await run(*inside, "chpasswd", given=f"root:{password}\n")

    def hang_up(self, machine: int) -> None:
        """Kill every sshd of the machine but the one that listens."""
        leader = self.machine(machine).leader()
        for process in processes_beside(leader) if leader else []:
            if command_of(process.pid).startswith("sshd") and "[listener]" not in arguments_of(process.pid):
                process.kill(signal.SIGKILL)

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

    def reached_at(self, machine: int, address: str) -> Place:  # noqa: ARG002
        """On the host, whose network it shares."""
        return Place(address)

    def reached_in(self, network: int, machine: int, ip: str) -> Place | None:  # noqa: ARG002
        """Gap: private addresses are on record alone."""
        return None

    def inner_places(self, address: str, network: int, ip: str) -> tuple[Place, ...]:  # noqa: ARG002
        """They share the host's network."""
        return ()

    def connect(self, nets: Sequence[PrivateNet]) -> None:
        """Nothing to do."""

    @abstractmethod
    def filter(self, filters: Mapping[int, Filter]) -> None:
        """What firewalls let through; see ``Machines``."""

    async def close(self) -> None:
        """Wait for what is being deleted."""
        await self.disks.close()


class NetworkedMachines(HostedMachines):
    """Machines with a network of their own: the kinds differ in what is at the machine's end of the cable."""

    def __init__(self, home: Home, settings: Settings, base_images: BaseImages) -> None:
        super().__init__(home, settings, base_images)
        self.network = Network(home)

    @abstractmethod
    def plug(self, cable: Cable) -> None:
        """Connect a machine that is about to start."""

    def can_boot(self, architecture: str) -> bool:
        """The host's own, and the one that is emulated."""
        return architecture in self.architectures

    def resolver(self) -> str:
        """The network's own."""
        return f"nameserver {RESOLVER}\n"

    async def power_on(self, boot: Boot) -> None:
        """Connect it first."""
        cable = Cable.of(boot.address)
        self.network.open()
        self.machine(boot.machine).cable_file.write_text(str(cable.number))
        self.plug(cable)
        self.network.publish(cable, boot.address)
        await super().power_on(boot)

    def runner(self, machine: Machine, boot: Boot, cgroups: list[Path]) -> list[str]:
        """What runs the rest of a machine's command line, with the ports of the host that lead to it."""
        forwards = Cable.of(boot.address).forwards(boot.address, self.settings.ssh_port)
        return runner_command(machine, boot, cgroups, self.network.path, forwards)

    def clear_up(self, machine: Machine) -> None:
        """Also its cable."""
        super().clear_up(machine)
        if cable := machine.cable():
            self.network.unplug(cable)
            machine.cable_file.unlink()

    def reached_at(self, machine: int, address: str) -> Place:  # noqa: ARG002
        """In its network, where it has all ports."""
        return Place(Cable.of(address).address, self.network.path)

    def inner_places(self, address: str, network: int, ip: str) -> tuple[Place, ...]:  # noqa: ARG002
        """In the network, where machines look for the addresses that the host knows."""
        return (Place(address, self.network.path),) if address and self.network.path.exists() else ()

    def filter(self, filters: Mapping[int, Filter]) -> None:
        """In the network, while there is one; whoever turns a machine on says it again."""
        if self.network.path.exists():
            self.network.filter(filters)

    async def close(self) -> None:
        """The network goes with the last machine."""
        await super().close()
        self.network.close()


def runner_command(
    machine: Machine, boot: Boot, cgroups: list[Path], namespace: Path | None = None, forwards: Sequence[str] = ()
) -> list[str]:
    """What runs the rest of a machine's command line. See machine.sh."""
    words = [machine.directory, ":".join(map(str, cgroups)), f"{boot.delay:g}", namespace or "", ",".join(forwards)]
    return ["sh", str(RUNNER), *map(str, words)]


def with_disk(machine: Machine, boot: Boot) -> list[str]:
    """What puts the disk together and runs the rest of a command line, in a mount namespace of its own."""
    return ["sh", str(DISK), str(machine.disk), "yes" if boot.disk_full else "no"]


async def end(pids: list[int], runner: ProcessId) -> bool:
    """Kill them and wait; whether the runner ended over it."""
    for process in filter(None, map(ProcessId.of, pids)):
        process.kill(signal.SIGKILL)
    return await asyncio.to_thread(wait_ended, runner, KILL_SECONDS)


def release(runner: subprocess.Popen[bytes]) -> None:
    """Let the runner go on: its pid is on record now."""
    assert runner.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    with contextlib.suppress(BrokenPipeError), runner.stdin as stdin:
        stdin.write(b"go\n")


def command_of(pid: int) -> str:
    """Name of the program a process runs."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def arguments_of(pid: int) -> str:
    """Its command line, as it shows it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processes_beside(leader: int) -> list[ProcessId]:
    """All processes of the leader's process namespace."""
    space = namespace_of(leader)
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*") if space and namespace_of(int(path.name)) == space]
    return [process for process in map(ProcessId.of, pids) if process]


def namespace_of(pid: int) -> str:
    """Name of its process namespace; empty when it is gone."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def write_files(directory: Path, files: dict[str, str]) -> None:
    """Write all, making directories; nobody else may read them (the directories above are for root alone)."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
