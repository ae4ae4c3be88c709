"""Machines with a kernel of their own: QEMU, with a disk that firmware, boot loader and initrd boot from.

What a machine may not do as a container it does here: load modules, set kernel settings, run containers, change its network,
filter packets. Cores, memory and disk are those of its server type.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from qemu.qmp import QMPClient, QMPError

from sandbox.errors import SandboxError
from sandbox.machines import Boot, Facts, Progress, VolumeDisk, accelerator, vm_rescue, vm_seed, vm_volumes
from sandbox.machines.accelerator import EMULATORS, Accelerator
from sandbox.machines.base_images import BaseImages, locked
from sandbox.machines.hosted import Machine, NetworkedMachines, arguments_of, command_of, write_files
from sandbox.machines.network import Cable
from sandbox.machines.vm_disks import VmDisks, is_vm_disk
from sandbox.process import ProcessId, children
from sandbox.settings import Home, Settings

log = logging.getLogger(__name__)
ANSWER_SECONDS = 30.0
LET_GO_STEP = 0.1
NAME_LENGTH = 15
"""Characters of a process's name that the kernel keeps."""
FORWARDER = "systemd-socket-proxyd"[:NAME_LENGTH]


class VmMachine(Machine):
    """QEMU is both its supervisor and its leader."""

    def leader(self) -> int | None:
        """Pid of QEMU."""
        found = self.supervisors()
        return found[0] if found else None

    @property
    def monitor(self) -> Path:
        """The socket on which QEMU takes commands."""
        return self.run / "monitor"

    @property
    def reboot_mark(self) -> Path:
        """While it is there, the machine is started again when it ends."""
        return self.directory / "reboot"


