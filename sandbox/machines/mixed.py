"""Two kinds of machines side by side: the first for most, and machines with a kernel of their own for some.

What a machine or a snapshot is can be seen by its disk, so that nothing has to be remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from sandbox.machines import Boot, Facts, Place, PrivateNet, Progress, VolumeDisk
from sandbox.machines.hosted import HostedMachines
from sandbox.machines.network import Filter
from sandbox.machines.vm import VmMachines
from sandbox.machines.vm_disks import is_vm_disk


class MixedMachines:
    """``wants_kernel`` tells of a new machine whether it gets a kernel of its own; those from snapshots may all get one."""

    def __init__(
        self, first: HostedMachines, vms: VmMachines, wants_kernel: Callable[[int], bool], *, from_snapshot: bool
    ) -> None:
        self.first = first
        self.vms = vms
        self.from_snapshot = from_snapshot
        self.wants_kernel = wants_kernel

    @property
    def ended(self) -> Callable[[int], None]:
        """Called with the number of a machine that has ended."""
        return self.first.ended

    @ended.setter
    def ended(self, call: Callable[[int], None]) -> None:
        self.first.ended = self.vms.ended = call

    def of(self, machine: int) -> HostedMachines:
        """The kind that a machine is of."""
        return self.vms if is_vm_disk(self.vms.machine(machine).disk) else self.first

    def of_snapshot(self, machine: int, snapshot: int) -> HostedMachines:
        """The kind that a machine from this snapshot becomes."""
        needs = self.from_snapshot or self.wants_kernel(machine) or is_vm_disk(self.vms.snapshot(snapshot))
        return self.vms if needs else self.first

    def of_base_image(self, machine: int) -> HostedMachines:
        """The kind that a machine from a base image becomes."""
        return self.vms if self.wants_kernel(machine) else self.first

    def can_boot(self, architecture: str) -> bool:
        """Most servers are of the first kind. Gap: one that gets a kernel runs the host's programs, whatever its type says."""
        return self.first.can_boot(architecture)

    def address_free(self, address: str) -> bool:
        return self.first.address_free(address)

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:
        kind = self.of(machine) if machine else self.first
        await kind.check_room(base_image=base_image, snapshot=snapshot, machine=machine)

    async def prepare(self, base_image: str, progress: Progress) -> None:
        await self.first.prepare(base_image, progress)

    async def install(self, machine: int, base_image: str, architecture: str, progress: Progress) -> None:
        await self.of_base_image(machine).install(machine, base_image, architecture, progress)

    async def restore(self, machine: int, snapshot: int) -> None:
        await self.of_snapshot(machine, snapshot).restore(machine, snapshot)

    async def capture(self, machine: int, snapshot: int) -> int:
        return await self.of(machine).capture(machine, snapshot)

    async def power_on(self, boot: Boot) -> None:
        await self.of(boot.machine).power_on(boot)

    def shut_down(self, machine: int) -> None:
        self.of(machine).shut_down(machine)

    def reboot(self, machine: int) -> None:
        self.of(machine).reboot(machine)

    async def power_off(self, machine: int) -> None:
        await self.of(machine).power_off(machine)

    async def set_password(self, machine: int, password: str) -> None:
        await self.of(machine).set_password(machine, password)

    def hang_up(self, machine: int) -> None:
        self.of(machine).hang_up(machine)

    def running(self, machine: int) -> bool:
        return self.of(machine).running(machine)

    def ended_by_itself(self, machine: int) -> bool:
        return self.of(machine).ended_by_itself(machine)

    def delete_disk(self, machine: int) -> None:
        self.of(machine).delete_disk(machine)

    def delete_snapshot(self, snapshot: int) -> None:
        self.first.delete_snapshot(snapshot)

    def forget_others(self, machines: set[int], snapshots: set[int]) -> None:
        self.first.forget_others(machines, snapshots)

    def facts(self, machine: int) -> Facts:
        return self.of(machine).facts(machine)

    def reached_at(self, machine: int, address: str) -> Place:
        return self.of(machine).reached_at(machine, address)

    def reached_in(self, network: int, machine: int, ip: str) -> Place | None:
        return self.of(machine).reached_in(network, machine, ip)

    def inner_places(self, address: str, network: int, ip: str) -> tuple[Place, ...]:
        """Those of the network that both have, if only the second has one."""
        return self.first.inner_places(address, network, ip) or self.vms.inner_places(address, network, ip)

    def connect(self, nets: Sequence[PrivateNet]) -> None:
        self.first.connect(nets)

    def filter(self, filters: Mapping[int, Filter]) -> None:
        self.vms.filter(filters)

    async def attach_volume(self, machine: int, volume: VolumeDisk) -> None:
        await self.of(machine).attach_volume(machine, volume)

    async def detach_volume(self, machine: int, volume: int) -> None:
        await self.of(machine).detach_volume(machine, volume)

    async def resize_volume(self, volume: VolumeDisk, machine: int | None) -> None:
        has_disk = machine is not None and self.of(machine) is self.vms
        await self.vms.resize_volume(volume, machine if has_disk else None)

    def delete_volume(self, volume: int) -> None:
        self.vms.delete_volume(volume)

    def forget_other_volumes(self, volumes: set[int]) -> None:
        self.vms.forget_other_volumes(volumes)

    async def close(self) -> None:
        """Both have the same network and store."""
        await asyncio.gather(self.first.close(), self.vms.close())
