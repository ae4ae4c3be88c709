"""Real machines: systemd booted by systemd-nspawn, on a disk of its own, with sshd on an address of its own.

They share the host's kernel. So, unlike on a server at Hetzner, a machine cannot load kernel modules, set most sysctls or (on
a host with cgroup v1) run containers; and it is no security boundary.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from sandbox.machines import Boot, Place, PrivateNet, Progress, host, seed
from sandbox.machines.base_images import BaseImages
from sandbox.machines.hosted import Machine, NetworkedMachines, with_disk, write_files
from sandbox.machines.network import Cable
from sandbox.machines.private import PrivateNetworks
from sandbox.machines.translate import is_translated, translated
from sandbox.process import CommandError, run
from sandbox.settings import Home, Settings

NSPAWN = "systemd-nspawn"
# Units of a server that cannot do their work here: the root file system is no disk that /etc/fstab could name, and the
# host's resolver answers.
MASKED = ("systemd-remount-fs.service", "systemd-resolved.service")


class NspawnMachines(NetworkedMachines):
    """Machines of systemd-nspawn."""

    programs = (NSPAWN,)
    power_button = signal.SIGRTMIN + 4  # what systemd as pid 1 takes for "power off"
    reboot_signal = signal.SIGRTMIN + 5

    def __init__(self, home: Home, settings: Settings, base_images: BaseImages) -> None:
        super().__init__(home, settings, base_images)
        self.asking: set[asyncio.Task[None]] = set()
        self.private = PrivateNetworks(self.network)

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:
        """A base image that is yet to be made is not counted."""
        if base_image and (image := self.base_images.path(base_image)).exists():
            await self.disks.require(await self.disks.size_of(image))
        disks = [self.snapshot(snapshot)] if snapshot else []
        disks += [self.machine(machine).disk] if machine else []
        for disk in disks:
            if disk.exists():
                await self.disks.require(await self.disks.used(disk))

    async def install(self, machine: int, base_image: str, architecture: str, progress: Progress) -> None:
        """Nothing but the base image."""
        self.new_disk(machine, await self.base_images.ready(base_image, progress, self.processor(architecture)))

    def write_boot_files(self, machine: Machine, boot: Boot) -> None:
        """The seed of cloud-init and the options of sshd."""
        write_files(machine.run, seed.files(boot))

    def shut_down(self, machine: int) -> None:
        """Press the power button."""
        if not self.ask(machine, "poweroff"):
            super().shut_down(machine)

    def reboot(self, machine: int) -> None:
        """Press Ctrl-Alt-Del."""
        if not self.ask(machine, "reboot"):
            super().reboot(machine)

    def ask(self, machine: int, verb: str) -> bool:
        """Have a translated machine do it by a command, and say whether it is one: it takes each signal for another."""
        leader = self.machine(machine).leader()
        if not leader or not is_translated(leader):
            return False
        inside = ["nsenter", f"--target={leader}", "--mount", "--pid", "--net", "--root", "--wd"]
        task = asyncio.create_task(attempt(*inside, "systemctl", "--no-block", verb))
        self.asking.add(task)
        task.add_done_callback(self.asking.discard)
        return True

    def plug(self, cable: Cable) -> None:
        """A network namespace of its own, with a card for each private network."""
        self.network.plug_container(cable)
        self.private.plug_all(cable)

    def connect(self, nets: Sequence[PrivateNet]) -> None:
        """They are arranged at once."""
        self.private.follow(nets)

    def reached_in(self, network: int, machine: int, ip: str) -> Place | None:  # noqa: ARG002
        """In the network's own namespace."""
        path = self.private.path(network)
        return Place(ip, path) if path.exists() else None

    def inner_places(self, address: str, network: int, ip: str) -> tuple[Place, ...]:
        """Also in the private network."""
        path = self.private.path(network)
        inside = (Place(ip, path),) if network and path.exists() else ()
        return super().inner_places(address, network, ip) + inside

    def command(self, machine: Machine, boot: Boot) -> list[str]:
        """The machine as an argument vector."""
        cgroups = [] if host.has_systemd() else host.make_cgroups(cgroup_name(machine))
        scope = host.scope(machine.unit) if host.has_systemd() else []
        namespace = self.network.own_namespace(Cable.of(boot.address))
        booted = [*with_disk(machine, boot), *nspawn_command(machine, boot, namespace)]
        isolated = ["unshare", "--mount", *translated(self.processor(boot.architecture))]
        return [*scope, *self.runner(machine, boot, cgroups), *isolated, *booted]

    def clear_up(self, machine: Machine) -> None:
        """Also what systemd-nspawn leaves when it is killed, and the control group."""
        super().clear_up(machine)
        shutil.rmtree(Path("/run/systemd/nspawn/propagate") / machine.unit, ignore_errors=True)
        (machine.disk / f".#{machine.root.name}.lck").unlink(missing_ok=True)
        if not host.has_systemd():
            host.remove_cgroups(cgroup_name(machine))

    async def close(self) -> None:
        """Nobody comes back for the control groups that were still in use when their machines ended."""
        await super().close()
        if not host.has_systemd():
            await asyncio.to_thread(host.remove_cgroups, f"sandbox-{self.home.key}", host.LAST_TRIES)


async def attempt(*command: str) -> None:
    """A machine that is not yet far enough to listen does not mind, as with a power button."""
    with contextlib.suppress(CommandError):
        await run(*command)


def nspawn_command(machine: Machine, boot: Boot, network: Path) -> list[str]:
    """systemd-nspawn for this machine."""
    run = str(machine.run).replace(":", r"\:")  # the separator of --bind-ro
    fills = f"--bind-ro={run}/full-disk.conf:/run/systemd/system/cloud-final.service.d/sandbox.conf"
    return [
        *("env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", NSPAWN, "--quiet", "--register=no", "--keep-unit", "--boot"),
        *(
            f"--directory={machine.root}",
            f"--machine={machine.unit}",
            f"--hostname={boot.name.partition('.')[0]}",
            f"--network-namespace-path={network}",
            "--console=pipe",
        ),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        "--system-call-filter=@keyring bpf",  # runc asks for both
        f"--bind-ro={run}:{seed.RUN}",
        f"--bind-ro={run}/noexec.conf:/run/systemd/system/systemd-tmpfiles-setup.service.d/sandbox.conf",
        f"--bind-ro={run}/sshd.conf:/run/systemd/system/ssh.service.d/sandbox.conf",
        f"--bind-ro={run}/resolv.conf:/run/systemd/resolve/resolv.conf",
        *([fills] if boot.disk_full else []),
        *(f"systemd.mask={unit}" for unit in MASKED),
        *seed.CLOUD_INIT_ARGUMENTS,
    ]


def cgroup_name(machine: Machine) -> str:
    """Path below each hierarchy: ``sandbox-5f2a81c0/100000001``."""
    parent, _, number = machine.unit.rpartition("-")
    return f"{parent}/{number}"