class VmMachines(NetworkedMachines):
    """Machines of QEMU."""

    programs = tuple(name[:NAME_LENGTH] for name in EMULATORS.values())
    power_button = reboot_signal = signal.SIGTERM  # not used: QEMU has buttons of its own

    def __init__(self, home: Home, settings: Settings, base_images: BaseImages) -> None:
        super().__init__(home, settings, base_images)
        self.vm_disks = VmDisks(self.disks)
        self.volumes = vm_volumes.VolumeFiles(home.volumes)
        self.accelerator = Accelerator(name="tcg", why="no machine has been started yet")
        self.pressing: set[asyncio.Task[None]] = set()

    def machine(self, number: int) -> VmMachine:
        """Handle of a machine, whether it exists or not."""
        return VmMachine(self.home.machines / str(number), f"sandbox-{self.home.key}-{number}", self.programs)

    # Disks

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:  # noqa: ARG002
        """A disk takes no room until something is written to it."""
        await self.disks.require(0)

    async def prepare(self, base_image: str, progress: Progress) -> None:
        """Make or find the disk of the base image, of each architecture."""
        for architecture in self.architectures:
            await self.base_images.disk_ready(base_image, progress, architecture)

    async def install(self, machine: int, base_image: str, architecture: str, progress: Progress) -> None:
        """Nothing but the base image."""
        base = await self.base_images.disk_ready(base_image, progress, self.processor(architecture))
        self.disks.drop(self.machine(machine).disk)
        self.vm_disks.make(base, self.machine(machine).disk)

    async def restore(self, machine: int, snapshot: int) -> None:
        """From a snapshot of a machine of this kind, or of a container, of which a disk is made once."""
        source = self.snapshot(snapshot)
        if not is_vm_disk(source):
            source = await self.made_bootable(source)
        self.disks.drop(self.machine(machine).disk)
        self.vm_disks.copy(source, self.machine(machine).disk)

    async def made_bootable(self, snapshot: Path) -> Path:
        """The snapshot of a container as a disk, beside it."""
        target = snapshot / "vm"
        async with locked(snapshot / "vm.lock"):
            if not target.exists():
                await self.vm_disks.from_container(snapshot, target)
        return target

    async def capture(self, machine: int, snapshot: int) -> int:
        """What was written so far becomes a layer, which both have; the size in bytes."""
        handle = self.machine(machine)
        if self.running(machine):
            layer = self.vm_disks.announce_next(handle.disk)
            await self.write_to(handle, layer)
            self.vm_disks.settle(handle.disk)
        else:
            self.vm_disks.freeze(handle.disk)
        self.vm_disks.copy(handle.disk, self.snapshot(snapshot))
        return self.vm_disks.used(self.snapshot(snapshot))

    async def write_to(self, machine: VmMachine, layer: Path) -> None:
        """Have a running machine write to a new layer from now on."""
        options = {"device": "root", "snapshot-file": str(layer), "format": "qcow2"}
        try:
            await command(machine, "blockdev-snapshot-sync", options)
        except SandboxError:
            self.vm_disks.settle(machine.disk)
            raise

    # Power

    def plug(self, cable: Cable) -> None:
        """QEMU's end is a tap device."""
        self.network.plug_tap(cable)

    async def power_on(self, boot: Boot) -> None:
        """With a disk of the size that the server type says."""
        machine = self.machine(boot.machine)
        machine.reboot_mark.unlink(missing_ok=True)
        processor = self.processor(boot.architecture)
        chosen = await accelerator.choose(self.base_images.kernel, self.base_images.directory, processor)
        if chosen != self.accelerator:
            log.info("machines are run with %s: %s", chosen.name, chosen.why)
        self.accelerator = chosen
        await self.vm_disks.prepare_top(machine.disk, boot.disk)
        for volume in boot.volumes:
            await self.volumes.ready(volume)
        if boot.rescue:
            await self.base_images.disk_ready(vm_rescue.SYSTEM, lambda _percent, _doing: None, processor)
            machine.reboot_mark.touch()  # when it ends, the machine is started again, from its disk
        await super().power_on(boot)

    def write_boot_files(self, machine: Machine, boot: Boot) -> None:
        """The disc that cloud-init reads, as files; `command` makes the disc of them."""
        write_files(machine.run / "seed", vm_seed.files(boot))
        for volume in boot.volumes:
            self.plug_in(machine, volume.number)
        if boot.rescue:
            processor = self.processor(boot.architecture)
            tree = self.base_images.path(vm_rescue.SYSTEM, processor)
            disk = self.base_images.disk_path(vm_rescue.SYSTEM, processor)
            vm_rescue.write(machine.run / "rescue", boot, processor, tree, disk)

    def plug_in(self, machine: Machine, volume: int) -> None:
        """Whenever QEMU starts, also after a reboot, it has the volume."""
        described = {"node": self.volumes.node(volume), "device": vm_volumes.device(volume)}
        files = {name: json.dumps(options) for name, options in described.items()}
        write_files(machine.run / "volumes" / str(volume), files)

    def command(self, machine: Machine, boot: Boot) -> list[str]:
        """The machine as an argument vector."""
        start = ["sh", str(Path(__file__).parent / "vm.sh"), str(machine.run), vm_seed.LABEL, str(machine.disk)]
        return [
            *self.runner(machine, boot, []),
            *self.network.prefix,
            *start,
            *qemu_command(machine, boot, self.processor(boot.architecture), self.accelerator),
        ]

    def shut_down(self, machine: int) -> None:
        """Press the power button; a reboot that it was asked for is forgotten."""
        self.machine(machine).reboot_mark.unlink(missing_ok=True)
        self.press(self.machine(machine))

    def reboot(self, machine: int) -> None:
        """Press the power button; the machine is started again when it is off."""
        handle = self.machine(machine)
        if handle.leader():
            handle.reboot_mark.touch()
            self.press(handle)

    def facts(self, machine: int) -> Facts:
        """Also what runs its processor, as QEMU was told."""
        known = super().facts(machine)
        words = arguments_of(known.pid).split() if known.pid else []
        return replace(known, accelerator="kvm" if "kvm" in words else "tcg" if words else "")

    def press(self, machine: VmMachine) -> None:
        """Nothing happens when it is off; does not wait."""
        if machine.leader():
            task = asyncio.create_task(press_power_button(machine))
            self.pressing.add(task)
            task.add_done_callback(self.pressing.discard)

    async def power_off(self, machine: int) -> None:
        """Kill it and wait; a reboot that it was asked for is forgotten."""
        self.machine(machine).reboot_mark.unlink(missing_ok=True)
        await super().power_off(machine)

    def running(self, machine: int) -> bool:
        """What a killed sandbox was about to note of a snapshot is noted when the machine is adopted."""
        if machine not in self.watched:
            self.vm_disks.settle(self.machine(machine).disk)
        return super().running(machine)

    async def set_password(self, machine: int, password: str) -> None:  # noqa: ARG002
        """A server with a kernel of its own has no guest agent here."""
        raise SandboxError("no guest agent runs in the machine, so that its password cannot be set from outside")

    def hang_up(self, machine: int) -> None:
        """Kill what leads the host's ports to it; another takes its place."""
        runner = self.machine(machine).runner()
        forwarders = children(runner.pid) if runner else []
        for pid in [pid for forwarder in forwarders for pid in children(forwarder) if command_of(pid) == FORWARDER]:
            process = ProcessId.of(pid)
            if process:
                process.kill(signal.SIGKILL)

    # Volumes

    async def attach_volume(self, machine: int, volume: VolumeDisk) -> None:
        """It is there already where a sandbox was killed between this and its record."""
        handle = self.machine(machine)
        await self.volumes.ready(volume)
        if not await has_disk(handle, volume.number):
            await command(handle, "blockdev-add", self.volumes.node(volume.number))
            await command(handle, "device_add", vm_volumes.device(volume.number))
        self.plug_in(handle, volume.number)

    async def detach_volume(self, machine: int, volume: int) -> None:
        """Returns when QEMU has let go of the file."""
        handle, name = self.machine(machine), vm_volumes.name_of(volume)
        shutil.rmtree(handle.run / "volumes" / str(volume), ignore_errors=True)
        if await has_disk(handle, volume):
            await command(handle, "device_del", {"id": name})
        await let_go(handle, name)

    async def resize_volume(self, volume: VolumeDisk, machine: int | None) -> None:
        """A machine that runs is told, and sees it."""
        if machine is not None and self.running(machine) and await has_disk(self.machine(machine), volume.number):
            size = {"node-name": vm_volumes.name_of(volume.number), "size": volume.size << 30}
            await command(self.machine(machine), "block_resize", size)
        else:
            self.volumes.grow(volume)

    def delete_volume(self, volume: int) -> None:
        """Its file."""
        self.volumes.delete(volume)

    def forget_other_volumes(self, volumes: set[int]) -> None:
        """Their files."""
        self.volumes.forget_others(volumes)


