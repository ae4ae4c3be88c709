"""What stands behind a server: one interface, five kinds.

``vm`` boots machines with a kernel of their own, ``nspawn`` boots containers, ``light`` runs sshd in namespaces, ``scripted``
answers SSH, ``instant`` only pretends. ``mixed`` is two of them side by side.

Nothing in here knows of the API: machines and snapshots are known by numbers, base images by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sandbox.machines.network import Filter

Progress = Callable[[int, str], None]  # percent, what is being done


@dataclass(frozen=True)
class VolumeDisk:
    """A disk beside the machine's own: its number, size in GB, and the file system it is made with ("": none)."""

    number: int
    size: int
    format: str = ""


@dataclass(frozen=True)
class RescueSystem:
    """Who may log in to it as root."""

    public_keys: tuple[str, ...]
    root_password: str


@dataclass(frozen=True)
class Boot:
    """What a machine is told when it boots. ``public_keys`` may log in as root; ``root_password`` may be unset.

    ``architecture`` (x86, arm) is its server type's; only where the sandbox emulates it is it the machine's as well.
    It has ``cores``, ``memory`` (GB) and a ``disk`` (GB), as its server type says; only machines of ``vm`` are held to it.
    It also has ``volumes``, if it has a kernel of its own.
    ``rescue``: it is to boot that and not its disk; those of ``nspawn`` and ``light`` boot their disk all the same.
    Faults: it comes up after ``delay`` seconds (infinite: never); its disk is full once it is up.
    """

    machine: int
    name: str
    address: str
    public_keys: tuple[str, ...] = ()
    user_data: str = ""
    root_password: str | None = None
    architecture: str = ""
    cores: int = 2
    memory: float = 4
    disk: int = 40
    volumes: tuple[VolumeDisk, ...] = ()
    rescue: RescueSystem | None = None
    delay: float = 0
    disk_full: bool = False

    def of_rescue(self) -> Boot:
        """What the rescue system is told, where it is to boot."""
        if self.rescue is None:
            return self
        keys, password = self.rescue.public_keys, self.rescue.root_password
        return replace(self, name="rescue", user_data="", disk_full=False, public_keys=keys, root_password=password)


@dataclass(frozen=True)
class Place:
    """Where something is reached: an address of the host, or one in a network namespace."""

    address: str
    namespace: Path | None = None


@dataclass(frozen=True)
class PrivateCard:
    """A machine in a private network. ``machine`` is the last part of its public address, ``number`` counts its networks."""

    machine: int
    number: int
    ip: str
    mac: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrivateNet:
    """A private network with all that is in it; ``routes``: destination and gateway, ``balancers``: addresses."""

    number: int
    range: str
    gateway: str
    routes: tuple[tuple[str, str], ...] = ()
    cards: tuple[PrivateCard, ...] = ()
    balancers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What ``status`` shows of a machine.

    ``pid`` is that of its first process on this host. ``accelerator`` is what runs its processor, where it has one of its own.
    """

    pid: int | None
    disk: Path | None
    console: Path | None
    accelerator: str = ""


class Machines(Protocol):
    """Disks, snapshots and power. ``ended`` is called with the machine's number whenever one ends by itself."""

    ended: Callable[[int], None]

    def can_boot(self, architecture: str) -> bool:
        """Whether machines of this architecture (x86, arm) run here."""
        ...

    def address_free(self, address: str) -> bool:
        """Whether a machine could listen there."""
        ...

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:
        """Raise a CloudError when a copy of the base image, the snapshot or the machine's disk has no room."""
        ...

    async def prepare(self, base_image: str, progress: Progress) -> None:
        """Have the base image ready, of every architecture that boots here."""
        ...

    async def install(self, machine: int, base_image: str, architecture: str, progress: Progress) -> None:
        """Give the machine a disk with the base image."""
        ...

    async def restore(self, machine: int, snapshot: int) -> None:
        """Give the machine a disk with the snapshot."""
        ...

    async def capture(self, machine: int, snapshot: int) -> int:
        """Copy the disk into a new snapshot; the size in bytes."""
        ...

    async def power_on(self, boot: Boot) -> None:
        """Boot; returns when the first process runs, long before anyone can log in."""
        ...

    def shut_down(self, machine: int) -> None:
        """Ask for a clean power-off, as an ACPI power button does; does not wait."""
        ...

    def reboot(self, machine: int) -> None:
        """Ask for a clean reboot; does not wait."""
        ...

    async def power_off(self, machine: int) -> None:
        """Cut the power; returns when nothing of the machine runs."""
        ...

    async def set_password(self, machine: int, password: str) -> None:
        """Give root another password while it runs. Raises SandboxError."""
        ...

    def hang_up(self, machine: int) -> None:
        """Break all SSH connections to it; new ones are taken."""
        ...

    def running(self, machine: int) -> bool:
        """Whether it runs; a machine that outlived a killed daemon is adopted by being asked for."""
        ...

    def ended_by_itself(self, machine: int) -> bool:
        """Whether it powered itself off after its last power_on."""
        ...

    def delete_disk(self, machine: int) -> None:
        """Drop disk and all that was kept for the machine. It must be off."""
        ...

    def delete_snapshot(self, snapshot: int) -> None:
        """Drop a snapshot, finished or not."""
        ...

    def forget_others(self, machines: set[int], snapshots: set[int]) -> None:
        """Drop the files of all that are not among these: left by one that was killed between record and files."""
        ...

    def facts(self, machine: int) -> Facts:
        """What is known about it."""
        ...

    def reached_at(self, machine: int, address: str) -> Place:
        """Where all ports of the machine are reached that the host knows by ``address``."""
        ...

    def reached_in(self, network: int, machine: int, ip: str) -> Place | None:
        """Where the machine is reached at its address in a private network; None where it does not really have it."""
        ...

    def inner_places(self, address: str, network: int, ip: str) -> tuple[Place, ...]:
        """Where machines reach what listens on the host at ``address`` and, unless it is 0, in a private network at ``ip``."""
        ...

    def connect(self, nets: Sequence[PrivateNet]) -> None:
        """All private networks; replaces what was said before."""
        ...

    async def attach_volume(self, machine: int, volume: VolumeDisk) -> None:
        """Plug a volume into a running machine."""
        ...

    async def detach_volume(self, machine: int, volume: int) -> None:
        """Unplug it from a running machine."""
        ...

    async def resize_volume(self, volume: VolumeDisk, machine: int | None) -> None:
        """Make it larger; ``machine`` has it, running or not."""
        ...

    def delete_volume(self, volume: int) -> None:
        """Drop its data."""
        ...

    def forget_other_volumes(self, volumes: set[int]) -> None:
        """Drop the data of all that are not among these."""
        ...

    def filter(self, filters: Mapping[int, Filter]) -> None:
        """Machine's last part of its address -> what its firewalls let through; replaces what was said before."""
        ...

    async def close(self) -> None:
        """Finish clearing up."""
        ...