def qemu_command(machine: Machine, boot: Boot, architecture: str, chosen: Accelerator) -> list[str]:
    """QEMU for this machine, but for the drive ``root``, which vm.sh adds."""
    cable = Cable.of(boot.address)
    return [
        EMULATORS[architecture],
        *("-name", machine.unit, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"),
        *accelerator.arguments(chosen, architecture),
        *accelerator.firmware(architecture),
        *("-smp", str(boot.cores), "-m", f"{round(boot.memory * 1024)}M"),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *("-qmp", f"unix:{machine.run / 'monitor'},server=on,wait=off"),
        *("-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=root,bootindex=1"),
        *("-drive", f"if=none,id=seed,file={machine.run / 'seed.iso'},format=raw,readonly=on"),
        *("-device", "scsi-cd,drive=seed"),
        *("-netdev", f"tap,id=network,ifname={cable.device},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=network,mac={cable.mac}"),
        *("-device", "virtio-rng-pci", "-device", "virtio-balloon-pci,free-page-reporting=on"),
        *("-rtc", "base=utc", "-uuid", str(uuid5(NAMESPACE_OID, machine.unit))),
    ]


async def press_power_button(machine: VmMachine) -> None:
    """As ACPI does; a machine that has just ended does not mind."""
    try:
        await command(machine, "system_powerdown")
    except SandboxError:
        return


async def has_disk(machine: VmMachine, volume: int) -> bool:
    """Whether the machine has the volume as a disk."""
    found = await command(machine, "qom-list", {"path": "/machine/peripheral"})
    return any(item["name"] == vm_volumes.name_of(volume) for item in found)


async def let_go(machine: VmMachine, node: str) -> None:
    """Close a volume's file as soon as its disk is gone. Raises SandboxError."""
    until = time.monotonic() + ANSWER_SECONDS
    while any(item["node-name"] == node for item in await command(machine, "query-named-block-nodes", {"flat": True})):
        try:
            await command(machine, "blockdev-del", {"node-name": node})
        except SandboxError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(LET_GO_STEP)


async def command(machine: VmMachine, name: str, options: Mapping[str, object] | None = None) -> Any:
    """Tell QEMU; its answer. Raises SandboxError."""
    client = QMPClient(machine.unit)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.connect(str(machine.monitor))
            return await client.execute(name, dict(options or {}))
    except (QMPError, OSError, EOFError, TimeoutError) as error:
        raise SandboxError(f"QEMU does not take {name}: {error or type(error).__name__}") from error
    finally:
        with contextlib.suppress(Exception):  # it repeats the error of the call
            await client.disconnect()
